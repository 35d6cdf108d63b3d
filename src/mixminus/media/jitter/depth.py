"""How deep the jitter buffer of every leg is, and shall be.

What is known of a network is a histogram for each leg: how late its packets came, in slots, against a clock that runs
evenly. A depth that fits is weighed up, not fixed to a share of packets: a packet that comes too late costs as much as
``LOSS_MS`` of delay for each percent of them. What the depth has too much or lacks is owed to the playout, which
takes it out of the sound, or puts it in, by time scaling (:mod:`mixminus.media.jitter.timescale`).

Depth here is ``2 * tick - play``: that of a packet in time is at least its lateness ``2 * tick - slot`` on arrival.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.state import BINS, FRAME_SLOTS, SLOT, MediaState

Index = NDArray[np.intp]
Slots = NDArray[np.int64]
Flags = NDArray[np.bool_]
Shares = NDArray[np.float64]

MAX_DELAY: Final = 20
"""Slots (200 ms): the most that a jittery network may make us hold back."""
WINDOW: Final = 100
"""Ticks (2 s) after which each leg's depth is looked at again, whatever happened."""
SOON: Final = 10
"""The same, ticks, when packets have come unevenly."""
LOSS_MS: Final = 100
"""Milliseconds of delay that are as bad as one more percent of packets too late."""
DOUBT: Final = 0.01
"""Share of packets expected to be later than any was, by a frame."""
LEAST: Final = 200
"""Packets that are always remembered, however seldom they come: 4 s and more, for the late ones are few."""
DEADBAND: Final = SLOT * 3 // 2
"""Samples of surplus that are left alone."""
_PACKET: Final = 256
"""Weight of a fresh packet."""
_EARLIEST: Final = -44
"""The histogram's first bin, against the present depth."""
_OFFSETS: Final = np.arange(_EARLIEST, _EARLIEST + BINS, dtype=np.int64)
_RARE: Final = 0.01
"""Share of packets that may be earlier than those the limit of delay counts from."""
_GIVEN_UP: Final = 0.1
"""Share of packets later than MAX_DELAY that may be given up; were there more, little would be left of the speech."""


def note(state: MediaState, row: Index, late: Slots) -> None:
    """Packets have come, one of each row, that were ``late`` ((A,) slots)."""
    state.lateness.reshape(-1)[row * BINS + late % BINS] += _PACKET


def note_any(state: MediaState, row: Index, late: Slots, tick: int) -> None:
    """The same of packets that may be later or earlier than the histogram is wide."""
    depth = FRAME_SLOTS * tick - state.play[row]
    note(state, row, late.clip(depth + _EARLIEST, depth + _EARLIEST + BINS - 1))


def forget(state: MediaState, row: Index) -> None:
    """What these rows' packets did before says nothing any more."""
    state.lateness[row] = 0
    state.unsteady[row] = True
    state.owed[row] = 0
    state.bounded[row] = False


def review(state: MediaState, tick: int) -> None:
    """Once every WINDOW ticks for each running row, sooner if it is unsteady: what is owed; what is old, fades."""
    due = np.arange(-tick % WINDOW, state.capacity, WINDOW)
    due = due[state.started[due]]
    if due.size:
        fade(state.lateness, due)
    some = np.arange(-tick % SOON, state.capacity, SOON)
    some = some[state.unsteady[some] & state.started[some]]
    both = np.union1d(due, some) if some.size else due
    if both.size:
        state.unsteady[both] = False
        owe(state, both, tick)


def owe(state: MediaState, row: Index, tick: int) -> None:
    """Compare the depth of rows with what it should be."""
    late = FRAME_SLOTS * tick - state.play[row]
    aim, middle, beyond = weigh(_unrolled(state.lateness, row, late))
    state.margin[row] = (aim - middle).clip(FRAME_SLOTS, MAX_DELAY)
    state.owed[row] = _owed(aim, state.held[row])
    state.bounded[row] = _is_bounded(beyond)


def _unrolled(lateness: NDArray[np.int32], row: Index, depth: Slots) -> NDArray[np.int32]:
    """Histograms of rows, (A, BINS): from bin _EARLIEST of their ``depth`` ((A,)) on, not by lateness modulo BINS."""
    place = (depth + _EARLIEST)[:, None] + np.arange(BINS)
    place &= BINS - 1
    place += row[:, None] * BINS
    return lateness.take(place)


def _is_bounded(beyond: Shares) -> Flags:
    """Of shares of packets later than MAX_DELAY, (A,): some, but not too many."""
    bounded: Flags = (beyond > _RARE) & (beyond < _GIVEN_UP)
    return bounded


