"""Record taps: what a listener of a room would hear, gathered to blocks and handed to a sink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixminus.media.matrix import Index, Plan
from mixminus.media.mix import Layout
from mixminus.media.protocol import StartTap
from mixminus.media.state import FRAME

Pcm = NDArray[np.int16]

BLOCK: Final = 25
"""Ticks (0.5 s) gathered before they are handed on: what a killed worker loses."""


class TapSink(Protocol):
    """Where the samples of one tap go. The engine calls it from inside the tick, so it must not block."""

    def write(self, pcm: NDArray[np.int16], now_ns: int) -> None:
        """Take (S,) int16 samples at 8 kHz, at most half a second of them; a view, to be copied or consumed at once.

        ``now_ns`` is the tick whose frame is the last in it; or the time of the command that made it flush.
        """

    def pause(self, now_ns: int) -> None:
        """Nothing is recorded from here on; all samples before were written."""

    def resume(self, now_ns: int) -> None:
        """Recording goes on; the next sample is of the coming tick."""

    def close(self, now_ns: int) -> None:
        """The tap ended; all samples were written."""


OpenTap: TypeAlias = Callable[[StartTap, int], TapSink]
"""Makes the sink of a new tap; second argument ``now_ns``. May raise MediaError to refuse it."""


class Taps:
    """All taps: a row of (T, BLOCK, S) samples each. T doubles when full."""

    def __init__(self, capacity: int = 16) -> None:
        self._block: Pcm = np.zeros((capacity, BLOCK, FRAME), np.int16)
        self._row = np.full(capacity, -1, np.intp)
        """Row in the state, whose ``hear`` and ``room`` say what is recorded."""
        self._fill = np.zeros(capacity, np.intp)
        self._limit = np.full(capacity, BLOCK, np.intp)
        """Ticks at which to hand on: a tap's first block is short, so that taps take turns."""
        self._running = np.zeros(capacity, np.bool_)
        self._sinks: dict[int, TapSink] = {}
        self._at: dict[int, int] = {}
        """Row → place here."""
        self._turn = 0

    def open(self, row: int, sink: TapSink, paused: bool) -> None:
        if len(self._sinks) == self._row.size:
            self._grow()
        at = int(np.flatnonzero(self._row < 0)[0])
        self._row[at] = row
        self._fill[at] = 0
        self._limit[at] = BLOCK - self._turn
        self._turn = (self._turn + 1) % BLOCK
        self._running[at] = not paused
        self._sinks[at] = sink
        self._at[row] = at

    def pause(self, row: int, now_ns: int) -> None:
        """Pausing twice is pausing once."""
        at = self._at[row]
        if self._running[at]:
            self._flush(at, now_ns)
            self._running[at] = False
            self._sinks[at].pause(now_ns)

    def resume(self, row: int, now_ns: int) -> None:
        """Resuming what runs changes nothing."""
        at = self._at[row]
        if not self._running[at]:
            self._running[at] = True
            self._sinks[at].resume(now_ns)

    def close(self, row: int, now_ns: int) -> None:
        at = self._at.pop(row)
        self._flush(at, now_ns)
        self._row[at] = -1
        self._running[at] = False
        self._sinks.pop(at).close(now_ns)

    def record(self, plan: Plan, layout: Layout, mix: Pcm, now_ns: int) -> None:
        """Add this tick of every running tap, and hand on the blocks that are full."""
        at = np.flatnonzero(self._running)
        if not at.size:
            return
        source = sums_of(plan, layout, self._row[at])
        sounding = np.flatnonzero(source >= 0)
        self._block[at, self._fill[at]] = 0
        to = at[sounding]
        self._block[to, self._fill[to]] = mix.take(source[sounding], axis=0)
        self._fill[at] += 1
        for full in at[self._fill[at] >= self._limit[at]]:
            self._flush(int(full), now_ns)

    def _flush(self, at: int, now_ns: int) -> None:
        fill = int(self._fill[at])
        if fill:
            self._sinks[at].write(self._block[at, :fill].reshape(-1), now_ns)
        self._fill[at] = 0
        self._limit[at] = BLOCK

    def _grow(self) -> None:
        old = self._row.size
        self._block = np.concatenate((self._block, np.zeros_like(self._block)))
        self._row = np.concatenate((self._row, np.full(old, -1, np.intp)))
        self._fill = np.concatenate((self._fill, np.zeros(old, np.intp)))
        self._limit = np.concatenate((self._limit, np.full(old, BLOCK, np.intp)))
        self._running = np.concatenate((self._running, np.zeros(old, np.bool_)))


def sums_of(plan: Plan, layout: Layout, row: Index) -> Index:
    """The mix that each of these listeners, none of them a source, hears now; -1: silence."""
    bus = plan.bus_of[row]
    hears = bus >= 0
    place = np.full(row.size, -1, np.intp)
    place[hears] = layout.place[bus[hears]]
    return place
