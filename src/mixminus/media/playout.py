"""Jitter slots → this tick's samples of every leg; what is missing is concealed, what is too much taken out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media import conceal
from mixminus.media.codecs import g711
from mixminus.media.state import FOREVER, FRAME, FRAME_SLOTS, RATE, SLOT, SLOTS, TAIL, MediaState

Index = NDArray[np.intp]
Slots = NDArray[np.int64]
Flags = NDArray[np.bool_]
Pcm = NDArray[np.int16]

WINDOW: Final = 100
"""Ticks (2 s) over which a surplus must last before it is taken out."""
MEMORY: Final = TAIL // FRAME
"""Ticks after a gap for which what was made up is still needed, should another come."""
_BEFORE: Final = np.arange(-TAIL // SLOT, 0, dtype=np.int64)
_HALVES: Final = np.arange(FRAME_SLOTS, dtype=np.int64)
_BLEND: Final = (np.arange(FRAME, dtype=np.float32) + 0.5) / np.float32(FRAME)


def pull(state: MediaState, tick: int) -> tuple[Index, Pcm]:
    """Take one frame of every running stream of G.711.

    Returns: rows that have one, (A,), and their samples, (A, S). Rows nobody listens to are moved on but not decoded;
    rows in a pause, or lost for longer than concealment lasts, have none.
    """
    row = np.flatnonzero(state.started & (state.rate == RATE))
    first = state.play[row]
    number = first[:, None] + _HALVES
    place = row[:, None] * SLOTS + number % SLOTS
    hold = state.hold[row]
    present: Flags = (state.stamp.reshape(-1)[place] == number) & (hold == 0)[:, None]
    whole = np.logical_and.reduce(present, axis=1)
    heard = (state.talk[row] != 0) | state.inband[row]
    resumes = (state.good[row] < first - 1) & (state.quiet_to[row] < first)
    troubled = ~whole | resumes | (state.faked_at[row] >= tick - MEMORY)
    state.good[row[whole & ~troubled]] = first[whole & ~troubled] + 1
    straight = np.flatnonzero(~troubled & heard)
    pcm = _decode(state, row[straight], place[straight])
    rows = row[straight]
    if troubled.any():
        hole = np.flatnonzero(troubled)
        patched, patch = _patch(state, row[hole], number[hole], place[hole], present[hole], heard[hole], tick)
        rows, pcm = np.concatenate((rows, patched)), np.concatenate((pcm, patch))
    state.play[row] = first + FRAME_SLOTS - hold
    state.hold[row] = 0
    _shrink(state, row, whole, first, tick, rows, pcm)
    state.slack[row] = np.minimum(state.slack[row], state.end[row] - state.play[row])
    return rows, pcm


def _decode(state: MediaState, row: Index, place: Index) -> Pcm:
    """(A, N) places of the ring → (A, 80 N) samples, each in its leg's law."""
    payload = state.ring.reshape(-1, SLOT).take(place, axis=0).reshape(-1, place.shape[1] * SLOT)
    alaw = state.law[row] == g711.PCMA
    if not alaw.any():
        return g711.decode(g711.PCMU, payload)
    if alaw.all():
        return g711.decode(g711.PCMA, payload)
    pcm = np.empty(payload.shape, np.int16)
    pcm[~alaw] = g711.decode(g711.PCMU, payload[~alaw])
    pcm[alaw] = g711.decode(g711.PCMA, payload[alaw])
    return pcm


