"""Wide legs whose delay is too large: a pitch period is taken out (:mod:`mixminus.media.jitter.timescale`).

Their buffer gives whole slots of 10 ms, a pitch period is of any length. So three slots are taken for a frame of two;
what a period is shorter or longer than the slot is held, always less than a slot, and comes before all that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.jitter import timescale
from mixminus.media.state import RATE, MediaState

Index = NDArray[np.intp]
Pcm = NDArray[np.int16]

_FRAME_MS: Final = 20
_SLOT_MS: Final = 10
_AGAIN: Final = 4
"""Periods of 2.5 ms that are longer than a slot."""
_AFTER_MS: Final = 25
"""From the joint to the end of the sound: what is compared, and the longest lag."""
_NOTHING: Final = np.zeros(0, np.int16)


class Shorter:
    """What wide legs have decoded and not given away: less than a slot each, none of most."""

    def __init__(self, state: MediaState) -> None:
        self._state = state
        self._held: dict[int, Pcm] = {}

    def drop(self, row: int) -> None:
        """The leg has gone, or is silent."""
        if self._held.pop(row, None) is not None:
            self._state.held[row] = 0

    def drop_silent(self) -> None:
        """Of legs that are not heard now nothing is held any more: nobody misses it."""
        for row in [row for row in self._held if not self._state.active[row]]:
            self.drop(row)

    def delayed(self, row: Index, pcm: Pcm) -> Pcm:
        """Frames of rows (A,) that go on as usual, (A, S), each after what is held of its row."""
        held = [(at, leg) for at, leg in enumerate(row.tolist()) if leg in self._held] if self._held else []
        if not held:
            return pcm
        pcm = pcm.copy()
        for at, leg in held:
            whole = np.concatenate((self._held[leg], pcm[at]))
            pcm[at] = whole[: pcm.shape[1]]
            self._held[leg] = whole[pcm.shape[1] :]
        return pcm

    def shortened(self, rate: int, row: Sequence[int], pcm: Pcm) -> Pcm:
        """(A, S) frames of rows (A,), made of three slots each: ``pcm`` (A, 3 S / 2). What is left of them is held."""
        slot, frame = rate * _SLOT_MS // 1000, rate * _FRAME_MS // 1000
        held = np.array([self._held.get(leg, _NOTHING).size for leg in row])
        work = np.zeros((len(row), slot + pcm.shape[1]), np.int16)
        work[:, slot:] = pcm
        for at, leg in enumerate(row):
            work[at, slot - held[at] : slot] = self._held.get(leg, _NOTHING)
        gone = _take_out(work, held, rate)
        out = np.empty((len(row), frame), np.int16)
        for at, leg in enumerate(row):
            sound = work[at, slot - held[at] + gone[at] :]
            if gone[at] <= held[at]:
                sound = _crossed(sound, slot, frame)
            out[at] = sound[:frame]
            self._keep(leg, sound[frame:].copy(), rate)
        return out

    def _keep(self, row: int, left: Pcm, rate: int) -> None:
        self.drop(row)
        if left.size:
            self._held[row] = left
            self._state.held[row] = left.size * RATE // rate


def _take_out(work: Pcm, held: Index, rate: int) -> Index:
    """Take periods out of the rows of ``work`` (A, S), whose sound ends where it ends; samples by which each has
    become shorter, (A,). That is more than was ``held`` (A,), and so less is held then than a slot, if it can be:
    a short period may have to be taken out again.
    """
    slot, joint = rate * _SLOT_MS // 1000, work.shape[1] - rate * _AFTER_MS // 1000
    gone = np.zeros(held.size, np.intp)
    left = np.arange(held.size)
    for _ in range(_AGAIN):
        done = timescale.shorten(work[left], np.full(left.size, joint), rate, slot + held[left] - gone[left])
        work[left] = done.sound
        gone[left] += done.by
        left = left[(done.by > 0) & (gone[left] <= held[left])]
        if not left.size:
            break
    return gone


def _crossed(sound: Pcm, slot: int, frame: int) -> Pcm:
    """A slot less: over the first frame it crosses to what is a slot further on."""
    rise = (np.arange(frame, dtype=np.float32) + 0.5) / np.float32(frame)
    blended = np.rint(sound[:frame] * (1 - rise) + sound[slot : slot + frame] * rise).astype(np.int16)
    return np.concatenate((blended, sound[slot + frame :]))
