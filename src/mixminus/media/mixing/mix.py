"""The mixer: sums of the active sources of every bus, and for every listener on it the sum less its own sound.

Sums are exact (int32) and limited once, at the end, so the order of sources cannot change the sound and a listener who
is granted nothing gets zeros. Listeners of the same sum in the same law share one encoded payload.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g711
from mixminus.media.mixing.layout import LAWS, Layout
from mixminus.media.mixing.limiter import Limiter, Totals, follow_curve
from mixminus.media.mixing.matrix import Plan
from mixminus.media.state import FRAME

Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]

_BLOCK: Final = 256
"""Rows worked on at a time, so that they stay in the second-level cache."""


class Mixer:
    """Buffers of the mixer, for ``capacity`` rows and frames of ``size`` samples (S).

    Attributes:
        mix: (2 R, S) int16, after :meth:`run` the layout's mixes.
    """

    def __init__(self, limiter: Limiter, capacity: int, size: int = FRAME) -> None:
        self.mix: Pcm = np.zeros((2 * capacity, size), np.int16)
        self._total = np.zeros((capacity, size), np.int32)
        self._limiter = limiter

    def run(self, plan: Plan, layout: Layout, frame: Pcm, payload: Bytes) -> None:
        """Fill ``mix`` from the sources' samples ((R, S) int16) and ``payload`` ((Q, S)) from the mixes to be sent."""
        self._limiter.follow(plan, layout)
        self._crowds(layout, frame)
        self._sum(layout, frame)
        self._less_own(layout, frame)
        self._limiter.settle()
        done = len(LAWS)
        for law, mixes in layout.encode:
            for begin in range(0, mixes.size, _BLOCK):
                block = mixes[begin : begin + _BLOCK]
                g711.encode(law, self.mix.take(block, axis=0), payload[done : done + block.size])
                done += block.size

    def _crowds(self, layout: Layout, frame: Pcm) -> None:
        """Sums of many sources, and whoever hears one less the own sound: turned down as the sum is."""
        if not layout.crowds:
            return
        total = self._total[: len(layout.crowds)]
        for index, rows in enumerate(layout.crowds):
            np.sum(frame.take(rows, axis=0), axis=0, dtype=np.int32, out=total[index])
        curve = self._limiter.finish_crowds(total, 0, self.mix[: len(total)], total.shape[1])
        crowded = layout.crowded
        for begin in range(0, crowded, _BLOCK):
            part = slice(begin, min(begin + _BLOCK, crowded))
            rest = self._rest(layout, part, frame)
            at = layout.sums + begin
            gains = None if curve is None else curve[layout.own_sum[part]]
            follow_curve(rest, gains, self.mix[at : at + len(rest)])

    def _sum(self, layout: Layout, frame: Pcm) -> None:
        total = self._total
        base = len(layout.crowds)
        for begin in range(base, layout.sums, _BLOCK):
            end = min(begin + _BLOCK, layout.sums)
            for rank, rows in enumerate(layout.ranks):
                part = rows[begin - base : end - base]
                if not part.size:
                    break
                sounds = frame.take(part, axis=0)
                if rank == 0:
                    total[begin : begin + part.size] = sounds
                else:
                    total[begin : begin + part.size] += sounds
            self._limiter.finish(total[begin:end], begin, self.mix[begin:end])

    def _less_own(self, layout: Layout, frame: Pcm) -> None:
        for begin in range(layout.crowded, layout.own_row.size, _BLOCK):
            rest = self._rest(layout, slice(begin, begin + _BLOCK), frame)
            at = layout.sums + begin
            self._limiter.finish(rest, at, self.mix[at : at + len(rest)])

    def _rest(self, layout: Layout, part: slice, frame: Pcm) -> Totals:
        rest = self._total.take(layout.own_sum[part], axis=0)
        rest -= frame.take(layout.own_row[part], axis=0)
        return rest
