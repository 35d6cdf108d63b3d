"""Record taps: what a listener of a room would hear, or one leg alone, gathered to blocks and handed to a sink."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from mixminus.media.many_ticks.stretch_mix import Sources
from mixminus.media.mixing.layout import Layout
from mixminus.media.mixing.limiter import Totals, bring_under
from mixminus.media.mixing.matrix import Index, Plan
from mixminus.media.protocol import StartTap
from mixminus.media.state import TICK_NS, MediaState
from mixminus.media.taping.tracks import HEARD, OWN, Note, Sounds, Track, Tracks

Pcm = NDArray[np.int16]

BLOCK: Final = 25
"""Ticks (0.5 s) gathered before they are handed on: what a killed worker loses."""


class TapSink(Protocol):
    """Where the samples of one tap go. The engine calls it from inside the tick, so it must not block."""

    def write(self, pcm: NDArray[np.int16], now_ns: int) -> None:
        """Take (S,) int16 samples, at most half a second of them (in virtual time some seconds); a view, to be copied
        or consumed at once.

        ``now_ns`` is the tick whose frame is the last in it; or the time of the command that made it flush.
        """

    def beside(self, tracks: Sequence[Track], notes: Sequence[Note]) -> None:
        """What belongs to the samples of the :meth:`write` that follows at once, or notes of what ended with the last;
        only for taps that asked for it.
        """

    def pause(self, now_ns: int) -> None:
        """Nothing is recorded from here on; all samples before were written."""

    def resume(self, now_ns: int) -> None:
        """Recording goes on; the next sample is of the coming tick."""

    def change_rate(self, rate: int, now_ns: int) -> None:
        """From here on samples are at another rate, Hz; all samples before were written."""

    def close(self, now_ns: int) -> None:
        """The tap ended; all samples were written."""


OpenTap: TypeAlias = Callable[[StartTap, int], TapSink]
"""Makes the sink of a new tap, of the ``rate`` its command says; second argument ``now_ns``. May raise MediaError to
refuse it.
"""


class Taps:
    """All taps of one rate: a row of (T, BLOCK, S) samples each. T doubles when full."""

    def __init__(self, state: MediaState, sounds: Sounds | None = None, capacity: int = 16) -> None:
        self._state = state
        self._sounds: Sounds = sounds or state
        """Has the samples of the sources; the state's are those at 8 kHz."""
        self._size = self._sounds.frame.shape[1]
        """S."""
        self._tracks = Tracks(state, BLOCK, self._sounds)
        self._block: Pcm = np.zeros((capacity, BLOCK, self._size), np.int16)
        self._row = np.full(capacity, -1, np.intp)
        """Row in the state, whose ``hear`` and ``room`` say what is recorded."""
        self._of_leg = np.zeros(capacity, np.bool_)
        self._leg = np.full(capacity, -1, np.intp)
        """Row of the leg that is recorded; -1: it has gone."""
        self._both = np.zeros(capacity, np.bool_)
        """Its own voice and what it hears; else its own voice only."""
        self._mask = np.zeros(capacity, np.uint64)
        """Its voice is recorded while it talks on one of these; 0: on any."""
        self._gain = np.ones(capacity)
        """Of the limiter, where a leg's voice and what it hears are added up."""
        self._heard_gain = np.ones(capacity)
        """Of the limiter for what a leg would hear that is not sent to."""
        self._fill = np.zeros(capacity, np.intp)
        self._limit = np.full(capacity, BLOCK, np.intp)
        """Ticks at which to hand on: a tap's first block is short, so that taps take turns."""
        self._running = np.zeros(capacity, np.bool_)
        self._sinks: dict[int, TapSink] = {}
        self._commands: dict[int, StartTap] = {}
        self._at: dict[int, int] = {}
        """Row → place here."""
        self._turn = 0

    def open(self, row: int, sink: TapSink, command: StartTap, leg: int = -1) -> None:
        """``row`` is the tap's own; ``leg`` that of the leg it records, if it is a tap of one leg."""
        if len(self._sinks) == self._row.size:
            self._grow()
        at = int(np.flatnonzero(self._row < 0)[0])
        self._row[at] = row
        self._fill[at] = 0
        self._limit[at] = BLOCK - self._turn
        self._turn = (self._turn + 1) % BLOCK
        self._running[at] = not command.paused
        self._sinks[at], self._commands[at] = sink, command
        self._at[row] = at
        self._of_leg[at], self._leg[at] = bool(command.leg), leg
        self._both[at], self._mask[at] = command.heard, command.hear
        self._gain[at] = self._heard_gain[at] = 1
        if command.leg:
            self._tracks.open_leg(at, leg, notes=command.notes)
        elif command.tracks or command.notes:
            self._tracks.open(at, row, tracks=command.tracks, notes=command.notes)

    def pause(self, row: int, now_ns: int) -> None:
        """Pausing twice is pausing once."""
        at = self._at[row]
        if self._running[at]:
            self._tracks.hush(at, int(self._fill[at]) * self._size)
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
        self._take_out(row, now_ns)[0].close(now_ns)

    def hand_over(self, row: int, to: Taps, rate: int, now_ns: int) -> None:
        """The tap goes on among the taps of another rate, Hz."""
        leg = int(self._leg[self._at[row]])
        sink, command = self._take_out(row, now_ns)
        sink.change_rate(rate, now_ns)
        to.open(row, sink, command, leg)

    def _take_out(self, row: int, now_ns: int) -> tuple[TapSink, StartTap]:
        """Its sink, all samples written, and the command that opens it again as it is now."""
        at = self._at.pop(row)
        self._tracks.hush(at, int(self._fill[at]) * self._size)
        self._flush(at, now_ns)
        self._tracks.close(at)
        command = replace(self._commands.pop(at), paused=not self._running[at])
        self._row[at] = self._leg[at] = -1
        self._of_leg[at] = self._running[at] = False
        return self._sinks.pop(at), command

    def forget(self, leg: int) -> None:
        """A leg has gone; its row will be somebody else's. What records it goes on, silent."""
        self._leg[self._leg == leg] = -1
        self._tracks.forget(leg)

    def legs(self) -> Index:
        """Rows of the legs that taps of one leg record."""
        legs: Index = self._leg[self._of_leg & (self._leg >= 0)]
        return legs

    def record(self, plan: Plan, layout: Layout, mix: Pcm, now_ns: int) -> None:
        """Add this tick of every running tap, and hand on the blocks that are full."""
        at = np.flatnonzero(self._running)
        if not at.size:
            return
        self._block[at, self._fill[at]] = 0
        rooms = at[~self._of_leg[at]] if self._of_leg.any() else at
        source = sums_of(plan, layout, self._row[rooms])
        sounding = np.flatnonzero(source >= 0)
        to = rooms[sounding]
        self._block[to, self._fill[to]] = mix.take(source[sounding], axis=0)
        if rooms.size < at.size:
            self._record_legs(at[self._of_leg[at]], plan, layout, mix)
        self._tracks.record(plan, self._running, self._fill)
        self._fill[at] += 1
        for full in at[self._fill[at] >= self._limit[at]]:
            self._flush(int(full), now_ns)

    def steady(self, plan: Plan) -> bool:
        """Whether :meth:`record_stretch` may stand for :meth:`record` as long as nothing changes."""
        return not self._of_leg.any() and self._tracks.steady(plan, self._running)

    def record_stretch(self, plan: Plan, layout: Layout, sums: Pcm, source: Sources, now_ns: int) -> None:
        """Many ticks as :meth:`record`, but handed on at once: ``sums`` (U, K * S) and what they are made of.

        ``now_ns`` is the first of the K ticks.
        """
        ticks = sums.shape[1] // self._size
        at = np.flatnonzero(self._running)
        silence = np.zeros(sums.shape[1], np.int16)
        for place, number in zip(at.tolist(), sums_of(plan, layout, self._row[at]).tolist(), strict=True):
            sound = sums[number] if number >= 0 else silence
            if self._fill[place]:
                self._flush(place, now_ns - TICK_NS)
            if self._tracks.keeps(place):
                self._gather(place, sound, source, now_ns)
            else:
                self._sinks[place].write(sound, now_ns + (ticks - 1) * TICK_NS)
        if at.size:
            self._tracks.pass_ticks(ticks)

    def _gather(self, place: int, sound: Pcm, source: Sources, now_ns: int) -> None:
        """Many ticks, block by block, with what is kept beside them."""
        ticks, done = sound.size // self._size, 0
        while done < ticks:
            count = min(BLOCK, ticks - done)
            self._block[place, :count].reshape(-1)[:] = sound[done * self._size : (done + count) * self._size]
            self._tracks.add_ticks(place, 0, source, done, count)
            self._fill[place] = count
            done += count
            if count == BLOCK:
                self._flush(place, now_ns + (done - 1) * TICK_NS)

    def _record_legs(self, at: Index, plan: Plan, layout: Layout, mix: Pcm) -> None:
        state = self._state
        at = at[self._leg[at] >= 0]
        leg = self._leg[at]
        heard_now = (self._mask[at] == 0) | (self._mask[at] & state.talk[leg] != 0)
        own = np.where((state.active[leg] & heard_now)[:, None], self._sounds.frame[leg], np.int16(0))
        self._block[at, self._fill[at]] = own
        both = np.flatnonzero(self._both[at])
        if not both.size:
            return
        to, fill = at[both], self._fill[at[both]]
        others = heard_by(plan, layout, mix, state, self._sounds.frame, leg[both])
        rest = np.empty(others.shape, np.int16)
        self._heard_gain[to] = bring_under(self._heard_gain[to], others, rest)
        sound = np.empty(rest.shape, np.int16)
        self._gain[to] = bring_under(self._gain[to], own[both].astype(np.int32) + rest, sound)
        self._block[to, fill] = sound
        self._tracks.put(to, OWN, fill, own[both])
        self._tracks.put(to, HEARD, fill, rest)

    def _flush(self, at: int, now_ns: int) -> None:
        fill = int(self._fill[at])
        tracks, notes = self._tracks.take(at, fill)
        if tracks or notes:
            self._sinks[at].beside(tracks, notes)
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
        self._of_leg = np.concatenate((self._of_leg, np.zeros(old, np.bool_)))
        self._leg = np.concatenate((self._leg, np.full(old, -1, np.intp)))
        self._both = np.concatenate((self._both, np.zeros(old, np.bool_)))
        self._gain = np.concatenate((self._gain, np.ones(old)))
        self._heard_gain = np.concatenate((self._heard_gain, np.ones(old)))
        self._mask = np.concatenate((self._mask, np.zeros(old, np.uint64)))


