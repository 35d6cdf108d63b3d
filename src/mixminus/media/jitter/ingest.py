"""Packet arrays → jitter slots.

Packets are taken in waves: the first of every row, then the second of every row, and so on, so that each wave touches
a row once and is a few array operations, whatever the number of rows. What is regular (the next packet of a running
stream) goes straight in; the rest is sorted out in :func:`_place`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.jitter import depth
from mixminus.media.jitter.depth import MAX_DELAY
from mixminus.media.state import FOREVER, FRAME, FRAME_SLOTS, NEVER, SLOT, SLOTS, MediaState
from mixminus.rtp.packet import HEADER_BYTES, HeaderBatch

Index = NDArray[np.intp]
Flags = NDArray[np.bool_]
Slots = NDArray[np.int64]

COMFORT_NOISE: Final = 13
"""Static payload type of RFC 3389."""
MAX_PACKET_SLOTS: Final = 12
"""120 ms."""
MAX_WAVES: Final = 32
"""Packets of one leg taken in one tick; a flood beyond that is dropped."""
OVERFULL: Final = 50
"""Slots (500 ms): more is not kept, even for a moment. What comes after a stall is played, faster, not thrown away."""
_RESTART_AFTER: Final = 10
"""Slots without audio after which the next packet begins a new talk spurt, unless nothing was left out before it."""
_RESEQUENCED: Final = 1000
"""A leap of the sequence number so large that it is a restart, not loss."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The packets of this tick that belong to a leg which receives; all fields (P,), in order of arrival."""

    row: Index
    packet: Index
    """Index into the batch."""
    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    ssrc: NDArray[np.uint32]
    offset: NDArray[np.int32]
    size: NDArray[np.int32]
    audio: Flags
    """Audio of the leg's codec; else comfort noise or a telephone event."""
    event: Flags
    marker: Flags

    def pick(self, which: Index) -> Arrivals:
        return Arrivals(*(getattr(self, name)[which] for name in self.__slots__))


def sort_out(state: MediaState, headers: HeaderBatch, row: Index) -> tuple[Arrivals, int]:
    """Keep what a leg has agreed to receive; also counts what is malformed.

    Our own SSRC coming back is a loop (RFC 3550 §8.2) and dropped. Payload types that were not agreed are dropped.
    """
    payload_type = headers.payload_type.astype(np.int16)
    known = headers.valid & (row >= 0)
    audio = payload_type == state.payload_type[row]
    event = payload_type == state.event_type[row]
    agreed = known & (audio | event | (payload_type == COMFORT_NOISE))
    whole = np.where(
        audio, (headers.size % SLOT == 0) & (headers.size <= MAX_PACKET_SLOTS * SLOT), ~event | (headers.size >= 4)
    )
    whole &= ~audio | (headers.size > 0)
    malformed = int(np.count_nonzero(~headers.valid & ~headers.rtcp) + np.count_nonzero(agreed & ~whole))
    kept = np.flatnonzero(agreed & whole & state.receives[row] & (headers.ssrc != state.tx_ssrc[row]))
    arrivals = Arrivals(
        row=row[kept],
        packet=kept,
        sequence=headers.sequence[kept],
        timestamp=headers.timestamp[kept],
        ssrc=headers.ssrc[kept],
        offset=headers.offset[kept],
        size=headers.size[kept],
        audio=audio[kept],
        event=event[kept],
        marker=headers.marker[kept],
    )
    return arrivals, malformed


def push(state: MediaState, arrivals: Arrivals, data: NDArray[np.uint8], tick: int, *, on_time: bool = True) -> None:
    """Put the payloads ((P, N) uint8 ``data``) into the jitter slots of their rows.

    Where ``tick`` is not taken ``on_time``, its packets say nothing of how even the network is.
    """
    for wave in _waves(arrivals.row):
        batch = arrivals if wave is None else arrivals.pick(wave)
        state.received[batch.row] += 1
        _jitter(state, batch, tick)
        if not batch.audio.all():
            _note_others(state, batch.pick(np.flatnonzero(~batch.audio)))
            batch = batch.pick(np.flatnonzero(batch.audio))
        if batch.row.size:
            _push_audio(state, batch, data, tick if on_time else None)


def _waves(row: Index) -> list[Index | None]:
    """Indices of the k-th packet of each row, for k = 0, 1, ...; ``[None]``: all rows differ."""
    if row.size == 0:
        return []
    if np.bincount(row).max() == 1:
        return [None]
    order = np.argsort(row, kind="stable")
    in_order = row[order]
    first = np.flatnonzero(np.diff(in_order, prepend=-1))
    rank = np.arange(row.size) - np.repeat(first, np.diff(first, append=row.size))
    return [order[rank == wave] for wave in range(min(int(rank.max()) + 1, MAX_WAVES))]


