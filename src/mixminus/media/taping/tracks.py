"""What a tap keeps beside its mix: a track for every voice, and notes of who spoke and whose sound was lost.

A pair is a tap and one source that it hears. A pair of a tap with tracks owns a row of a bank of samples, filled on
the clock of the tap's own block; only rows that sounded are handed on, so silence costs nothing on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixminus.media.level import START_TICKS, STOP_TICKS
from mixminus.media.many_ticks.stretch_mix import Sources
from mixminus.media.mixing.matrix import Index, Plan
from mixminus.media.state import LEG, MediaState

Pcm = NDArray[np.int16]

SOUNDS: Final = "sounds"
"""Track of everything heard that is no leg: prompts, beeps, announcements."""
OWN: Final = "own"
HEARD: Final = "heard"
"""Tracks of a tap of one leg: its voice, and what it hears."""
LOSS_TICKS: Final = 25
"""Ticks between two looks at what was concealed."""
LOSS_SLOTS: Final = 4
"""Concealed slots (10 ms each) within them from which it is a burst worth a note."""
_LEAST, _MOST = -32768, 32767


class Note(NamedTuple):
    """``at`` counts samples from the begin of the block it comes with. ``kind``: ``speech``, ``silence`` (of ``leg``
    from here on) or ``loss`` (``value`` ms of it were concealed in the half second before).
    """

    at: int
    kind: str
    leg: str
    value: int = 0


Track: TypeAlias = tuple[str, Pcm]
"""Name and (S,) samples, as many as the block's."""


class Sounds(Protocol):
    """Whoever has the samples of this tick."""

    frame: Pcm
    """(R, S) int16, of meaning where the state says ``active``."""


@dataclass
class _Pairs:
    """(K,) each."""

    place: Index
    source: Index
    slot: Index
    """Row of the bank; -1: the tap keeps no tracks."""
    spoke: NDArray[np.bool_]
    """As last noted."""
    concealed: NDArray[np.int64]


def _no_pairs() -> _Pairs:
    none = np.empty(0, np.intp)
    return _Pairs(none, none, none, np.empty(0, np.bool_), np.empty(0, np.int64))


