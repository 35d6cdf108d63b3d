"""Who hears whom: the factored masks, expanded in full (the truth) and as a plan for the mixer (the same, fast).

Listener l hears source s when they share a room, ``hear[l] & talk[s] != 0`` and l is not s. Everything else is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]
Masks = NDArray[np.uint64]
Rooms = NDArray[np.int32]
_CODE_BITS: Final = 64


def expand(room: Rooms, talk: Masks, hear: Masks) -> NDArray[np.bool_]:
    """(R, R) bool: row l, column s is whether l hears s. ``room`` -1 is no room: hears and is heard by nobody."""
    heard: NDArray[np.bool_] = (hear[:, None] & talk[None, :]) != 0
    heard &= (room[:, None] == room[None, :]) & (room >= 0)[:, None]
    np.fill_diagonal(heard, False)
    return heard


@dataclass(frozen=True, slots=True)
class Plan:
    """A bus is a set of sources of one room that somebody hears; listeners of the same set share it.

    What listener l hears is the sum of bus ``bus_of[l]``, less its own sound where ``within[l]``.
    """

    buses: int
    source: Index
    """(E,) rows, in order of their bus."""
    bus: Index
    """(E,) bus of each."""
    bus_of: Index
    """(R,) bus of each listener, -1: hears nobody."""
    within: NDArray[np.bool_]
    """(R,) is itself a source of its bus."""


def build_plan(room: Rooms, talk: Masks, hear: Masks) -> Plan:
    """Plan of R rows; room -1 is no room. Cost follows the number of (bus, source) pairs, not of (row, row) pairs."""
    bus_of = np.full(room.size, -1, np.intp)
    within = (room >= 0) & (hear & talk != 0)
    source = np.flatnonzero((room >= 0) & (talk != 0))
    listener = np.flatnonzero((room >= 0) & (hear != 0))
    # Sources of a room with equal masks form a class: heard together or not at all.
    source, class_first = _group(source, room, talk)
    class_size = np.diff(class_first, append=source.size)
    class_room, class_talk = room[source[class_first]], talk[source[class_first]]
    listener, want_first = _group(listener, room, hear)
    want_room, want_hear = room[listener[want_first]], hear[listener[want_first]]
    # Every distinct wish (room, hear) against the classes of its room.
    low = np.searchsorted(class_room, want_room, "left")
    count = np.searchsorted(class_room, want_room, "right") - low
    wish = np.repeat(np.arange(want_room.size), count)
    nth = _ranges(np.zeros_like(count), count)
    group = low[wish] + nth
    hit = np.flatnonzero(want_hear[wish] & class_talk[group])
    wish, group, nth = wish[hit], group[hit], nth[hit]
    code = _codes(wish, nth, count, want_hear)
    served = np.unique(wish)
    # Wishes with the same set of classes are one bus.
    order, first = _group(served, want_room, code)
    bus_of_wish = np.full(want_room.size, -1, np.intp)
    bus_of_wish[order] = np.repeat(np.arange(first.size), np.diff(first, append=order.size))
    bus_of[listener] = np.repeat(bus_of_wish, np.diff(want_first, append=listener.size))
    keep, bus = _classes_of(order[first], wish, group)
    return Plan(
        buses=first.size,
        source=source[_ranges(class_first[keep], class_size[keep])],
        bus=np.repeat(bus, class_size[keep]),
        bus_of=bus_of,
        within=within,
    )


def _group(items: Index, major: NDArray[np.int32], minor: Masks) -> tuple[Index, Index]:
    """``items`` sorted by (major, minor) of each, and where each run of equal pairs begins."""
    items = items[np.lexsort((minor[items], major[items]))]
    a, b = major[items], minor[items]
    new = np.ones(items.size, np.bool_)
    new[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    return items, np.flatnonzero(new)


def _ranges(first: Index, count: Index) -> Index:
    """first[0], first[0]+1, ... (count[0] of them), first[1], ..."""
    begin = np.cumsum(count) - count
    return np.repeat(first - begin, count) + np.arange(int(count.sum()))


def _codes(wish: Index, nth: Index, count: Index, want_hear: Masks) -> Masks:
    """(W,) what set of its room's classes each wish is: one bit per class.

    A room of more than 64 classes has no such code: there wishes are told apart by their masks, and equal sets may make
    two buses, which costs time only.
    """
    code = np.zeros(count.size, np.uint64)
    bits = np.uint64(1) << (nth % _CODE_BITS).astype(np.uint64)
    np.bitwise_or.at(code, wish, bits)
    return np.where(count > _CODE_BITS, want_hear, code)


def _classes_of(chosen: Index, wish: Index, group: Index) -> tuple[Index, Index]:
    """Classes of the chosen wish of each bus, in order of the buses, and the bus of each. ``wish`` is sorted."""
    low = np.searchsorted(wish, chosen, "left")
    count = np.searchsorted(wish, chosen, "right") - low
    return group[_ranges(low, count)], np.repeat(np.arange(chosen.size), count)
