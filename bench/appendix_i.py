"""A public yardstick for what is heard in gaps: concealment as ITU-T G.711 Appendix I (1999) describes it.

Written from the description, for the benchmark alone. It is given what no receiver has, every packet that was not lost
in time and in order; only losses count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
Floats = NDArray[np.float64]

BLOCK: Final = 80
"""Samples of 10 ms, the unit of the standard."""
_SHORTEST, _LONGEST = 40, 120
"""Pitch periods looked for: 5 to 15 ms."""
_COMPARED = 160
_HISTORY = 390
_DELAY: Final = 30
"""Samples (3.75 ms) by which all is later, so that the end of what was good can still be crossed over."""
_PERIODS = 3
"""Pitch periods repeated in turn, at most: one in the first 10 ms, one more in each of the next."""
_FADE = 0.2
"""Loudness taken away in each 10 ms after the first."""
_SILENT = 6
"""Blocks after which nothing is made up any more."""
_MORE_OVERLAP = 32
"""Samples crossed over after a gap for each 10 ms of it beyond the first; 10 ms in all at most."""


def conceal(frames: Sequence[Pcm | None]) -> Pcm:
    """Frames (of whole blocks) in order of sending, None: lost, as long as the first that came → all of their sound."""
    size = next((frame.size for frame in frames if frame is not None), BLOCK)
    receiver = _Receiver()
    blocks = [
        receiver.lost() if frame is None else receiver.good(frame[begin : begin + BLOCK])
        for frame in frames
        for begin in range(0, size, BLOCK)
    ]
    sound: Pcm = np.rint(np.concatenate(blocks) if blocks else np.zeros(0)).clip(-32768, 32767).astype(np.int16)
    return sound


class _Receiver:
    def __init__(self) -> None:
        self._past: Floats = np.zeros(_HISTORY)
        self._before: Floats = np.zeros(_HISTORY)
        """What was good before the present gap."""
        self._run = 0
        self._pitch = _SHORTEST
        self._periods = 1
        self._at = 0
        """In what is repeated."""
        self._end: Floats = np.zeros(0)
        """The last quarter of a period before the gap, as it came."""

    def good(self, block: Pcm) -> Floats:
        sound = block.astype(np.float64)
        if self._run:
            length = min(self._pitch // 4 + _MORE_OVERLAP * (self._run - 1), BLOCK)
            loud = 0.0 if self._run >= _SILENT else 1 - _FADE * (self._run - 1)
            sound[:length] = _crossed(self._repeat(length) * loud, sound[:length])
            self._run = 0
        return self._give(sound)

    def lost(self) -> Floats:
        if self._run == 0:
            self._begin()
            sound = self._repeat(BLOCK)
        elif self._run < _SILENT:
            sound = self._go_on()
            sound *= 1 - _FADE * (self._run - 1) - _FADE * np.arange(BLOCK) / BLOCK
        else:
            sound = np.zeros(BLOCK)
        self._run += 1
        return self._give(sound)

    def _begin(self) -> None:
        self._before = self._past.copy()
        self._pitch = _pitch(self._before)
        self._periods, self._at = 1, 0
        quarter = self._pitch // 4
        self._end = self._past[-quarter:].copy()
        self._overlap()
        self._past[-quarter:] = self._before[-quarter:]

    def _overlap(self) -> None:
        """Make the end of what is repeated go over into its begin, a quarter of a period long."""
        quarter, length = self._pitch // 4, self._pitch * self._periods
        self._before[-quarter:] = _crossed(self._end, self._before[-quarter - length : -length])

    def _go_on(self) -> Floats:
        """A block in which one more period is taken in, crossed over to from the fewer of before."""
        if self._periods == _PERIODS:
            return self._repeat(BLOCK)
        quarter, at = self._pitch // 4, self._at
        old = self._repeat(quarter)
        self._periods += 1
        self._at = at % self._pitch
        self._overlap()
        sound = self._repeat(BLOCK)
        sound[:quarter] = _crossed(old, sound[:quarter])
        return sound

    def _repeat(self, count: int) -> Floats:
        length = self._pitch * self._periods
        repeated: Floats = self._before[_HISTORY - length + (self._at + np.arange(count)) % length]
        self._at = (self._at + count) % length
        return repeated

    def _give(self, sound: Floats) -> Floats:
        self._past = np.concatenate((self._past[BLOCK:], sound))
        return self._past[-BLOCK - _DELAY : -_DELAY].copy()


def _pitch(past: Floats) -> int:
    end = past[-_COMPARED:]
    best, pitch = -np.inf, _SHORTEST
    for lag in range(_SHORTEST, _LONGEST + 1):
        earlier = past[-_COMPARED - lag : -lag]
        likeness = float(end @ earlier) / np.sqrt(max(float(earlier @ earlier), 1.0))
        if likeness > best:
            best, pitch = likeness, lag
    return pitch


def _crossed(old: Floats, new: Floats) -> Floats:
    rise = (np.arange(old.size) + 0.5) / old.size
    crossed: Floats = old * (1 - rise) + new * rise
    return crossed