def _owed(aim: Slots, held: NDArray[np.int32]) -> Slots:
    """Samples too much, negative: too few; ``aim`` (A,) slots of depth that should be added, ``held`` samples that were
    taken out of the buffer already.
    """
    surplus = held - aim * SLOT
    return np.where(aim > 0, -aim * SLOT, np.where(surplus >= DEADBAND, surplus, 0))


def weigh(lateness: NDArray[np.int32]) -> tuple[Slots, Slots, Shares]:
    """The depth that fits histograms, (A, BINS) from bin _EARLIEST on, the middle of them, and the share of packets
    that are later than any depth may be, (A,) each.

    Depth and middle against the present depth. Without packets that is right, and a frame below it the middle.
    """
    came = np.flatnonzero(lateness.any(axis=0))
    if not came.size:
        rows = len(lateness)
        return np.zeros(rows, np.int64), np.full(rows, -FRAME_SLOTS, np.int64), np.zeros(rows)
    some = slice(0, int(came[-1]) + 1 + FRAME_SLOTS)
    lateness, offset = lateness[:, some], _OFFSETS[some]  # a depth beyond these is never better
    counted = np.cumsum(lateness, axis=1, dtype=np.int64)
    total = counted[:, -1]
    within = counted / np.maximum(total, 1)[:, None]
    beyond = 1 - within
    feared = np.concatenate((np.ones((len(total), FRAME_SLOTS)), beyond), axis=1)[:, : offset.size]
    cost = 10 * offset + 100 * LOSS_MS * (beyond + DOUBT * (feared - beyond))
    first = np.argmax(within > _RARE, axis=1)
    cost[np.arange(offset.size) > first[:, None] + MAX_DELAY] = np.inf
    known = total > 0
    aim = np.where(known, offset[np.argmin(cost, axis=1)], 0)
    middle = np.where(known, offset[np.argmax(within >= 0.5, axis=1)], -FRAME_SLOTS)
    deepest = np.minimum(first + MAX_DELAY, offset.size - 1)
    return aim, middle, np.where(known, beyond[np.arange(first.size), deepest], 0)


def fade(lateness: NDArray[np.int32], row: Index) -> None:
    """Histograms of more than LEAST packets are halved."""
    full = row[lateness[row].sum(axis=1) > LEAST * _PACKET]
    if full.size:
        lateness[full] >>= 1


def in_turn(wants: Flags, most: int, turn: int) -> Flags:
    """(A,) which of the rows ((A,)) that want something have it in this turn, ``most`` of them."""
    all_of_them = np.flatnonzero(wants)
    if all_of_them.size <= most:
        return wants
    chosen = np.zeros(wants.size, np.bool_)
    chosen[all_of_them.take(np.arange(most) + turn * most, mode="wrap")] = True
    return chosen


def steady_ticks(state: MediaState, row: Index, tick: int, most: int) -> int:
    """Ticks, at most ``most``, before one in which something would be owed, should rows go on without any jitter.

    The first of them is ``tick``; 0: something is owed already.
    """
    if state.owed[row].any() or state.unsteady[row].any():
        return 0
    return _pass(state, row, tick, most, keep=False)


def pass_ticks(state: MediaState, row: Index, tick: int, ticks: int) -> None:
    """What ``ticks`` ticks without any jitter leave behind: the very same as noting and reviewing in each."""
    _pass(state, row, tick, ticks, keep=True)


def _pass(state: MediaState, row: Index, tick: int, ticks: int, *, keep: bool) -> int:
    lateness, held = state.lateness[row], state.held[row]
    depth = FRAME_SLOTS * tick - state.play[row]
    bin_ = (FRAME_SLOTS * tick - state.end[row]) % BINS
    noted = np.zeros(row.size, np.int64)
    due = -(row + tick) % WINDOW
    for at in (due + more for more in range(0, ticks, WINDOW)):
        now = np.flatnonzero(at < ticks)
        if not now.size:
            break
        lateness[now, bin_[now]] += (_PACKET * (at + 1 - noted)[now]).astype(np.int32)
        noted[now] = at[now] + 1
        fade(lateness, now)
        aim, middle, beyond = weigh(_unrolled(lateness, now, depth[now]))
        owing = _owed(aim, held[now]) != 0
        if keep:
            state.margin[row[now]] = (aim - middle).clip(FRAME_SLOTS, MAX_DELAY)
            state.bounded[row[now]] = _is_bounded(beyond)
        elif owing.any():
            return int(at[now][owing].min())
    if keep:
        lateness[np.arange(row.size), bin_] += (_PACKET * (ticks - noted)).astype(np.int32)
        state.lateness[row] = lateness
    return ticks