def _jitter(state: MediaState, batch: Arrivals, tick: int) -> None:
    """RFC 3550 §6.4.1, with arrivals known to the tick (20 ms)."""
    row = batch.row
    transit = np.uint32(tick * FRAME & 0xFFFFFFFF) - batch.timestamp
    change = np.abs((transit - state.transit[row]).view(np.int32).astype(np.float32))
    change[~state.started[row] | (change > 1000 * SLOT) | ~batch.audio] = 0
    uneven = change != 0
    if uneven.any():
        state.unsteady[row[uneven]] = True
    state.jitter[row] += (change - state.jitter[row]) / np.float32(16)
    state.transit[row] = transit


def _note_others(state: MediaState, batch: Arrivals) -> None:
    """Comfort noise and telephone events: from the end of the audio so far, silence is what the peer means."""
    row = batch.row
    step = (batch.sequence - state.sequence[row]).view(np.int16)
    forward = state.started[row] & (state.ssrc[row] == batch.ssrc) & (step > 0)
    row = row[forward]
    _count_sequence(state, row, batch.sequence[forward], step[forward])
    state.quiet_from[row] = np.where(state.quiet_to[row] == FOREVER, state.quiet_from[row], state.end[row])
    state.quiet_to[row] = FOREVER
    state.gap[row] = 0


def _count_sequence(state: MediaState, row: Index, sequence: NDArray[np.uint16], step: NDArray[np.int16]) -> None:
    state.expected[row] += np.where(step > _RESEQUENCED, 1, step)
    state.sequence[row] = sequence


