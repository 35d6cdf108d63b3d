"""Which sources are added up to which sums, what each listener hears of them, and what is encoded once for several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g711, g722, opus
from mixminus.media.mixing.matrix import Index, Plan

CROWD: Final = 24
"""Buses with more active sources than this are summed one by one; the others together, source by source."""
LAWS: Final = (g711.PCMU, g711.PCMA)
WIDE_LAWS: Final = (g722.G722_CODE, opus.OPUS_CODE)
"""Codecs above 8 kHz: mixed here too, encoded elsewhere."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which rows are added up to what, and which sums are encoded; holds until activity, plan or routes change.

    Sums (U) lie in order of their number of sources. Mixes are the U sums followed by the O sums less an own sound.
    """

    crowds: list[Index]
    """Source rows of each of the first sums, the large ones."""
    ranks: list[Index]
    """The n-th sources of the sums after those; entry n is as long as there are sums with more than n sources."""
    own_sum: Index
    own_row: Index
    """(O,) the sum, and the row whose sound is taken out; those of the crowds come first."""
    encode: list[tuple[int, Index]]
    """Law and mixes to encode in it, payload after payload."""
    payload: Index
    """(L,) payload of each listening leg; the first payloads are the silences of :data:`LAWS`."""
    place: Index
    """(buses,) sum of each bus, -1: silent now."""
    sums: int
    crowded: int
    """So many of the O, the first, are a crowd less an own sound."""

    @property
    def mixes(self) -> int:
        return self.sums + self.own_row.size

    def sources(self, number: int) -> list[int]:
        """Rows that are added up to a sum."""
        if number < len(self.crowds):
            crowd: list[int] = self.crowds[number].tolist()
            return crowd
        place = number - len(self.crowds)
        return [int(rows[place]) for rows in self.ranks if place < rows.size]


def lay_out(plan: Plan, active: NDArray[np.bool_], leg: Index, law: NDArray[np.uint8]) -> Layout:
    """Layout for rows ``active`` ((R,)) and the legs to be sent to: their rows and laws, (L,) each."""
    layout, mix = lay_out_mixes(plan, active, leg)
    encode, payload = _payloads(mix, law)
    return replace(layout, encode=encode, payload=payload)


def lay_out_mixes(plan: Plan, active: NDArray[np.bool_], leg: Index) -> tuple[Layout, Index]:
    """A layout that encodes nothing, and the mix that each leg ((L,)) hears, -1: silence."""
    sounding = active[plan.source]
    source, bus = plan.source[sounding], plan.bus[sounding]
    count = np.bincount(bus, minlength=plan.buses)
    order = np.argsort(-count, kind="stable")
    sums = int(np.count_nonzero(count))
    place = np.full(plan.buses, -1, np.intp)
    place[order[:sums]] = np.arange(sums)
    crowds, ranks = _ranked(source, bus, count, order[:sums], place)
    bus_of = plan.bus_of[leg]
    total = np.where(bus_of >= 0, count[bus_of], 0) if plan.buses else np.zeros(leg.size, np.intp)
    own = plan.within[leg] & active[leg] & (total > 0)
    mix = np.full(leg.size, -1, np.intp)
    shares = (total > 0) & ~own
    mix[shares] = place[bus_of[shares]]
    less = np.flatnonzero(own & (total > 1))
    in_crowd = place[bus_of[less]] < len(crowds)
    if crowds:
        less = less[np.argsort(~in_crowd, kind="stable")]
    mix[less] = sums + np.arange(less.size)
    crowded = int(np.count_nonzero(in_crowd))
    return Layout(crowds, ranks, place[bus_of[less]], leg[less], [], np.zeros(0, np.intp), place, sums, crowded), mix


def _ranked(source: Index, bus: Index, count: Index, order: Index, place: Index) -> tuple[list[Index], list[Index]]:
    first = np.cumsum(count) - count
    crowded = int(np.count_nonzero(count[order] > CROWD))
    crowds = [source[first[b] : first[b] + count[b]] for b in order[:crowded]]
    few = place[bus] >= crowded
    source, bus = source[few], bus[few]
    rank = np.arange(few.size)[few] - first[bus]
    in_order = np.lexsort((place[bus], rank))
    if not rank.size:
        return crowds, []
    return crowds, np.split(source[in_order], np.cumsum(np.bincount(rank))[:-1])


def _payloads(mix: Index, law: NDArray[np.uint8]) -> tuple[list[tuple[int, Index]], Index]:
    """One payload for each mix and law that some leg needs; -1 in ``mix`` is silence."""
    payload = np.zeros(mix.size, np.intp)
    encode: list[tuple[int, Index]] = []
    done = len(LAWS)
    for silence, this in enumerate(LAWS):
        mine = law == this
        payload[mine] = silence
        audible = mine & (mix >= 0)
        needed, position = np.unique(mix[audible], return_inverse=True)
        if needed.size:
            encode.append((this, needed))
            payload[audible] = done + position
            done += needed.size
    return encode, payload


def payload_rows(capacity: int) -> int:
    """The most payloads that ``capacity`` rows can need: a mix of its own for each, and the silences."""
    return len(LAWS) + capacity
