"""The mixer over many ticks at once: room by room, so that what is worked on stays in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g711
from mixminus.media.many_ticks.stretch_heard import Payloads, Played
from mixminus.media.mixing.layout import LAWS, Layout, lay_out
from mixminus.media.mixing.limiter import MOST, Limiter, follow_curve
from mixminus.media.mixing.matrix import Index, Plan
from mixminus.media.state import FRAME

Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Bounds = NDArray[np.float64]
Rows: TypeAlias = Index | slice
"""What rows of an array are meant: a slice wherever they are evenly spaced, for then nothing need be copied."""

PIECE: Final = 1 << 16
"""Samples of all mixes worked on at a time."""
TOGETHER: Final = 12
"""Mixes from which a part is full; one that comes of a large room may have many more."""
FEW: Final = 8
"""Sources that are added up again rather than that their sum is kept."""
_WRAP: Final = 1 << 16
"""What a sum in 16 bits is wrong by, if it is."""


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
    crowds: list[Rows]
    ranks: list[tuple[slice, Rows]]
    """Sums of at least so many sources, and the source that is then added to each."""
    less: list[tuple[int, slice, Rows]]
    """Sum, mixes that are it less an own sound, and whose sound that is."""
    encode: list[tuple[int, Rows, Index]]
    """Law, mixes to encode in it, and the numbers of these payloads."""
    number: Index
    """(U + O,) of its mixes in the layout."""


class _Doubt(NamedTuple):
    """Mixes that might not fit into 16 bits. One that does not comes out wrong by 65536, and so beyond ``limit``."""

    mixes: Rows
    limit: float
    less: bool
    """Whether some of them are less an own sound."""

    def is_unfounded(self, mixes: Pcm) -> bool:
        """Whether all fit, of mixes made in 16 bits, (N, W)."""
        mine = mixes[self.mixes]
        return not mine.size or bool(mine.max() < self.limit and mine.min() > -self.limit)


def bounds(layout: Layout, loudest: Bounds, peak: Bounds) -> Bounds:
    """(mixes,) what no sample of each can be beyond, given that of each bus, (buses,), and of each row, (R,)."""
    most = np.empty(layout.mixes)
    sounding = np.flatnonzero(layout.place >= 0)
    most[layout.place[sounding]] = loudest[sounding]
    most[layout.sums :] = most[layout.own_sum] - peak[layout.own_row]
    return most


class StretchMixer:
    """What was arranged for one stretch serves the next, as long as the same rows sound."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._arranged: tuple[Plan, Index, Index, Flags] | None = None
        self._layout: Layout
        self._parts: list[_Part]
        self._room: Pcm = np.empty(0, np.int16)
        """For sums that are not kept."""

    def arrange(self, plan: Plan, leg: Index, law: NDArray[np.uint8], row: Index, sounding: Flags) -> Layout:
        """How rows ``sounding`` (R,), all of them among the sources ``row`` (N,), are mixed for legs.

        ``leg``, ``law``: (L,) their rows and laws; new arrays whenever they are others.
        """
        last = self._arranged
        known = last is not None and last[0] is plan and last[1] is leg
        if last is None or not known or not (np.array_equal(last[2], row) and np.array_equal(last[3], sounding)):
            place = np.zeros(sounding.size, np.intp)
            place[row] = np.arange(row.size)
            self._layout = lay_out(plan, sounding, leg, law)
            self._parts = list(_parts(self._layout, place))
            self._arranged = (plan, leg, row, sounding)
        self._limiter.follow(plan, self._layout)
        return self._layout

    def run(self, sound: Pcm, most: Bounds, played: Played) -> tuple[Pcm, Payloads]:
        """``sound`` (N, K * S) of the sources; ``most`` (mixes,), what :func:`bounds` says; ``played``: by the streams.

        Returns: every sum, (sums, K * S), valid until the next; and the payloads, numbered as in the layout.
        """
        keep = len(sound) > played.row.size or bool(self._layout.crowds) or len(self._layout.ranks) > FEW
        sums = self._take_room(sound.shape[1], keep=keep)
        made: dict[int, Bytes] = {}
        for part in self._parts:
            doubt = None if self._limiter.turns_down(part.number) else _doubt(most[part.number], part.sums)
            mine = sums[part.begin : part.begin + part.sums]
            if doubt is None or doubt.less or not _sum_up(part, sound, doubt, mine):
                made |= self._mix(part, sound, doubt, mine)
        self._limiter.settle()
        return sums, Payloads(self._layout, played, made, sums if keep else None)

    def _take_room(self, size: int, *, keep: bool) -> Pcm:
        """(U, size) for the sums. Fresh memory takes longer to be had than to be filled."""
        shape = (self._layout.sums, size)
        if keep:
            return np.empty(shape, np.int16)
        wanted = shape[0] * size
        if self._room.size < wanted:
            self._room = np.empty(wanted, np.int16)
        return self._room[:wanted].reshape(shape)

    def _mix(self, part: _Part, sound: Pcm, doubt: _Doubt | None, sums: Pcm) -> dict[int, Bytes]:
        """Fill ``sums`` (U, K * S); returns the payloads of the part."""
        payload = [np.empty((row.size, sound.shape[1]), np.uint8) for _, _, row in part.encode]
        for columns in _pieces(part, sound):
            mixes = self._mixed(part, sound[:, columns], doubt)
            sums[:, columns] = mixes[: part.sums]
            for (law, needed, _), out in zip(part.encode, payload, strict=True):
                out[:, columns] = g711.encode(law, mixes[needed])
        made: dict[int, Bytes] = {}
        for (_, _, row), rows in zip(part.encode, payload, strict=True):
            made.update(zip(row.tolist(), rows, strict=True))
        return made

    def _mixed(self, part: _Part, frame: Pcm, doubt: _Doubt | None) -> Pcm:
        """(U + O, W) of ``frame`` (N, W). ``doubt``: ``None`` if 16 bits will not do."""
        mixes = np.empty((part.number.size, frame.shape[1]), np.int16)
        if doubt is not None:
            _add(part, frame, mixes)
            _take_out(part, frame, mixes)
            if doubt.is_unfounded(mixes):
                return mixes
        total = np.empty(mixes.shape, np.int32)
        _add(part, frame, total)
        _take_out(part, frame, total)
        if part.crowds:
            self._finish_crowds(part, total, mixes)
        else:
            self._limiter.finish_ticks(total, part.number, mixes)
        return mixes

    def _finish_crowds(self, part: _Part, total: NDArray[np.int32], mixes: Pcm) -> None:
        """A part with crowds in it, (U + O, W) from ``total`` to ``mixes``; as the mixer does it tick by tick."""
        crowds = len(part.crowds)
        curve = self._limiter.finish_crowds(total[:crowds], part.begin, mixes[:crowds], FRAME)
        alone = np.arange(len(total)) >= crowds
        for at, less, _ in part.less:
            if at < crowds:
                follow_curve(total[less], None if curve is None else curve[at], mixes[less])
                alone[less] = False
        if alone.any():
            limited = np.empty((int(alone.sum()), total.shape[1]), np.int16)
            self._limiter.finish_ticks(total[alone], part.number[alone], limited)
            mixes[alone] = limited


