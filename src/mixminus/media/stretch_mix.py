"""The mixer over many ticks at once: room by room, so that what is worked on stays in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g711
from mixminus.media.layout import LAWS, Layout
from mixminus.media.limiter import MOST, Limiter
from mixminus.media.matrix import Index
from mixminus.media.state import FRAME

Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

PIECE: Final = 1 << 16
"""Samples of all mixes worked on at a time."""
TOGETHER: Final = 12
"""Mixes from which a part is full; one that comes of a large room may have many more."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that may be mixed: rows (N,), their samples (N, K * S), and in which ticks (N, K) they are active.

    Samples are zero where a row is not active, except for rows that never are.
    """

    row: Index
    sound: Pcm
    active: Flags

    def silence(self) -> None:
        """Zero the samples of rows in the ticks in which they are not active."""
        for at in np.flatnonzero(self.active.any(axis=1) & ~self.active.all(axis=1)).tolist():
            self.sound[at].reshape(-1, FRAME)[~self.active[at]] = 0


@dataclass(frozen=True, slots=True)
class _Part:
    """Some sums and the mixes that come of them: U sums, the first of them number ``begin``, then O less an own sound.

    Sources are named by their places in :class:`Sources`, mixes by their places in the part.
    """

    begin: int
    sums: int
    crowds: list[Index]
    ranks: list[Index]
    own_sum: Index
    own: Index
    encode: list[tuple[int, Index, Index]]
    """Law, mixes to encode in it, and rows of the payload they go to."""
    number: Index
    """(U + O,) of its mixes in the layout."""


def mix(
    layout: Layout, source: Sources, capacity: int, limiter: Limiter, loudest: NDArray[np.float64]
) -> tuple[Pcm, Bytes]:
    """``loudest``: (buses,) what no sample of each can be beyond, with all of its sources at their peaks.

    Returns: every sum, (sums, K * S); and the payloads (Q, K * S), numbered as in the layout.
    """
    size = source.sound.shape[1]
    place = np.zeros(capacity, np.intp)
    place[source.row] = np.arange(source.row.size)
    sums = np.empty((layout.sums, size), np.int16)
    payload = np.empty((len(LAWS) + sum(needed.size for _, needed in layout.encode), size), np.uint8)
    for at, law in enumerate(LAWS):
        payload[at] = g711.SILENCE[law]
    fits = np.zeros(layout.sums, np.bool_)
    fits[layout.place[layout.place >= 0]] = loudest[layout.place >= 0] <= MOST
    for part in _parts(layout, place):
        quiet = bool(fits[part.begin : part.begin + part.sums].all()) and not limiter.turns_down(part.number)
        width = max(1, PIECE // part.number.size // FRAME) * FRAME
        for begin in range(0, size, width):
            columns = slice(begin, begin + width)
            frame = source.sound[:, columns]
            mixes = np.empty((part.number.size, frame.shape[1]), np.int16)
            if quiet:
                _mix(part, frame, mixes)
            else:
                total = np.empty(mixes.shape, np.int32)
                _mix(part, frame, total)
                limiter.finish_ticks(total, part.number, mixes)
            sums[part.begin : part.begin + part.sums, columns] = mixes[: part.sums]
            for law, needed, row in part.encode:
                payload[row, columns] = g711.encode(law, _rows(mixes, needed))
    limiter.settle()
    return sums, payload


def _rows(mixes: Pcm, needed: Index) -> Pcm:
    first, end = int(needed[0]), int(needed[-1]) + 1
    return mixes[first:end] if end - first == needed.size else mixes.take(needed, axis=0)


def _mix(part: _Part, frame: Pcm, total: NDArray[Any]) -> None:
    """Fill ``total`` (U + O, W) with samples of its own type; in 16 bits, all that is needed must fit."""
    for at, rows in enumerate(part.crowds):
        np.sum(frame[rows], axis=0, dtype=total.dtype, out=total[at])
    base = len(part.crowds)
    for rank, rows in enumerate(part.ranks):
        if rank == 0:
            total[base : base + rows.size] = frame[rows]
        else:
            total[base : base + rows.size] += frame[rows]
    np.subtract(total[part.own_sum], frame[part.own], out=total[part.sums :])


def _parts(layout: Layout, place: Index) -> Iterator[_Part]:
    """The layout, cut where one sum ends and the next begins. Mixes of a part need not be neighbours in the layout."""
    if not layout.sums:
        return
    weight = 1 + np.bincount(layout.own_sum, minlength=layout.sums)
    part_of_sum = (np.cumsum(weight) - weight) // TOGETHER
    _, first = np.unique(part_of_sum, return_index=True)
    begin = [*first.tolist(), layout.sums]
    part_of_own = np.searchsorted(first, layout.own_sum, "right") - 1
    own = _split(part_of_own, first.size)
    local = np.arange(layout.mixes)
    for at, mine in enumerate(own):
        local[begin[at] : begin[at + 1]] -= begin[at]
        local[layout.sums + mine] = begin[at + 1] - begin[at] + np.arange(mine.size)
    part_of_mix = np.concatenate((np.repeat(np.arange(first.size), np.diff(begin)), part_of_own))
    encode = _encoding(layout, part_of_mix, local, first.size)
    for at, mine in enumerate(own):
        low, high = begin[at], begin[at + 1]
        crowds = [place[rows] for rows in layout.crowds[low:high]]
        skip, end = max(0, low - len(layout.crowds)), max(0, high - len(layout.crowds))
        ranks = [place[rows[skip:end]] for rows in layout.ranks if skip < min(end, rows.size)]
        less = layout.own_sum[mine] - low
        number = np.concatenate((np.arange(low, high), layout.sums + mine))
        yield _Part(low, high - low, crowds, ranks, less, place[layout.own_row[mine]], encode[at], number)


def _encoding(layout: Layout, part_of_mix: Index, local: Index, parts: int) -> list[list[tuple[int, Index, Index]]]:
    """For each part what it encodes."""
    found: list[list[tuple[int, Index, Index]]] = [[] for _ in range(parts)]
    done = len(LAWS)
    for law, needed in layout.encode:
        for part, mine in enumerate(_split(part_of_mix[needed], parts)):
            if mine.size:
                found[part].append((law, local[needed[mine]], done + mine))
        done += needed.size
    return found


def _split(part: Index, parts: int) -> list[Index]:
    """For each part, in order, where ``part`` names it."""
    order = np.argsort(part, kind="stable")
    return np.split(order, np.searchsorted(part[order], np.arange(1, parts)))
