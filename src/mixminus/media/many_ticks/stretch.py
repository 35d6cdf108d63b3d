"""Many ticks in one pass, for virtual time: the same sound, counters and state as tick by tick, only cheaper.

A stretch is taken only while every running stream goes on regularly (the next packet of each, one per tick) and nothing
else happens: nobody starts or stops speaking, no key, no change of plan, no player at its end, no delay given back.
Whatever is not so ordinary ends the stretch before it, and is left to :meth:`mixminus.media.engine.Engine.tick`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media import level
from mixminus.media.batch import DatagramBatch
from mixminus.media.codecs import g711
from mixminus.media.jitter import depth, playout
from mixminus.media.jitter.ingest import OVERFULL
from mixminus.media.many_ticks.stretch_heard import Payloads
from mixminus.media.mixing.layout import LAWS
from mixminus.media.mixing.matrix import Index
from mixminus.media.state import FOREVER, FRAME, FRAME_SLOTS, SLOT, SLOTS, TAIL, MediaState

Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

MOST_SAMPLES: Final = 1 << 23
"""Of all streams together in one stretch: a matter of memory."""
PIECE: Final = 1 << 16
"""Samples worked on at a time: what stays in the cache."""


@dataclass(frozen=True, slots=True)
class Heads:
    """The next packet of every stream, (P,) each, and what each would send in this and the coming ticks."""

    row: Index
    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    ssrc: NDArray[np.uint32]
    sound: Sequence[Bytes]
    """P payloads, (K * S,) each or longer."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What went out: to datagram ``d`` of ``batch`` (its address is what counts) went ``payload[payload_row[d]]``."""

    ticks: int
    batch: DatagramBatch
    payload: Payloads
    payload_row: Index


def is_regular(state: MediaState, heads: Heads, tick: int) -> bool:
    """Whether every running stream goes on with ``heads`` as it should, and has nothing to make up for."""
    row = heads.row
    running = np.flatnonzero(state.started)
    if running.size != row.size or not np.array_equal(running, np.sort(row)):
        return False
    step = (heads.sequence - state.sequence[row]).view(np.int16)
    ahead = (heads.timestamp - state.timestamp[row]).view(np.int32)
    end, play = state.end[row], state.play[row]
    good = (
        (state.ssrc[row] == heads.ssrc)
        & (step == 1)
        & (ahead == FRAME)
        & (state.newest[row] + FRAME_SLOTS == end)
        & (end >= play)
        & (end + FRAME_SLOTS - play <= OVERFULL)
        & (state.quiet_to[row] != FOREVER)
        & (state.owed[row] == 0)
        & (state.held[row] == 0)
        & ~state.unsteady[row]
        & (state.good[row] == play - 1)
        & (state.transit[row] == np.uint32(tick * FRAME & 0xFFFFFFFF) - heads.timestamp)
        & (state.tended_at[row] < tick - playout.MEMORY)
    )
    if not good.all():
        return False
    number, waiting = _waiting(state, row)
    return bool((state.stamp[row[:, None], number % SLOTS] == number)[waiting].all())


def _waiting(state: MediaState, row: Index) -> tuple[NDArray[np.int64], Flags]:
    """(P, J) slot numbers from the next to be played on, and which of them have been received."""
    play = state.play[row]
    number = play[:, None] + np.arange(max(0, int((state.end[row] - play).max(initial=0))))
    return number, number < state.end[row, None]


