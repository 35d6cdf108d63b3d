"""Which worker has which room, and what is in the room. Pure.

A room lives whole on one worker, from the first thing that is put into it until the last has left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from mixminus.errors import MediaError

Kind: TypeAlias = Literal["leg", "player", "tap"]


class _Place(NamedTuple):
    worker: int
    room: str


class Roster:
    """Rooms, and the legs, players and taps in them."""

    def __init__(self) -> None:
        self._rooms: dict[str, int] = {}
        self._members: dict[str, set[tuple[Kind, str]]] = {}
        self._places: dict[tuple[Kind, str], _Place] = {}
        self._legs: Counter[int] = Counter()

    def place(self, room: str, loads: Sequence[Any], *, near: str | None = None) -> int:
        """The worker of ``room``; a new room goes to leg ``near``'s worker, else to the one with the least load."""
        if room not in self._rooms:
            beside = self._places.get(("leg", near)) if near is not None else None
            self._rooms[room] = beside.worker if beside else min(range(len(loads)), key=lambda worker: loads[worker])
            self._members[room] = set()
        return self._rooms[room]

    def put(self, kind: Kind, name: str, room: str) -> None:
        """``name`` is in ``room`` now, which must be placed, and in no other."""
        worker, old = self._rooms[room], self._places.get((kind, name))
        if kind == "leg":
            self._legs[worker] += 1
            if old is not None:
                self._legs[old.worker] -= 1
        self._places[kind, name] = _Place(worker, room)
        self._members[room].add((kind, name))
        if old is not None and old.room != room:
            self._leave(kind, name, old.room)

    def drop(self, kind: Kind, name: str) -> None:
        """``name`` is gone; one that is not there is fine."""
        place = self._places.pop((kind, name), None)
        if place is not None:
            self._legs[place.worker] -= kind == "leg"
            self._leave(kind, name, place.room)

    def legs(self, worker: int) -> int:
        """How many legs are on a worker."""
        return self._legs[worker]

    def has(self, kind: Kind, name: str) -> bool:
        return (kind, name) in self._places

    def worker_of(self, kind: Kind, name: str) -> int:
        """Raises MediaError for a stranger."""
        place = self._places.get((kind, name))
        if place is None:
            raise MediaError(f"there is no {kind} {name}")
        return place.worker

    def worker_of_room(self, room: str) -> int:
        """Raises MediaError for a room nothing was placed in."""
        if room not in self._rooms:
            raise MediaError(f"there is no room {room}")
        return self._rooms[room]

    def _leave(self, kind: Kind, name: str, room: str) -> None:
        members = self._members[room]
        members.discard((kind, name))
        if not members:
            del self._members[room], self._rooms[room]