def _push_audio(state: MediaState, batch: Arrivals, data: NDArray[np.uint8], noted_at: int | None) -> None:
    """``noted_at``: the tick against which it is noted how late packets are, if it is."""
    row = batch.row
    count = (batch.size // SLOT).astype(np.int64)
    step = (batch.sequence - state.sequence[row]).view(np.int16)
    ahead = (batch.timestamp - state.timestamp[row]).view(np.int32).astype(np.int64)
    slot = state.newest[row] - (-ahead // SLOT)  # rounded up: odd time stamps leave a gap, never an overlap
    end = state.end[row]
    play = state.play[row]
    regular = (
        state.started[row]
        & (state.ssrc[row] == batch.ssrc)
        & (step == 1)
        & (slot == end)
        & (slot >= play)
        & (end + count - play <= OVERFULL)
        & (state.quiet_to[row] != FOREVER)
    )
    if regular.all():
        state.expected[row] += 1
        if noted_at is not None:
            depth.note(state, row, FRAME_SLOTS * noted_at - slot)
        _advance(state, row, batch, slot, count)
        _store(state, batch, slot, count, data)
        return
    straight = np.flatnonzero(regular)
    state.expected[row[straight]] += 1
    if noted_at is not None:
        depth.note(state, row[straight], FRAME_SLOTS * noted_at - slot[straight])
    _advance(state, row[straight], batch.pick(straight), slot[straight], count[straight])
    other = np.flatnonzero(~regular)
    slot[other], keep = _place(state, batch.pick(other), slot[other], count[other], step[other], ahead[other], noted_at)
    regular[other] = keep
    kept = np.flatnonzero(regular)
    _store(state, batch.pick(kept), slot[kept], count[kept], data)


def _advance(state: MediaState, row: Index, batch: Arrivals, slot: Slots, count: Slots) -> None:
    """This packet is the newest of its row."""
    state.sequence[row] = batch.sequence
    state.timestamp[row] = batch.timestamp
    state.newest[row] = slot
    state.end[row] = slot + count


def _place(
    state: MediaState,
    batch: Arrivals,
    slot: Slots,
    count: Slots,
    step: NDArray[np.int16],
    ahead: Slots,
    noted_at: int | None,
) -> tuple[Slots, Flags]:
    """Find the slot of packets that are not simply the next one: first, lost before, late, twice, restarted.

    Returns: first slot, and whether to keep the packet, (P,) each.
    """
    row = batch.row
    _begin(state, row[~state.started[row]])
    fresh = ~state.started[row] | (state.ssrc[row] != batch.ssrc)
    fresh |= _restarted(state, batch, slot, step, ahead)
    end, play, margin = state.end[row], state.play[row], state.margin[row]
    slot = np.where(fresh, np.maximum(end, play + margin), slot)
    gap = np.where(fresh, 0, slot - end)
    twice = ~fresh & (state.stamp[row, slot % SLOTS] == slot)
    newest = fresh | ((slot >= end) & ~twice)

    idle = newest & ((gap > 0) | (play - end > OVERFULL)) & (play - end >= _RESTART_AFTER)
    idle &= (slot < play) | (slot > play + MAX_DELAY)
    behind = newest & ~idle & (slot < play)
    given_up = behind & ~fresh & state.bounded[row] & (play - state.good[row] <= MAX_DELAY)
    state.stamp[row[idle & (slot - margin < end)]] = NEVER  # what was played already is not played again
    play = np.where(idle, slot - margin, np.where(behind & ~given_up, slot, play))
    late = (~newest | given_up) & ~twice & (slot + count <= play)
    state.late[row] += late
    state.duplicate[row] += twice

    _close_gap(state, row, newest, newest & (step == 1) & ~fresh, gap, end)
    over = newest & (slot + count - play > OVERFULL)
    state.dropped[row] += np.where(over, (slot + count - MAX_DELAY - play + count - 1) // count, 0)
    state.play[row] = np.where(over, slot + count - MAX_DELAY, play)
    depth.forget(state, row[fresh | idle | over])
    if noted_at is not None:
        noted = np.flatnonzero(~twice)
        depth.note_any(state, row[noted], (FRAME_SLOTS * noted_at - slot)[noted], noted_at)

    forward = newest | (step > 0)
    restart = newest & (fresh | (step <= 0) | (step > _RESEQUENCED))
    state.expected[row] += np.where(restart, 1, np.maximum(step, 0))
    state.sequence[row] = np.where(forward, batch.sequence, state.sequence[row])
    state.started[row] = True
    state.ssrc[row] = batch.ssrc
    moved = np.flatnonzero(newest)
    state.timestamp[row[moved]] = batch.timestamp[moved]
    state.newest[row[moved]] = slot[moved]
    state.end[row[moved]] = (slot + count)[moved]
    return slot, ~(late | twice)


def _begin(state: MediaState, row: Index) -> None:
    """A row's first packet will lie in slot ``SLOTS``, and be played one margin later."""
    state.end[row] = SLOTS
    state.play[row] = SLOTS - state.margin[row]
    state.gap[row] = 0
    state.good[row] = NEVER


def _restarted(state: MediaState, batch: Arrivals, slot: Slots, step: NDArray[np.int16], ahead: Slots) -> Flags:
    """The peer's time base jumped, though its SSRC is the same.

    Either the time stamp went back while the sequence went on, or it leapt beyond any buffer, or an old-looking packet
    was followed by its successor.
    """
    row = batch.row
    running = state.started[row]
    back = (step > 0) & (ahead < 0)
    leap = slot >= state.play[row] + SLOTS - MAX_PACKET_SLOTS
    proven = (step <= 0) & (state.suspect[row] == batch.sequence)
    stale = running & (step < 0) & (slot < state.play[row] - 2 * MAX_DELAY)
    next_sequence = (batch.sequence.astype(np.int32) + 1) & 0xFFFF
    state.suspect[row] = np.where(stale & ~proven, next_sequence, -1)
    restarted: Flags = running & (back | leap | proven)
    return restarted


def _close_gap(state: MediaState, row: Index, newest: Flags, silence: Flags, gap: Slots, end: Slots) -> None:
    """The stream goes on after ``gap`` slots, so what was concealed in it can be judged: pause or loss."""
    paused = silence & (gap > 0) & (state.quiet_to[row] != FOREVER)
    state.quiet_from[row] = np.where(paused, end, state.quiet_from[row])
    ends_quiet = paused | (newest & (state.quiet_to[row] == FOREVER))
    state.quiet_to[row] = np.where(ends_quiet, end + gap, state.quiet_to[row])
    state.concealed[row] += np.where(newest & ~paused, state.gap[row], 0)
    state.gap[row] = np.where(newest, 0, state.gap[row])


def _store(state: MediaState, batch: Arrivals, slot: Slots, count: Slots, data: NDArray[np.uint8]) -> None:
    """Write payloads and stamps, slot by slot."""
    ring = state.ring.reshape(-1, SLOT)
    stamp = state.stamp.reshape(-1)
    usual = bool((batch.offset == HEADER_BYTES).all())
    base = batch.row * SLOTS
    every = bool((count == FRAME_SLOTS).all())
    for part in range(int(count.max(initial=0))):
        has = slice(None) if every else np.flatnonzero(count > part)
        number = slot[has] + part
        place = base[has] + number % SLOTS
        if usual:
            begin = HEADER_BYTES + part * SLOT
            ring[place] = _rows(data[:, begin : begin + SLOT], batch.packet[has])
        else:
            columns = batch.offset[has][:, None] + np.arange(part * SLOT, (part + 1) * SLOT)
            ring[place] = data[batch.packet[has][:, None], columns]
        stamp[place] = number


def _rows(data: NDArray[np.uint8], which: Index) -> NDArray[np.uint8]:
    """``data[which]``, without a copy when that is simply the first rows in order: the usual case."""
    if np.array_equal(which, np.arange(which.size)):
        return data[: which.size]
    return data[which]