def most_ticks(state: MediaState, row: Index, tick: int, wanted: int) -> int:
    """Ticks before one in which something of the delay would be owed; the first is ``tick``."""
    limit = min(wanted, max(1, MOST_SAMPLES // (FRAME * max(1, row.size))))
    return depth.steady_ticks(state, row, tick, limit)


@dataclass(slots=True)
class Judged:
    """Of the heard rows, (H, K) each: who is active when, the gate's counter after each tick, who is loud; and copies
    of what had come before.
    """

    active: Flags
    hangover: NDArray[np.int16]
    loud: Flags
    waited: Pcm
    lag: list[int]


def listen(state: MediaState, heads: Heads, heard: Index, ticks: int, pcm: Pcm) -> Judged:
    """Fill ``pcm`` (H, K * S) with what streams ``heard`` (H,) play, and judge it by the voice gate over all ticks."""
    row = heads.row[heard]
    sounds = np.empty((row.size, ticks), np.bool_)
    loud = np.empty((row.size, ticks), np.bool_)
    begins, laws = _play_waiting(state, row, pcm), state.law[row].tolist()
    rows = max(1, PIECE // (ticks * FRAME))
    floats = np.empty((rows, ticks, FRAME), np.float32)
    for begin in range(0, row.size, rows):
        part = slice(begin, begin + rows)
        for out, at, done, law in zip(pcm[part], heard[part].tolist(), begins[part], laws[part], strict=True):
            g711.decode(law, heads.sound[at][: out.size - done], out[done:])
        frames = pcm[part].reshape(-1, ticks, FRAME)
        sound = floats[: len(frames)]
        np.copyto(sound, frames)
        energy = np.vecdot(sound, sound)  # exact up to 2^24, and so on the right side of either threshold
        np.greater(energy, level.SPEECH_RMS**2 * FRAME, out=loud[part])
        sounds[part] = _sounds(frames, energy)
    return Judged(*_gate(state, row, sounds), loud, pcm[:, : max(begins, default=0)].copy(), begins)


def _sounds(frames: Pcm, energy: NDArray[np.float32]) -> Flags:
    """(N, K) which of ``frames`` (N, K, S) are no silence. Most are so strong that no sample need be looked at."""
    sounds = energy > level.GATE_PEAK**2 * FRAME
    faint = frames[~sounds]
    sounds[~sounds] = (faint.max(axis=1) > level.GATE_PEAK) | (faint.min(axis=1) < -level.GATE_PEAK)
    return sounds


def peaks(pcm: Pcm) -> NDArray[np.int64]:
    """(N,) how far from zero any sample of (N, M) is."""
    most: NDArray[np.int64] = np.maximum(pcm.max(axis=1).astype(np.int64), -pcm.min(axis=1).astype(np.int64))
    return most


def _play_waiting(state: MediaState, row: Index, out: Pcm) -> list[int]:
    """Fill the begin of ``out`` (N, K * S) with what waits in the ring; returns how many samples that are of each."""
    lag = np.minimum((state.end[row] - state.play[row]) * SLOT, out.shape[1])
    for delay in np.unique(lag[lag > 0]).tolist():
        of = np.flatnonzero(lag == delay)
        number = state.play[row[of], None] + np.arange(delay // SLOT)
        codes = state.ring[row[of, None], number % SLOTS].reshape(of.size, delay)
        for law in LAWS:
            mine = state.law[row[of]] == law
            out[of[mine], :delay] = g711.decode(law, codes[mine])
    found: list[int] = lag.tolist()
    return found


def _gate(state: MediaState, row: Index, sounds: Flags) -> tuple[Flags, NDArray[np.int16]]:
    ticks = np.arange(sounds.shape[1])
    last = np.maximum.accumulate(np.where(sounds, ticks, -1), axis=1)
    kept = np.maximum(state.hangover[row, None].astype(np.int64) - 1 - ticks, 0)
    hangover = np.where(last >= 0, np.maximum(level.HANGOVER - (ticks - last), 0), kept)
    return hangover > 0, hangover.astype(np.int16)


def quiet_ticks(state: MediaState, row: Index, loud: Flags) -> int:
    """Ticks before the first in which somebody starts or stops speaking."""
    ticks = int(loud.shape[1])
    speaking = state.speaking[row]
    steady = np.where(speaking, loud.all(axis=1), ~loud.any(axis=1))
    at = np.flatnonzero(~steady)
    if not at.size:
        return ticks
    changes = np.where(
        speaking[at, None],
        _quiet(loud[at], state.quiet[row[at]]) >= level.STOP_TICKS,
        _rise(loud[at], state.loud[row[at]]) >= level.START_TICKS,
    )
    found = np.flatnonzero(changes.any(axis=0))
    return int(found[0]) if found.size else ticks


def _quiet(loud: Flags, before: NDArray[Any]) -> NDArray[np.int64]:
    """(N, K) ticks since one was loud, after each tick."""
    tick = np.arange(loud.shape[1])
    last = np.maximum.accumulate(np.where(loud, tick, -1), axis=1)
    return np.where(last >= 0, tick - last, before[:, None] + 1 + tick)


def _rise(loud: Flags, before: NDArray[Any]) -> NDArray[np.int64]:
    """(N, K) after each tick one more if it was loud, one less if not, but never below 0."""
    walk = before[:, None] + np.cumsum(np.where(loud, 1, -1), axis=1)
    rise: NDArray[np.int64] = walk - np.minimum(np.minimum.accumulate(walk, axis=1), 0)
    return rise


def alike_ticks(active: Flags) -> int:
    """Ticks before the first in which others are active than in the first tick; ``active`` (H, K).

    A stretch mixes everybody who is active at some time in it. That makes no difference but to the limiter, which keeps
    a gain for each mix.
    """
    differs = np.flatnonzero((active != active[:, :1]).any(axis=0))
    return int(differs[0]) if differs.size else int(active.shape[1])


def count_speech(state: MediaState, row: Index, loud: Flags) -> None:
    """Bring the counters of every row over ``loud``'s ticks; nobody changes his mind in them."""
    ticks = loud.shape[1]
    rise, quiet = state.loud.astype(np.int64), state.quiet.astype(np.int64)
    silent = np.ones(state.capacity, np.bool_)
    silent[row] = False
    rise[silent] = np.maximum(rise[silent] - ticks, 0)
    quiet[silent] = np.minimum(quiet[silent] + ticks, level.STOP_TICKS)
    steady = loud.all(axis=1)
    rise[row[steady]] = np.minimum(rise[row[steady]] + ticks, level.START_TICKS)
    quiet[row[steady]] = 0
    mute = ~loud.any(axis=1)
    rise[row[mute]] = np.maximum(rise[row[mute]] - ticks, 0)
    quiet[row[mute]] = np.minimum(quiet[row[mute]] + ticks, level.STOP_TICKS)
    mixed = np.flatnonzero(~steady & ~mute)
    if mixed.size:
        quiet[row[mixed]] = np.minimum(_quiet(loud[mixed], quiet[row[mixed]])[:, -1], level.STOP_TICKS)
    for at in mixed.tolist():
        up = int(rise[row[at]])
        for on in loud[at].tolist():
            if on:
                up += up < level.START_TICKS
            else:
                up -= up > 0
        rise[row[at]] = up
    state.loud[:], state.quiet[:] = rise, quiet


def go_on(state: MediaState, heads: Heads, ticks: int, tick: int) -> None:
    """The streams' state after ``ticks`` regular packets each; the first tick was ``tick``."""
    row, slots = heads.row, ticks * FRAME_SLOTS
    depth.pass_ticks(state, row, tick, ticks)
    _keep_last(state, heads, ticks)
    _calm_down(state, row, ticks)
    for name in ("received", "expected"):
        getattr(state, name)[row] += ticks
    state.sequence[row] += np.uint16(ticks)
    state.timestamp[row] += np.uint32(ticks * FRAME)
    for name in ("newest", "end", "play"):
        getattr(state, name)[row] += slots
    state.good[row] = state.play[row] - 1


def _calm_down(state: MediaState, row: Index, ticks: int) -> None:
    """Jitter without any, in the very steps of :mod:`mixminus.media.jitter.ingest`."""
    jitter = state.jitter[row]
    for _ in range(ticks if jitter.any() else 0):
        jitter += (np.float32(0) - jitter) / np.float32(16)
    state.jitter[row] = jitter


def _keep_last(state: MediaState, heads: Heads, ticks: int) -> None:
    """Of the payloads, what is still to be played and what concealment may look back on; it was all received."""
    row, count = heads.row, ticks * FRAME_SLOTS
    end = state.end[row, None] + count
    number = end - np.arange(min(count, SLOTS), 0, -1)
    state.stamp[row[:, None], number % SLOTS] = number
    lag = int((state.end[row] - state.play[row]).max(initial=0))
    kept = min(count, SLOTS, lag + TAIL // SLOT)
    begin = ticks * FRAME - kept * SLOT
    last = np.array([sound[begin : ticks * FRAME] for sound in heads.sound], np.uint8)
    state.ring[row[:, None], number[:, number.shape[1] - kept :] % SLOTS] = last.reshape(-1, kept, SLOT)