class Tracks:
    """Pairs and bank of all taps. A tap is named by its place among the taps; ``block`` is ticks per block."""

    def __init__(self, state: MediaState, block: int, sounds: Sounds | None = None) -> None:
        self._state = state
        self._sounds: Sounds = sounds or state
        self._ticks = 0
        frame = self._sounds.frame.shape[1]
        self._bank: Pcm = np.zeros((16, block, frame), np.int16)
        self._sounded = np.zeros(16, np.bool_)
        self._free = list(range(15, -1, -1))
        self._slots: dict[int, dict[str, int]] = {}
        """Place → name of track → row of the bank."""
        self._noted: dict[int, bool] = {}
        """Places whose pairs are noted (True) or only recorded."""
        self._pairs = _no_pairs()
        self._notes: dict[int, list[Note]] = {}
        self._plan: Plan | None = None
        self._rows = np.empty(0, np.intp)
        self._places = np.empty(0, np.intp)
        self._fixed: dict[int, int] = {}
        """Place → row of the one leg a tap records."""

    def open(self, place: int, row: int, *, tracks: bool, notes: bool) -> None:
        """A tap that listens as ``row`` keeps tracks, notes or both of what it hears."""
        self._noted[place] = notes
        self._rows, self._places = np.append(self._rows, row), np.append(self._places, place)
        if tracks:
            self._slots[place] = {}
        self._plan = None

    def open_leg(self, place: int, leg: int, *, notes: bool) -> None:
        """A tap of one leg: notes are of that leg, tracks are :meth:`put`."""
        self._noted[place] = notes
        self._fixed[place] = leg
        self._slots[place] = {}
        self._plan = None

    def close(self, place: int) -> None:
        """After the last :meth:`take`."""
        if place not in self._noted:
            return
        del self._noted[place]
        self._fixed.pop(place, None)
        keep = self._places != place
        self._rows, self._places = self._rows[keep], self._places[keep]
        for slot in self._slots.pop(place, {}).values():
            self._bank[slot] = 0
            self._sounded[slot] = False
            self._free.append(slot)
        self._notes.pop(place, None)
        self._keep(self._pairs.place != place)
        self._plan = None

    def forget(self, source: int) -> None:
        """The row will be somebody else's."""
        if not self._noted:
            return
        gone = self._pairs.source == source
        self._end_of_speech(gone)
        self._keep(~gone)
        self._fixed = {place: leg for place, leg in self._fixed.items() if leg != source}
        self._plan = None

    def hush(self, place: int, at: int) -> None:
        """The tap pauses ``at`` samples into its block: whoever speaks is not heard any more."""
        pairs = self._pairs
        for index in np.flatnonzero((pairs.place == place) & pairs.spoke):
            pairs.spoke[index] = False
            if self._noted.get(place):
                self._note(place, at, "silence", self._state.names[int(pairs.source[index])])

    def record(self, plan: Plan, running: NDArray[np.bool_], fill: Index) -> None:
        """Add this tick of every pair whose tap is ``running``; ``fill`` is each tap's tick in its block."""
        if not self._noted:
            return
        if plan is not self._plan:
            self._follow(plan)
        pairs, state = self._pairs, self._state
        on = running[pairs.place]
        self._add(np.flatnonzero(on & (pairs.slot >= 0) & state.active[pairs.source]), fill)
        changed = np.flatnonzero(on & (state.speaking[pairs.source] != pairs.spoke))
        for index in changed:
            self._spoke(int(index), fill)
        self._ticks += 1
        if self._ticks % LOSS_TICKS == 0:
            self._lost(on, fill)

    def steady(self, plan: Plan, running: NDArray[np.bool_]) -> bool:
        """Whether :meth:`record` would find nothing to note as long as nothing changes."""
        if not self._noted:
            return True
        pairs, state = self._pairs, self._state
        if plan is not self._plan or self._fixed:
            return False
        on = running[pairs.place]
        known = (state.speaking[pairs.source] == pairs.spoke) | ~on
        return bool(known.all() and np.array_equal(state.concealed[pairs.source], pairs.concealed))

    def keeps(self, place: int) -> bool:
        """Whether there is anything of this tap's block beside its mix."""
        return bool(self._slots.get(place) or self._notes.get(place))

    def add_ticks(self, place: int, fill: int, source: Sources, first: int, ticks: int) -> None:
        """The samples of so many :meth:`record` while :meth:`steady`: ``first`` and on of ``source``, which the tap has
        from tick ``fill`` of its block on.
        """
        if not self._slots.get(place):
            return
        pairs, frame = self._pairs, self._frame
        known = {int(row): at for at, row in enumerate(source.row.tolist())}
        for index in np.flatnonzero((pairs.place == place) & (pairs.slot >= 0)).tolist():
            at, slot = known.get(int(pairs.source[index]), -1), int(pairs.slot[index])
            if at < 0 or not source.active[at, first : first + ticks].any():
                continue
            bank = self._bank[slot, fill : fill + ticks].reshape(-1)
            sound = source.sound[at, first * frame : (first + ticks) * frame]
            leg = self._state.kind[source.row[at]] == LEG
            bank[:] = sound if leg else np.clip(bank.astype(np.int32) + sound, _LEAST, _MOST)
            self._sounded[slot] = True

    def pass_ticks(self, ticks: int) -> None:
        """In place of so many :meth:`record` while :meth:`steady`."""
        if self._noted:
            self._ticks += ticks

    def put(self, places: Index, name: str, tick: Index, pcm: Pcm) -> None:
        """One frame, (N, S), of a track of that name for each of N taps."""
        slot = np.array([self._slot(int(place), name) for place in places], np.intp)
        self._bank[slot, tick] = pcm
        self._sounded[slot] |= pcm.any(axis=1)

    def take(self, place: int, ticks: int) -> tuple[list[Track], list[Note]]:
        """Hand over the tap's block of so many ticks: tracks that sounded (copies), and notes."""
        found = []
        for name, slot in self._slots.get(place, {}).items():
            if self._sounded[slot]:
                found.append((name, self._bank[slot, :ticks].reshape(-1).copy()))
                self._bank[slot, :ticks] = 0
                self._sounded[slot] = False
        return found, self._notes.pop(place, [])

    # -- every tick

    def _add(self, hit: Index, fill: Index) -> None:
        pairs, state = self._pairs, self._state
        if not hit.size:
            return
        source, slot = pairs.source[hit], pairs.slot[hit]
        tick = fill[pairs.place[hit]]
        leg = state.kind[source] == LEG
        self._bank[slot[leg], tick[leg]] = self._sounds.frame[source[leg]]
        for index in np.flatnonzero(~leg):  # several may share the track of sounds
            at = (slot[index], tick[index])
            total = self._bank[at].astype(np.int32) + self._sounds.frame[source[index]]
            self._bank[at] = np.clip(total, _LEAST, _MOST)
        self._sounded[slot] = True

    def _spoke(self, index: int, fill: Index) -> None:
        """The judgement comes late by what it took to make it."""
        pairs = self._pairs
        place, source = int(pairs.place[index]), int(pairs.source[index])
        on = not pairs.spoke[index]
        pairs.spoke[index] = on
        if self._noted[place]:
            delay = START_TICKS - 1 if on else STOP_TICKS
            at = (int(fill[place]) - delay) * self._frame
            self._note(place, at, "speech" if on else "silence", self._state.names[source])

    def _lost(self, on: NDArray[np.bool_], fill: Index) -> None:
        pairs = self._pairs
        concealed = self._state.concealed[pairs.source]
        slots = concealed - pairs.concealed
        pairs.concealed = concealed
        for index in np.flatnonzero(on & (slots >= LOSS_SLOTS)):
            place, source = int(pairs.place[index]), int(pairs.source[index])
            if self._noted[place]:
                at = (int(fill[place]) + 1) * self._frame
                self._note(place, at, "loss", self._state.names[source], 10 * int(slots[index]))

    @property
    def _frame(self) -> int:
        return int(self._bank.shape[2])

    def _note(self, place: int, at: int, kind: str, leg: str, value: int = 0) -> None:
        self._notes.setdefault(place, []).append(Note(at, kind, leg, value))

    # -- when somebody comes or goes

    def _follow(self, plan: Plan) -> None:
        """The pairs of a new plan; what is known of those that were there before stays."""
        self._plan = plan
        bus = plan.bus_of[self._rows]
        low, high = np.searchsorted(plan.bus, bus, "left"), np.searchsorted(plan.bus, bus, "right")
        count = np.where(bus >= 0, high - low, 0)
        place = np.repeat(self._places, count)
        begin = np.cumsum(count) - count
        source = plan.source[np.repeat(low - begin, count) + np.arange(int(count.sum()))]
        place = np.append(place, np.fromiter(self._fixed, np.intp, len(self._fixed)))
        source = np.append(source, np.fromiter(self._fixed.values(), np.intp, len(self._fixed)))
        old, code = _codes(self._pairs.place, self._pairs.source), _codes(place, source)
        self._end_of_speech(~np.isin(old, code))
        pairs = _Pairs(
            place,
            source,
            np.full(place.size, -1, np.intp),
            np.zeros(place.size, np.bool_),
            self._state.concealed[source],
        )
        order = np.argsort(old)
        position = np.searchsorted(old[order], code)
        known = np.flatnonzero(np.isin(code, old))
        before = order[position[known]]
        pairs.slot[known] = self._pairs.slot[before]
        pairs.spoke[known] = self._pairs.spoke[before]
        pairs.concealed[known] = self._pairs.concealed[before]
        self._pairs = pairs
        for index in np.flatnonzero(~np.isin(code, old)):
            if int(place[index]) in self._slots and int(place[index]) not in self._fixed:
                pairs.slot[index] = self._slot(int(place[index]), self._name(int(source[index])))

    def _end_of_speech(self, gone: NDArray[np.bool_]) -> None:
        for index in np.flatnonzero(gone & self._pairs.spoke):
            place, source = int(self._pairs.place[index]), int(self._pairs.source[index])
            if self._noted.get(place):
                self._note(place, 0, "silence", self._state.names[source])

    def _name(self, source: int) -> str:
        return self._state.names[source] if self._state.kind[source] == LEG else SOUNDS

    def _slot(self, place: int, name: str) -> int:
        names = self._slots[place]
        if name not in names:
            if not self._free:
                self._grow()
            names[name] = self._free.pop()
        return names[name]

    def _grow(self) -> None:
        old = self._sounded.size
        self._bank = np.concatenate((self._bank, np.zeros_like(self._bank)))
        self._sounded = np.concatenate((self._sounded, np.zeros(old, np.bool_)))
        self._free.extend(range(2 * old - 1, old - 1, -1))

    def _keep(self, keep: NDArray[np.bool_]) -> None:
        pairs = self._pairs
        self._pairs = _Pairs(
            pairs.place[keep], pairs.source[keep], pairs.slot[keep], pairs.spoke[keep], pairs.concealed[keep]
        )


def _codes(place: Index, source: Index) -> NDArray[np.int64]:
    return place.astype(np.int64) << 32 | source


def plain(notes: Sequence[Note]) -> list[list[Any]]:
    """As what a spool keeps."""
    return [list(note) for note in notes]
