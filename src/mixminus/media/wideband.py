"""Legs whose codec has a state: G.722 and Opus. Jitter slots → samples at the codec's own rate, one decoder per leg.

The jitter buffer is the one of all legs (:mod:`mixminus.media.ingest`), counted in its 8 kHz clock and 10 ms slots.
Payloads of G.722 lie in its ring as they are. Those of Opus, of any size, are kept here, and the ring holds a ticket in
their place: number of the packet and number of the slot within it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import MediaError
from mixminus.media.codecs import g722, opus
from mixminus.media.state import FOREVER, FRAME_SLOTS, NEVER, RATE, SLOT, SLOTS, MediaState
from mixminus.rtp.packet import HeaderBatch

Index = NDArray[np.intp]
Slots = NDArray[np.int64]
Flags = NDArray[np.bool_]
Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]

Job: TypeAlias = Callable[[], None]
RunJobs: TypeAlias = Callable[[Sequence[Job]], None]
"""Does jobs that do not depend on each other; back when all are done."""

CLOCKS: Final = opus.RATE // RATE
"""Ticks of the clock of Opus to one of the jitter buffer's."""
KEPT: Final = 128
"""Packets of a leg kept: what the ring can refer to, and more."""
FADE_SLOTS: Final = 6
"""Concealed slots (10 ms) until silence."""
AHEAD_SLOTS: Final = 6
"""How far behind a gap the packet may begin that is looked into for redundancy."""
WINDOW: Final = 100
"""Ticks over which a surplus of delay must last before it is taken out."""
STALE_TICKS: Final = 50
"""Ticks after which a decoder that was not used begins anew."""
_TICKET: Final = struct.Struct("<II")
_HALVES: Final = np.arange(FRAME_SLOTS, dtype=np.int64)
_FADE: Final = np.linspace(1, 0, FADE_SLOTS + 1, dtype=np.float32)


class Piece(NamedTuple):
    """What there is for one slot: a payload, and which of its slots this is."""

    payload: bytes
    part: int


class Sound(NamedTuple):
    """One frame of some legs, at one rate: rows (A,), samples (A, S)."""

    rate: int
    row: Index
    pcm: Pcm


def in_turn(jobs: Sequence[Job]) -> None:
    """Do jobs on the caller's own thread."""
    for job in jobs:
        job()


class G722Stream:
    """Plays one leg's G.722. A gap is filled with the last 10 ms, fading."""

    rate: Final = g722.RATE
    slot: Final = g722.RATE // 100

    def __init__(self) -> None:
        self.used = 0
        """Tick of the last :meth:`play`."""
        self._decoder = g722.Decoder()
        self._last: Pcm = np.zeros(self.slot, np.int16)
        self._run = 0

    def restart(self) -> None:
        self._decoder = g722.Decoder()
        self._last[:] = 0

    def play(self, first: int, pieces: Sequence[Piece | None], ahead: tuple[bytes, int] | None, out: Pcm) -> None:
        """Fill ``out`` with slots ``first`` and on; None in ``pieces`` is missing. ``ahead`` is of no use here."""
        for number, piece in enumerate(pieces):
            sound = out[number * self.slot : (number + 1) * self.slot]
            if piece is not None:
                sound[:] = self._last = self._decoder.decode(piece.payload)
                self._run = 0
            elif self._run < FADE_SLOTS:
                ramp = np.linspace(_FADE[self._run], _FADE[self._run + 1], self.slot, dtype=np.float32)
                sound[:] = np.rint(self._last * ramp)
                self._run += 1
            else:
                sound[:] = 0