def _patch(
    state: MediaState, row: Index, number: Slots, place: Index, present: Flags, heard: Flags, tick: int
) -> tuple[Index, Pcm]:
    """Frames that lack a slot or both, or come soon after such: gaps are filled; pauses stay silent."""
    last = state.good[row]
    state.faked_run[row[(last == number[:, 0] - 1) & (state.faked_at[row] < tick - 1)]] = 0
    good = np.stack((last, np.where(present[:, 0], number[:, 0], last)), axis=1)
    state.good[row] = np.where(present[:, 1], number[:, 1], good[:, 1])
    run = number - good - 1
    meant = (state.quiet_from[row, None] <= number) & (number < state.quiet_to[row, None])
    faked = ~present & ~meant & (run >= 0) & (run < conceal.FADE_SLOTS)
    known = number < state.end[row, None]
    state.concealed[row] += (faked & known).sum(axis=1)
    state.gap[row] += (faked & ~known).sum(axis=1)

    some = np.flatnonzero((present | faked).any(axis=1) & heard)
    row, present, faked = row[some], present[some], faked[some]
    pcm = _decode(state, row, place[some]).reshape(-1, FRAME_SLOTS, SLOT)
    pcm[~present] = 0
    tail = _history(state, row, number[some, 0], tick)
    for part in range(FRAME_SLOTS):
        tail = _conceal(state, row, present[:, part], faked[:, part], tail, pcm[:, part])
    state.tail[row] = tail
    state.tail_at[row] = tick
    state.faked_at[row[faked.any(axis=1)]] = tick
    return row, pcm.reshape(-1, FRAME)


def _conceal(state: MediaState, row: Index, present: Flags, faked: Flags, tail: Pcm, pcm: Pcm) -> Pcm:
    """Fill the ``faked`` slots of ``pcm`` ((A, 80)), and cross over to those ``present`` after a faked one.

    ``tail`` is what was played so far; returns it with this slot, (A, 480): what was made up is not faded there.
    """
    run = state.faked_run[row]
    kept = pcm.copy()
    made = np.flatnonzero(faked | (present & (run > 0)))
    if made.size:
        ahead = conceal.extrapolate(tail[made], run[made], SLOT)
        faded = conceal.fade(ahead, run[made])
        fill = faked[made][:, None]
        crossed = conceal.cross(faded, pcm[made])
        pcm[made] = np.where(fill, faded, crossed)
        kept[made] = np.where(fill, ahead, crossed)
    state.faked_run[row] = np.where(faked, run + 1, 0)
    return np.concatenate((tail[:, SLOT:], kept), axis=1)


def _history(state: MediaState, row: Index, number: Slots, tick: int) -> Pcm:
    """(A, 480) what was played before slot ``number``: as kept since the last gap, else as far as the ring has it."""
    before = number[:, None] + _BEFORE
    place = row[:, None] * SLOTS + before % SLOTS
    pcm = _decode(state, row, place).reshape(-1, _BEFORE.size, SLOT)
    pcm[state.stamp.reshape(-1)[place] != before] = 0
    kept = (state.tail_at[row] == tick - 1)[:, None]
    return np.where(kept, state.tail[row], pcm.reshape(-1, TAIL))


def _shrink(state: MediaState, row: Index, whole: Flags, first: Slots, tick: int, rows: Index, pcm: Pcm) -> None:
    """Once per window and row, give back delay that was never needed in it.

    In silence all of the surplus goes at once; while there is sound, one slot, blended over in this frame.
    """
    due = np.flatnonzero((row + tick) % WINDOW == 0)
    if not due.size:
        return
    row, whole, first = row[due], whole[due], first[due]
    surplus = state.slack[row] - FRAME_SLOTS
    state.slack[row] = FOREVER
    ready = whole & (surplus > 0) & (surplus < SLOTS)
    row, first, surplus = row[ready], first[ready], surplus[ready]
    sounding = state.active[row]
    cut = np.where(sounding, 1, surplus)
    state.play[row] += cut
    state.good[row] += np.where(sounding, 1, 0)
    state.margin[row] = np.maximum(state.margin[row] - cut, FRAME_SLOTS)
    _blend(state, row[sounding], first[sounding], rows, pcm)


def _blend(state: MediaState, row: Index, first: Slots, rows: Index, pcm: Pcm) -> None:
    """Cross over, within this frame, to the sound one slot further on."""
    number = first[:, None] + 1 + _HALVES
    place = row[:, None] * SLOTS + number % SLOTS
    later = _decode(state, row, place)
    for sound, leg in zip(later, row, strict=True):
        at = np.flatnonzero(rows == leg)
        pcm[at] = np.rint(pcm[at] * (1 - _BLEND) + sound * _BLEND)
