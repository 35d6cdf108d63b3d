"""Jitter slots → this tick's samples of every leg; what is missing is concealed, what is too much taken out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g711
from mixminus.media.state import FOREVER, FRAME, FRAME_SLOTS, SLOT, SLOTS, MediaState

Index = NDArray[np.intp]
Slots = NDArray[np.int64]
Flags = NDArray[np.bool_]
Pcm = NDArray[np.int16]

WINDOW: Final = 100
"""Ticks (2 s) over which a surplus must last before it is taken out."""
_FADE: Final = np.array([1.0, 0.85, 0.7, 0.5, 0.3, 0.15, 0.0], np.float32)
"""Loudness at the borders of concealed slots: gone after 60 ms."""
FADE_SLOTS: Final = _FADE.size - 1
_HALVES: Final = np.arange(FRAME_SLOTS, dtype=np.int64)
_RISE: Final = (np.arange(SLOT, dtype=np.float32) + 0.5) / np.float32(SLOT)
_BLEND: Final = (np.arange(FRAME, dtype=np.float32) + 0.5) / np.float32(FRAME)


def pull(state: MediaState, tick: int) -> tuple[Index, Pcm]:
    """Take one frame of every running stream.

    Returns: rows that have one, (A,), and their samples, (A, S). Rows nobody may hear (``talk`` 0) are moved on but not
    decoded; rows in a pause, or lost for longer than concealment lasts, have none.
    """
    row = np.flatnonzero(state.started)
    first = state.play[row]
    number = first[:, None] + _HALVES
    place = row[:, None] * SLOTS + number % SLOTS
    hold = state.hold[row]
    present: Flags = (state.stamp.reshape(-1)[place] == number) & (hold == 0)[:, None]
    whole = np.logical_and.reduce(present, axis=1)
    heard = state.talk[row] != 0
    state.good[row[whole]] = first[whole] + 1
    straight = np.flatnonzero(whole & heard)
    pcm = _decode(state, row[straight], place[straight])
    rows = row[straight]
    if not whole.all():
        hole = np.flatnonzero(~whole)
        patched, patch = _conceal(state, row[hole], number[hole], place[hole], present[hole], heard[hole])
        rows, pcm = np.concatenate((rows, patched)), np.concatenate((pcm, patch))
    state.play[row] = first + FRAME_SLOTS - hold
    state.hold[row] = 0
    _shrink(state, row, whole, first, tick, rows, pcm)
    state.slack[row] = np.minimum(state.slack[row], state.end[row] - state.play[row])
    return rows, pcm


def _decode(state: MediaState, row: Index, place: Index) -> Pcm:
    """(A, 2) places of the ring → (A, S) samples, each in its leg's law."""
    payload = state.ring.reshape(-1, SLOT).take(place, axis=0).reshape(-1, FRAME)
    alaw = state.law[row] == g711.PCMA
    if not alaw.any():
        return g711.decode(g711.PCMU, payload)
    if alaw.all():
        return g711.decode(g711.PCMA, payload)
    pcm = np.empty(payload.shape, np.int16)
    pcm[~alaw] = g711.decode(g711.PCMU, payload[~alaw])
    pcm[alaw] = g711.decode(g711.PCMA, payload[alaw])
    return pcm


def _conceal(
    state: MediaState, row: Index, number: Slots, place: Index, present: Flags, heard: Flags
) -> tuple[Index, Pcm]:
    """Fill frames that lack a slot or both with the last good sound, fading out; pauses stay silent."""
    last = state.good[row]
    good = np.stack((last, np.where(present[:, 0], number[:, 0], last)), axis=1)
    state.good[row] = np.where(present[:, 1], number[:, 1], good[:, 1])
    run = number - good - 1
    meant = (state.quiet_from[row, None] <= number) & (number < state.quiet_to[row, None])
    faked = ~present & ~meant & (run >= 0) & (run < FADE_SLOTS)
    known = number < state.end[row, None]
    state.concealed[row] += (faked & known).sum(axis=1)
    state.gap[row] += (faked & ~known).sum(axis=1)

    some = np.flatnonzero((present | faked).any(axis=1) & heard)
    row, run, good = row[some], np.clip(run[some], 0, FADE_SLOTS), good[some]
    present, faked = present[some], faked[some]
    before = good - 1 + run % 2
    before = np.where(state.stamp[row[:, None], before % SLOTS] == before, before, good)
    source = np.where(present, place[some], row[:, None] * SLOTS + before % SLOTS)
    begin = np.where(present, 1, np.where(faked, _FADE[run], 0)).astype(np.float32)
    finish = np.where(present, 1, np.where(faked, _FADE[np.minimum(run + 1, FADE_SLOTS)], 0)).astype(np.float32)
    ramp = begin[:, :, None] + (finish - begin)[:, :, None] * _RISE
    pcm = _decode(state, row, source).reshape(-1, FRAME_SLOTS, SLOT)
    return row, np.rint(pcm * ramp).astype(np.int16).reshape(-1, FRAME)


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