class OpusStream:
    """Plays one leg's Opus: packets of any duration; gaps by redundancy of the next packet, else by concealment."""

    rate: Final = opus.RATE
    slot: Final = opus.SLOT

    def __init__(self) -> None:
        self.used = 0
        """Tick of the last :meth:`play`."""
        self._decoder = opus.Decoder()
        self._packets: list[tuple[int, bytes]] = [(-1, b"")] * KEPT
        self._count = 0
        self._clock: tuple[int, int] | None = None
        self._sound: Pcm = np.zeros(opus.SLOT * opus.MAX_SLOTS, np.int16)
        self._sound_at = self._sound.ctypes.data
        self._from = self._until = NEVER
        """Slots that ``_sound`` holds."""
        self._run = 0

    def restart(self) -> None:
        self._decoder.reset()
        self._from = self._until = NEVER

    def narrow_clock(self, timestamp: int) -> int:
        """A time stamp at 48 kHz, on the clock of the jitter buffer; both wrap at 32 bits."""
        wide, narrow = self._clock or (timestamp, timestamp // CLOCKS)
        step = ((timestamp - wide + (1 << 31)) % (1 << 32) - (1 << 31)) // CLOCKS
        self._clock = ((wide + CLOCKS * step) % (1 << 32), (narrow + step) % (1 << 32))
        return self._clock[1]

    def keep(self, packet: bytes) -> int:
        """Keep a packet until it is played; its number."""
        number = self._count
        self._count = (number + 1) % (1 << 32)
        self._packets[number % KEPT] = (number, packet)
        return number

    def packet(self, number: int) -> bytes | None:
        """The packet of a ticket, unless a flood has pushed it out."""
        known, packet = self._packets[number % KEPT]
        return packet if known == number else None

    def play(self, first: int, pieces: Sequence[Piece | None], ahead: tuple[bytes, int] | None, out: Pcm) -> None:
        """Fill ``out`` with slots ``first`` and on; None in ``pieces`` is missing.

        ``ahead``: the next packet there is, and the slot with which it begins.
        """
        for number, piece in enumerate(pieces, first):
            at = number - first
            sound = out[at * self.slot : (at + 1) * self.slot]
            if piece is not None and self._decoded(number - piece.part, piece.payload, number):
                self._run = 0
            elif not self._from <= number < self._until and (piece is not None or not self._recovered(number, ahead)):
                self._conceal(sound)
                continue
            begin = (number - self._from) * self.slot
            sound[:] = self._sound[begin : begin + self.slot]

    def _decoded(self, start: int, packet: bytes, number: int) -> bool:
        """Have the packet that begins in slot ``start`` decoded; whether it reaches to slot ``number``."""
        if self._from != start:
            try:
                samples = self._decoder.decode_at(packet, self._sound_at, self._sound.size)
            except MediaError:
                return False
            self._from, self._until = start, start + samples // self.slot
        return number < self._until

    def _recovered(self, number: int, ahead: tuple[bytes, int] | None) -> bool:
        if ahead is None or not 0 < ahead[1] - number <= AHEAD_SLOTS:
            return False
        try:
            samples = self._decoder.recover(ahead[0], (ahead[1] - number) * self.slot, self._sound)
        except MediaError:
            return False
        self._from, self._until = number, number + samples // self.slot
        return True

    def _conceal(self, sound: Pcm) -> None:
        if self._run < FADE_SLOTS:
            self._decoder.conceal(self.slot, sound)
            self._run += 1
        else:
            sound[:] = 0


Stream: TypeAlias = G722Stream | OpusStream


class Receivers:
    """The streams of all legs of G.722 and Opus."""

    def __init__(self, state: MediaState, run: RunJobs = in_turn) -> None:
        self._state = state
        self._run = run
        self._streams: dict[int, Stream] = {}

    def __bool__(self) -> bool:
        return bool(self._streams)

    def open(self, row: int) -> None:
        """The leg of this row begins to receive in the codec of its ``law``.

        Raises:
            MediaError: there is no libopus.
        """
        self._streams[row] = OpusStream() if self._state.law[row] == opus.OPUS_CODE else G722Stream()

    def close(self, row: int) -> None:
        self._streams.pop(row, None)

    def translate(self, headers: HeaderBatch, row: Index, data: Bytes) -> HeaderBatch:
        """Make packets of Opus such as the jitter buffer understands; takes the payloads out of ``data``.

        Time stamps come to the clock of 8 kHz, sizes to 80 for each slot (0: malformed), payloads to tickets.
        """
        if not self._streams:
            return headers
        mine = np.flatnonzero(headers.valid & (row >= 0) & (self._state.law[row] == opus.OPUS_CODE))
        if not mine.size:
            return headers
        timestamp, size = headers.timestamp.copy(), headers.size.copy()
        for at in mine.tolist():
            stream = self._streams[int(row[at])]
            assert isinstance(stream, OpusStream)
            timestamp[at] = stream.narrow_clock(int(timestamp[at]))
            payload = data[at, int(headers.offset[at]) :]
            payload_type = int(headers.payload_type[at])
            if payload_type == self._state.payload_type[row[at]]:
                size[at] = SLOT * _write_tickets(stream, payload, int(size[at]))
            elif payload_type == self._state.event_type[row[at]] and size[at] >= 4:
                self._shorten(int(row[at]), payload)
        return headers._replace(timestamp=timestamp, size=size)

    def _shorten(self, row: int, payload: Bytes) -> None:
        """The duration of a telephone event, to the clock of 8 kHz."""
        duration = (int(payload[2]) << 8 | int(payload[3])) // int(self._state.event_scale[row])
        payload[2:4] = duration >> 8, duration & 255

    def pull(self, tick: int) -> list[Sound]:
        """Take one frame of every leg that somebody may hear and that has one; the others are moved on."""
        if not self._streams:
            return []
        state = self._state
        row = np.flatnonzero(state.started & (state.rate > RATE))
        first, hold = state.play[row], state.hold[row]
        number = first[:, None] + _HALVES
        present: Flags = (state.stamp[row[:, None], number % SLOTS] == number) & (hold == 0)[:, None]
        faked = _account(state, row, number, present)
        state.play[row] = first + FRAME_SLOTS - hold
        state.hold[row] = 0
        longer = _shrink(state, row, np.logical_and.reduce(present, axis=1), first, tick)
        state.slack[row] = np.minimum(state.slack[row], state.end[row] - state.play[row])
        wanted = np.flatnonzero((present | faked).any(axis=1) & (state.talk[row] != 0))
        return self._play(row[wanted], first[wanted], present[wanted], longer[wanted], hold[wanted], tick)

    def _play(self, row: Index, first: Slots, present: Flags, longer: Flags, hold: Slots, tick: int) -> list[Sound]:
        jobs: list[Job] = []
        outs: dict[int, tuple[list[int], list[Pcm]]] = {}
        for at, leg in enumerate(row.tolist()):
            stream = self._streams[leg]
            if tick - stream.used > STALE_TICKS:
                stream.restart()
            stream.used = tick
            count = FRAME_SLOTS + bool(longer[at])
            begin, held = int(first[at]), bool(hold[at])
            pieces = [None if held else self._piece(leg, stream, begin + slot) for slot in range(count)]
            ahead = None if held or present[at].all() else self._ahead(leg, stream, begin)
            out = np.empty(count * stream.slot, np.int16)
            jobs.append(partial(stream.play, NEVER if held else begin, pieces, ahead, out))
            rows, sounds = outs.setdefault(stream.rate, ([], []))
            rows.append(leg)
            sounds.append(out)
        self._run(jobs)
        return [
            Sound(rate, np.array(rows, np.intp), np.stack([_fit(sound, rate) for sound in sounds]))
            for rate, (rows, sounds) in outs.items()
        ]

    def _piece(self, row: int, stream: Stream, number: int) -> Piece | None:
        state, place = self._state, number % SLOTS
        if state.stamp[row, place] != number:
            return None
        held = state.ring[row, place]
        if isinstance(stream, G722Stream):
            return Piece(held.tobytes(), 0)
        ticket, part = _TICKET.unpack(held[: _TICKET.size].tobytes())
        packet = stream.packet(ticket)
        return None if packet is None else Piece(packet, part)

    def _ahead(self, row: int, stream: Stream, first: int) -> tuple[bytes, int] | None:
        """The next packet that has come, and its first slot."""
        for number in range(first + 1, first + FRAME_SLOTS + AHEAD_SLOTS):
            piece = self._piece(row, stream, number)
            if piece is not None and piece.part == 0:
                return piece.payload, number
        return None


def _write_tickets(stream: OpusStream, payload: Bytes, size: int) -> int:
    """Keep a packet, (N,) of which ``size`` are its own, and put tickets in its place; how many slots it has."""
    slots = opus.packet_slots(int(payload[0]), int(payload[1]), size) if payload.size > 1 else 0
    if slots * SLOT > payload.size:
        return 0
    if slots:
        number = stream.keep(payload[:size].tobytes())
        for part in range(slots):
            payload[part * SLOT : part * SLOT + 8] = np.frombuffer(_TICKET.pack(number, part), np.uint8)
    return slots


def _account(state: MediaState, row: Index, number: Slots, present: Flags) -> Flags:
    """Count what is missing; (A, 2) whether to make something up for it. Pauses that were meant stay silent."""
    last = state.good[row]
    good = np.stack((last, np.where(present[:, 0], number[:, 0], last)), axis=1)
    state.good[row] = np.where(present[:, 1], number[:, 1], good[:, 1])
    run = number - good - 1
    meant = (state.quiet_from[row, None] <= number) & (number < state.quiet_to[row, None])
    faked: Flags = ~present & ~meant & (run >= 0) & (run < FADE_SLOTS)
    known = number < state.end[row, None]
    state.concealed[row] += (faked & known).sum(axis=1)
    state.gap[row] += (faked & ~known).sum(axis=1)
    return faked


def _shrink(state: MediaState, row: Index, whole: Flags, first: Slots, tick: int) -> Flags:
    """Once per window and row give back delay that was never needed in it: in silence all, in sound one slot.

    (A,) bool: rows whose frame is to be made of one slot more than usual.
    """
    longer = np.zeros(row.size, np.bool_)
    due = np.flatnonzero((row + tick) % WINDOW == 0)
    if not due.size:
        return longer
    surplus = state.slack[row[due]] - FRAME_SLOTS
    state.slack[row[due]] = FOREVER
    ready = whole[due] & (surplus > 0) & (surplus < SLOTS)
    due, surplus = due[ready], surplus[ready]
    leg, further = row[due], first[due] + FRAME_SLOTS
    sounding = state.active[leg]
    longer[due] = sounding & (state.stamp[leg, further % SLOTS] == further)
    cut = np.where(sounding, longer[due], surplus)
    state.play[leg] += cut
    state.good[leg] += longer[due]
    state.margin[leg] = np.maximum(state.margin[leg] - cut, FRAME_SLOTS)
    return longer


def _fit(sound: Pcm, rate: int) -> Pcm:
    """Three slots cross over to two."""
    size = rate // 50
    if sound.size == size:
        return sound
    rise = (np.arange(size, dtype=np.float32) + 0.5) / np.float32(size)
    blended: Pcm = np.rint(sound[:size] * (1 - rise) + sound[sound.size - size :] * rise).astype(np.int16)
    return blended