def _doubt(most: Bounds, sums: int) -> _Doubt | None:
    """Of mixes of which no sample can be beyond ``most`` (N,), sums first; ``None``: 16 bits will not do."""
    beyond = np.flatnonzero(most > MOST)
    if not beyond.size:
        return _Doubt(slice(0), _WRAP, False)
    limit = _WRAP - float(most[beyond].max())
    return _Doubt(_rows(beyond), limit, int(beyond[-1]) >= sums) if limit > 0 else None


def _pieces(part: _Part, sound: Pcm) -> list[slice]:
    """Columns to be worked on at a time."""
    width = max(1, PIECE // part.number.size // FRAME) * FRAME
    return [slice(begin, begin + width) for begin in range(0, sound.shape[1], width)]


def _sum_up(part: _Part, sound: Pcm, doubt: _Doubt, sums: Pcm) -> bool:
    """Fill ``sums`` (U, K * S) in 16 bits; whether they are right."""
    for columns in _pieces(part, sound):
        total = sums[:, columns]
        _add(part, sound[:, columns], total)
        if not doubt.is_unfounded(total):
            return False
    return True


def _add(part: _Part, frame: Pcm, total: NDArray[Any]) -> None:
    """Fill the sums of ``total`` (U or more, W) with samples of its own type, modulo what that can hold."""
    for at, rows in enumerate(part.crowds):
        np.sum(frame[rows], axis=0, dtype=total.dtype, out=total[at])
    for rank, (sums, rows) in enumerate(part.ranks):
        if rank == 0:
            total[sums] = frame[rows]
        else:
            total[sums] += frame[rows]


def _take_out(part: _Part, frame: Pcm, total: NDArray[Any]) -> None:
    """Fill the rest of ``total`` (U + O, W): sums less an own sound."""
    for at, mixes, rows in part.less:
        np.subtract(total[at], frame[rows], out=total[mixes])


def _parts(layout: Layout, place: Index) -> Iterator[_Part]:
    """The layout, cut where one sum ends and the next begins. Mixes of a part need not be neighbours in the layout."""
    if not layout.sums:
        return
    weight = 1 + np.bincount(layout.own_sum, minlength=layout.sums)
    part_of_sum = (np.cumsum(weight) - weight) // TOGETHER
    begin = [*np.unique(part_of_sum, return_index=True)[1].tolist(), layout.sums]
    own = _split(layout.own_sum, layout.sums)
    number = [
        np.concatenate((np.arange(low, high), *(layout.sums + mine for mine in own[low:high])))
        for low, high in pairwise(begin)
    ]
    encode = _encoding(layout, number)
    for at, (low, high) in enumerate(pairwise(begin)):
        crowds = [_rows(place[rows]) for rows in layout.crowds[low:high]]
        skip, end = max(0, low - len(layout.crowds)), max(0, high - len(layout.crowds))
        ranks = [
            (slice(len(crowds), len(crowds) + min(end, rows.size) - skip), _rows(place[rows[skip:end]]))
            for rows in layout.ranks
            if skip < min(end, rows.size)
        ]
        less = [
            (sum_ - low, mixes, _rows(place[layout.own_row[mine]]))
            for sum_, mine, mixes in zip(
                range(low, high), own[low:high], _in_turn(high - low, own[low:high]), strict=True
            )
            if mine.size
        ]
        yield _Part(low, high - low, crowds, ranks, less, encode[at], number[at])


def _in_turn(begin: int, parts: list[Index]) -> list[slice]:
    """Where these lie when they follow each other from ``begin`` on."""
    ends = (begin + np.cumsum([part.size for part in parts])).tolist()
    return [slice(first, end) for first, end in pairwise([begin, *ends])]


def _encoding(layout: Layout, number: list[Index]) -> list[list[tuple[int, Rows, Index]]]:
    """For each part, whose mixes are ``number``, what it encodes."""
    part, local = np.empty(layout.mixes, np.intp), np.empty(layout.mixes, np.intp)
    for at, mixes in enumerate(number):
        part[mixes], local[mixes] = at, np.arange(mixes.size)
    found: list[list[tuple[int, Rows, Index]]] = [[] for _ in number]
    done = len(LAWS)
    for law, needed in layout.encode:
        for at, mine in enumerate(_split(part[needed], len(number))):
            if mine.size:
                found[at].append((law, _rows(local[needed[mine]]), done + mine))
        done += needed.size
    return found


def _split(part: Index, parts: int) -> list[Index]:
    """For each part, in order, where ``part`` names it."""
    order = np.argsort(part, kind="stable")
    return np.split(order, np.searchsorted(part[order], np.arange(1, parts)))


def _rows(index: Index) -> Rows:
    """The same rows, as a slice if that can be."""
    first, step = int(index[0]), int(index[1] - index[0]) if index.size > 1 else 1
    if step > 0 and (np.diff(index) == step).all():
        return slice(first, first + step * index.size, step)
    return index