class TapsByRate:
    """The taps of all rates, each at its own: what commands are given to."""

    def __init__(self, state: MediaState, taps: Mapping[int, Taps]) -> None:
        self._state = state
        self._taps = taps

    def open(self, row: int, sink: TapSink, command: StartTap, leg: int = -1) -> None:
        """As :meth:`Taps.open`; the row's rate is known by now."""
        self._of(row).open(row, sink, command, leg)

    def pause(self, row: int, now_ns: int) -> None:
        self._of(row).pause(row, now_ns)

    def resume(self, row: int, now_ns: int) -> None:
        self._of(row).resume(row, now_ns)

    def close(self, row: int, now_ns: int) -> None:
        self._of(row).close(row, now_ns)

    def change_rate(self, row: int, rate: int, now_ns: int) -> None:
        """Go on at another rate, Hz."""
        taps = self._of(row)
        self._state.rate[row] = rate
        taps.hand_over(row, self._of(row), rate, now_ns)

    def _of(self, row: int) -> Taps:
        return self._taps[int(self._state.rate[row])]

    def forget(self, leg: int) -> None:
        for taps in self._taps.values():
            taps.forget(leg)


def sums_of(plan: Plan, layout: Layout, row: Index) -> Index:
    """The mix that each of these listeners, none of them a source, hears now; -1: silence."""
    bus = plan.bus_of[row]
    hears = bus >= 0
    place = np.full(row.size, -1, np.intp)
    place[hears] = layout.place[bus[hears]]
    return place


def heard_by(plan: Plan, layout: Layout, mix: Pcm, state: MediaState, frame: Pcm, leg: Index) -> Totals:
    """(N, S) int32: what each of these legs hears now, its own voice taken out, whether or not it is sent.

    ``frame``: (R, S), the samples of the sources. What no mix was made of may be over the ceiling.
    """
    place = sums_of(plan, layout, leg)
    heard = np.zeros((leg.size, frame.shape[1]), np.int32)
    hears = np.flatnonzero(place >= 0)
    heard[hears] = mix.take(place[hears], axis=0)
    less = np.full(state.capacity, -1, np.intp)
    less[layout.own_row] = layout.sums + np.arange(layout.own_row.size)
    mine = np.flatnonzero((place >= 0) & plan.within[leg] & state.active[leg])
    ready = less[leg[mine]] >= 0
    heard[mine[ready]] = mix.take(less[leg[mine[ready]]], axis=0)
    for at in mine[~ready]:  # not sent to: no such mix was made
        others = plan.source[(plan.bus == plan.bus_of[leg[at]]) & (plan.source != leg[at])]
        heard[at] = frame[others[state.active[others]]].sum(axis=0, dtype=np.int32)
    return heard
