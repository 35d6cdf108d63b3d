"""Direct current taken out of what a leg sends: some gateways add a constant to every sample.

It eats headroom, clicks wherever the sound is cut, and keeps the voice gate open for ever. Legs without it (nearly all)
are only looked at, every 80 ms, and their samples left alone to the bit. One on which it was found gets a high-pass of
first order at 20 Hz until it is closed: its level is followed, sample by sample, and subtracted.
"""

from __future__ import annotations

from math import exp, pi
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.state import FRAME, MediaState

Index = NDArray[np.intp]
Pcm = NDArray[np.int16]
Floats = NDArray[np.float32]

CORNER_HZ: Final = 20.0
EVERY: Final = 4
"""Ticks between two looks."""
LOOKS: Final = 8
"""Looks that found it, more than did not, until it is taken out: 640 ms."""
LEAST: Final = 24.0
"""A mean of a frame below this is nothing; where the gate's own threshold lies."""
_PIECE: Final = 128
"""Legs at a time, so that what is worked on stays in the cache."""
SHARE: Final = 1 / 16
"""Of a frame's energy that must be in its mean. Speech, which has no such tones, and noise never have it for long."""


class Offsets:
    """Which legs have an offset, and taking it out. State is in the rows of the :class:`MediaState`."""

    def __init__(self, state: MediaState) -> None:
        self._state = state

    def any(self) -> bool:
        """Whether any leg has one, or is suspected to."""
        return bool(self._state.offset.any() or self._state.offset_run.any())

    def take_out(self, rate: int, row: Index, pcm: Pcm) -> None:
        """One frame of rows (A,) at ``rate`` Hz, (A, S), as it was received; changed in place."""
        state = self._state
        if not state.offset.any():
            return
        found = np.flatnonzero(state.offset[row])
        for begin in range(0, found.size, _PIECE):
            at = found[begin : begin + _PIECE]
            self._take_out(rate, row[at], pcm, at)

    def _take_out(self, rate: int, row: Index, pcm: Pcm, at: Index) -> None:
        """``row`` (N,) has its samples at ``at`` (N,) of ``pcm``."""
        state = self._state
        sound = pcm[at].astype(np.float64)
        level = follow(state.offset_level[row], sound, rate)
        state.offset_level[row] = level[:, -1]
        ramp = np.arange(1, sound.shape[1] + 1) / sound.shape[1]
        share = np.where(state.offset_begun[row][:, None], 1, ramp)
        state.offset_begun[row] = True
        pcm[at] = np.clip(np.rint(sound - level * share), -32768, 32767)

    def look(self, tick: int, row: Index, sound: Floats, energy: Floats) -> None:
        """One frame at 8 kHz of rows (A,), after :meth:`take_out`: (A, FRAME), and the sum of its squares, (A,)."""
        if tick % EVERY:
            return
        state = self._state
        total = np.einsum("as->a", sound)
        found = is_found(total, energy)
        if not (found.any() or state.offset_run.any()):
            return
        run = np.zeros(state.capacity, np.int16)
        run[row] = np.sign(total) * found
        calm = run == 0
        state.offset_run += np.where(calm, -np.sign(state.offset_run), run)
        sure = row[np.abs(state.offset_run[row]) >= LOOKS]
        state.offset_run[sure] = 0
        state.offset[sure] = True
        mean = np.zeros(state.capacity)
        mean[row] = total / FRAME
        state.offset_level[sure] = mean[sure]


def is_found(total: Floats, energy: Floats) -> NDArray[np.bool_]:
    """Whether frames of :data:`FRAME` samples look as if they had an offset, by the sums of samples and of squares."""
    found: NDArray[np.bool_] = (np.abs(total) > LEAST * FRAME) & (total * total > SHARE * FRAME * energy)
    return found


def follow(level: NDArray[np.float64], sound: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """(A, S) a low-pass of first order over (A, S) samples, from ``level`` (A,) on.

    The recursion is unrolled: a sum of samples, each weighed by how long ago it was, of 20 ms at most.
    """
    keep = exp(-2 * pi * CORNER_HZ / rate)
    fade = keep ** np.arange(1, sound.shape[1] + 1)
    followed = np.cumsum(sound * ((1 - keep) / fade), axis=1)
    followed += level[:, None]
    followed *= fade
    return followed
