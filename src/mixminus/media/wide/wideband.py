"""Legs whose codec has a state: G.722 and Opus. Jitter slots → samples at the codec's own rate, one decoder per leg.

The jitter buffer is the one of all legs (:mod:`mixminus.media.jitter.ingest`), in its 8 kHz clock and 10 ms slots.
Payloads of G.722 lie in its ring as they are. Those of Opus, of any size, are kept here, and the ring holds a ticket in
their place: number of the packet, number of the slot within it, slots of the packet, and whether it holds no voice.

What is regular, one packet of 20 ms in a frame, is told by array operations and decoded in one loop that does nothing
else; :mod:`mixminus.media.wide.streams` has the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g722, opus
from mixminus.media.jitter import depth, gaps
from mixminus.media.state import FRAME_SLOTS, NEVER, RATE, SLOT, SLOTS, MediaState
from mixminus.media.wide.shelf import Shelf
from mixminus.media.wide.shorter import Shorter
from mixminus.media.wide.streams import AHEAD_SLOTS, G722Stream, OpusStream, Piece, Run, Work, on_this_thread
from mixminus.rtp.packet import HeaderBatch

Index = NDArray[np.intp]
Slots = NDArray[np.int64]
Flags = NDArray[np.bool_]
Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]

CLOCKS: Final = opus.RATE // RATE
"""Ticks of the clock of Opus to one of the jitter buffer's."""
PACE: Final = 2
"""Ticks between two changes of the delay where the sound is soft..."""
LOUD_PACE: Final = np.array([200, 40, 4])
"""... and in the midst of a loud one, where a better moment is waited for, when little, much or too much is owed."""
_MUCH: Final = (6 * SLOT, 20 * SLOT)
"""Samples from which on much is owed, and too much."""
MOST_JOINTS: Final = 16
"""Legs whose sound is made shorter in one tick at most: some 0.1 ms each."""
STALE_TICKS: Final = 50
"""Ticks after which a decoder that was not used begins anew."""
PROBE: Final = 25
"""Packets (0.5 s) after which one is decoded even though its sender says that it holds no voice."""
_TICKET: Final = np.dtype([("number", "<i8"), ("part", "u1"), ("slots", "u1"), ("voiceless", "?")], align=True)
_TICKET_BYTES: Final = np.arange(_TICKET.itemsize)
_HALVES: Final = np.arange(FRAME_SLOTS, dtype=np.int64)
_OPUS_FRAME_BYTES: Final = 2 * opus.FRAME


class Sound(NamedTuple):
    """One frame of some legs, at one rate: rows (A,), samples (A, S), good until the next tick."""

    rate: int
    row: Index
    pcm: Pcm


class Due(NamedTuple):
    """Legs that are to be played: rows (A,), their first slots, (A, 2) which of two slots there are, which are to be
    made of one slot more, and for how many slots the delay is to grow.
    """

    row: Index
    first: Slots
    present: Flags
    longer: Flags
    hold: Slots

    def pick(self, which: Index | Flags) -> Due:
        return Due(self.row[which], self.first[which], self.present[which], self.longer[which], self.hold[which])


class Receivers:
    """The streams of all legs of G.722 and Opus."""

    def __init__(self, state: MediaState, run: Run = on_this_thread) -> None:
        self._state = state
        self._run = run
        self._opus: dict[int, OpusStream] = {}
        self._g722: dict[int, G722Stream] = {}
        self._clocks = _Clocks()
        self._shelf = Shelf()
        self._shorter = Shorter(state)
        self._sound: Pcm = np.zeros((0, opus.FRAME), np.int16)
        """What is decoded in one pass."""

    def __bool__(self) -> bool:
        return bool(self._opus or self._g722)

    def open(self, row: int) -> None:
        """The leg of this row begins to receive in the codec of its ``law``.

        Raises:
            MediaError: there is no libopus.
        """
        self._state.decoded_at[row] = self._state.rested[row] = NEVER
        if self._state.law[row] == opus.OPUS_CODE:
            self._opus[row] = OpusStream()
            self._clocks.forget(row)
            if len(self._sound) < len(self._opus):
                self._sound = np.zeros((2 * len(self._opus), opus.FRAME), np.int16)
        else:
            self._g722[row] = G722Stream()

    def close(self, row: int) -> None:
        self._opus.pop(row, None)
        self._g722.pop(row, None)
        self._shorter.drop(row)
        if not self._opus:
            self._shelf.clear()

    def translate(self, headers: HeaderBatch, row: Index, data: Bytes) -> HeaderBatch:
        """Make packets of Opus such as the jitter buffer understands; takes the payloads out of ``data``.

        Time stamps come to the clock of 8 kHz, sizes to 80 for each slot (0: malformed), payloads to tickets.
        """
        if not self._opus:
            return headers
        state = self._state
        mine = np.flatnonzero(headers.valid & (row >= 0) & (state.law[row] == opus.OPUS_CODE))
        if not mine.size:
            return headers
        timestamp, size = headers.timestamp.copy(), headers.size.copy()
        leg, payload_type = row[mine], headers.payload_type[mine]
        timestamp[mine] = self._clocks.narrow(leg, timestamp[mine])
        sound = payload_type == state.payload_type[leg]
        at = mine[sound]
        size[at] = SLOT * self._keep(data, at, headers.offset[at], size[at])
        for packet in mine[~sound & (payload_type == state.event_type[leg]) & (size[mine] >= 4)].tolist():
            self._shorten(int(row[packet]), data[packet, int(headers.offset[packet]) :])
        return headers._replace(timestamp=timestamp, size=size)

    def _keep(self, data: Bytes, at: Index, offset: NDArray[np.int32], size: NDArray[np.int32]) -> NDArray[np.int64]:
        """Keep the packets in rows ``at`` of ``data``, put tickets in their place; (P,) how many slots they have."""
        first = data[at, np.minimum(offset, data.shape[1] - 1)]
        second = data[at, np.minimum(offset + 1, data.shape[1] - 1)]
        slots = opus.packet_slots(first, second, size)
        slots[offset + slots * SLOT > data.shape[1]] = 0
        good = np.flatnonzero(slots)
        at, offset = at[good], offset[good]
        ticket = np.zeros(good.size, _TICKET)
        ticket["slots"] = slots[good]
        ticket["voiceless"] = opus.is_voiceless(first, second, size)[good]
        ticket["number"] = self._shelf.put(data, at, offset, size[good])
        for part in range(int(slots.max(initial=0))):
            has = np.flatnonzero(slots[good] > part)
            ticket["part"] = part
            columns = (offset[has] + part * SLOT)[:, None] + _TICKET_BYTES
            data[at[has, None], columns] = ticket[has].view(np.uint8).reshape(-1, _TICKET.itemsize)
        return slots

    def _shorten(self, row: int, payload: Bytes) -> None:
        """The duration of a telephone event, to the clock of 8 kHz."""
        duration = (int(payload[2]) << 8 | int(payload[3])) // int(self._state.event_scale[row])
        payload[2:4] = duration >> 8, duration & 255

    def pull(self, tick: int) -> list[Sound]:
        """Take one frame of every leg that is listened to and that has one; the others are moved on."""
        if not self:
            return []
        state = self._state
        row = np.flatnonzero(state.started & (state.rate > RATE))
        first = state.play[row]
        number = first[:, None] + _HALVES
        present: Flags = state.stamp[row[:, None], number % SLOTS] == number
        due, sounds = self._advance(row, first, number, present, tick)
        due = due.pick(sounds & ((state.talk[row] != 0) | state.inband[row]))
        self._use(due.row, tick)
        return self._play(due)

    def _advance(self, row: Index, first: Slots, number: Slots, present: Flags, tick: int) -> tuple[Due, Flags]:
        """Move these rows on by a frame, more or less; and tell which, (A,), have something to be played."""
        state = self._state
        self._shorter.drop_silent()
        if present.all() and not state.owed[row].any():
            state.play[row] = first + FRAME_SLOTS
            state.good[row] = first + FRAME_SLOTS - 1
            no, none = np.zeros(row.size, np.bool_), np.zeros(row.size, np.int64)
            return Due(row, first, present, no, none), ~no
        hold, longer, cut = _settle(state, row, np.logical_and.reduce(present, axis=1), first, tick)
        present = present & (hold == 0)[:, None]
        faked = gaps.to_fake(state, row, number, present)
        gaps.count(state, row, number, present, faked)
        state.play[row] = first + FRAME_SLOTS - hold + cut
        state.good[row] += longer
        sounds: Flags = np.logical_or.reduce(present | faked, axis=1)
        return Due(row, first, present, longer, hold), sounds

    def _use(self, row: Index, tick: int) -> None:
        """Decoders of these rows are used now; those that were not for long begin anew."""
        state = self._state
        for leg in row[tick - state.decoded_at[row] > STALE_TICKS].tolist():
            (self._opus.get(leg) or self._g722[leg]).restart()
            state.rested[leg] = NEVER
        state.decoded_at[row] = tick

    def _play(self, due: Due) -> list[Sound]:
        regular = due.present.all(axis=1) & ~due.longer
        sounds: list[Sound] = []
        of_opus = self._state.law[due.row] == opus.OPUS_CODE
        straight = np.flatnonzero(regular & ~of_opus)
        if straight.size:
            sounds.append(self._play_g722(due.row[straight], due.first[straight]))
        left = np.flatnonzero(~regular)
        straight = np.flatnonzero(regular & of_opus)
        if straight.size:
            sound, odd = self._play_opus(due.row[straight], due.first[straight])
            sounds.append(sound)
            left = np.concatenate((left, straight[odd]))
        sounds = [sound._replace(pcm=self._shorter.delayed(sound.row, sound.pcm)) for sound in sounds]
        return sounds + self._play_odd(due.pick(left)) if left.size else sounds

    def _slots(self, row: Index, first: Slots, size: int) -> Bytes:
        """(A, 2, size) the first bytes of two slots each of the ring."""
        place = row[:, None] * SLOTS + (first[:, None] + _HALVES) % SLOTS
        held: Bytes = self._state.ring.reshape(-1, SLOT)[place, :size]
        return held

    def _play_g722(self, row: Index, first: Slots) -> Sound:
        payload, size = self._slots(row, first, SLOT).tobytes(), g722.FRAME_BYTES
        streams = [self._g722[leg] for leg in row.tolist()]
        pcm = g722.decode_each([stream.decoder for stream in streams], payload, size)
        broken = [at for at, stream in enumerate(streams) if stream.broken]
        if broken:
            pcm = pcm.copy()
        for at in broken:
            streams[at].join(pcm[at])
        pcm.flags.writeable = False  # streams look back on it: gain and the like are for a copy
        for stream, sound in zip(streams, pcm, strict=True):
            stream.played(sound)
        return Sound(g722.RATE, row, pcm)

    def _play_opus(self, row: Index, first: Slots) -> tuple[Sound, Index]:
        """Those with a packet of 20 ms; and which have another, or none any more."""
        state = self._state
        ticket = np.ascontiguousarray(self._slots(row, first, _TICKET.itemsize)).view(_TICKET)[:, :, 0]
        number = ticket["number"]
        usual = (number[:, 0] == number[:, 1]) & (ticket["part"] == _HALVES).all(axis=1)
        usual &= ticket["slots"][:, 0] == FRAME_SLOTS
        odd = np.flatnonzero(~usual).tolist()
        silent = state.hangover[row] == 0
        still = usual & silent & ticket["voiceless"][:, 0] & (state.rests[row] + 1 < PROBE)
        self._rest(row[still], number[still, 0])
        tasks: list[opus.Decoding] = []
        played: list[int] = []
        resting: list[int] = []
        base = self._sound.ctypes.data
        left = np.flatnonzero(usual & ~still)
        for at, leg, key, rested, may_rest in zip(
            left.tolist(),
            row[left].tolist(),
            number[left, 0].tolist(),
            state.rested[row[left]].tolist(),
            silent[left].tolist(),
            strict=True,
        ):
            stream, packet = self._opus[leg], self._shelf.get(key)
            if packet is None:
                odd.append(at)
            elif may_rest and packet == stream.last:
                resting.append(at)
            else:
                place = len(tasks)
                before = self._shelf.get(rested) if rested != NEVER else None
                tasks.append((place, stream.decoder.at, before, packet, base + place * _OPUS_FRAME_BYTES))
                stream.played(packet)
                played.append(at)
        self._rest(row[resting], number[resting, 0])
        leg = row[played]
        state.rests[leg], state.rested[leg] = 0, NEVER
        self._decode(tasks, leg)
        return Sound(opus.RATE, leg, self._sound[: len(tasks)]), np.array(odd, np.intp)

    def _rest(self, row: Index, number: NDArray[np.int64]) -> None:
        """These packets stay undecoded, for they will be silence too: the very packet that was silence before, or one
        whose sender heard no voice. The last is looked into now and then.
        """
        self._state.rests[row] = np.minimum(self._state.rests[row] + 1, PROBE)
        self._state.rested[row] = number

    def _decode(self, tasks: list[opus.Decoding], row: Index) -> None:
        """Have all of them decoded. What is no Opus after all is concealed."""
        results = [0] * len(tasks)
        self._run(partial(opus.decode_each, iter(tasks), results), len(tasks))
        for at, samples in enumerate(results):
            if samples != opus.FRAME:
                self._opus[int(row[at])].play(NEVER, [None] * FRAME_SLOTS, None, self._sound[at])

    def _play_odd(self, due: Due) -> list[Sound]:
        jobs: list[Work] = []
        outs: dict[tuple[int, bool], tuple[list[int], list[Pcm]]] = {}
        self._state.rested[due.row] = NEVER
        for at, leg in enumerate(due.row.tolist()):
            stream = self._opus.get(leg) or self._g722[leg]
            count = FRAME_SLOTS + bool(due.longer[at])
            begin, held = int(due.first[at]), bool(due.hold[at])
            pieces = [None if held else self._piece(leg, stream, begin + slot) for slot in range(count)]
            ahead = None if held or due.present[at].all() else self._ahead(leg, stream, begin)
            out = np.empty(count * stream.slot, np.int16)
            jobs.append(partial(stream.play, NEVER if held else begin, pieces, ahead, out))
            rows, sounds = outs.setdefault((100 * stream.slot, count > FRAME_SLOTS), ([], []))
            rows.append(leg)
            sounds.append(out)
        self._run(partial(_do_each, iter(jobs)), len(jobs))
        return [
            self._fit(rate, np.array(rows, np.intp), np.stack(sounds), longer=longer)
            for (rate, longer), (rows, sounds) in outs.items()
        ]

    def _fit(self, rate: int, row: Index, pcm: Pcm, *, longer: bool) -> Sound:
        """One frame of each row, of two slots or (``longer``) three."""
        if longer:
            return Sound(rate, row, self._shorter.shortened(rate, row.tolist(), pcm))
        return Sound(rate, row, self._shorter.delayed(row, pcm))

    def _piece(self, row: int, stream: G722Stream | OpusStream, number: int) -> Piece | None:
        state, place = self._state, number % SLOTS
        if state.stamp[row, place] != number:
            return None
        held = state.ring[row, place]
        if isinstance(stream, G722Stream):
            return Piece(held.tobytes(), 0)
        ticket = held[: _TICKET.itemsize].view(_TICKET)[0]
        packet = self._shelf.get(int(ticket["number"]))
        return None if packet is None else Piece(packet, int(ticket["part"]))

    def _ahead(self, row: int, stream: G722Stream | OpusStream, first: int) -> tuple[bytes, int] | None:
        """The next packet that has come, and its first slot."""
        for number in range(first + 1, first + FRAME_SLOTS + AHEAD_SLOTS):
            piece = self._piece(row, stream, number)
            if piece is not None and piece.part == 0:
                return piece.payload, number
        return None


class _Clocks:
    """Time stamps at 48 kHz, on the clock of the jitter buffer. Both wrap at 32 bits, so a leg's are told by steps."""

    def __init__(self) -> None:
        self._wide = np.zeros(0, np.uint32)
        self._narrow = np.zeros(0, np.uint32)
        self._known = np.zeros(0, np.bool_)

    def forget(self, row: int) -> None:
        """Another stream begins."""
        if row >= self._known.size:
            more = 2 * row + 1 - self._known.size
            self._wide, self._narrow, self._known = (
                np.concatenate((clock, np.zeros(more, clock.dtype)))
                for clock in (self._wide, self._narrow, self._known)
            )
        self._known[row] = False

    def narrow(self, row: Index, timestamp: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """(P,) of packets of these rows, in order of arrival."""
        fresh = ~self._known[row]
        first = row[fresh]
        self._wide[first] = timestamp[fresh]
        self._narrow[first] = timestamp[fresh] // CLOCKS
        self._known[first] = True
        step = ((timestamp - self._wide[row]).view(np.int32) // CLOCKS).astype(np.uint32)
        narrow = self._narrow[row] + step
        self._wide[row] += step * np.uint32(CLOCKS)
        self._narrow[row] = narrow
        return narrow


def _do_each(jobs: Iterator[Work]) -> None:
    for job in jobs:
        job()


def _settle(state: MediaState, row: Index, whole: Flags, first: Slots, tick: int) -> tuple[Slots, Flags, Slots]:
    """Pay what is owed of delay (:mod:`mixminus.media.jitter.depth`): in silence at once; in sound a slot now and then,
    and what is lacking best where something is missing anyhow; neither in the midst of a loud sound if that can wait.

    (A,) each: slots for which playing waits, rows whose frame is to be made of one slot more, slots passed over.
    """
    owed, sounding = state.owed[row], state.active[row]
    urgency = np.searchsorted(_MUCH, np.abs(owed), "right")
    turn = (row + tick) % np.where(state.quiet[row] > 0, PACE, LOUD_PACE[urgency]) == 0
    hold = np.where((owed <= -SLOT) & (~sounding | ~whole | turn), FRAME_SLOTS, 0)
    further = first + FRAME_SLOTS
    there = state.stamp[row, further % SLOTS] == further
    longer: Flags = (owed >= SLOT) & whole & sounding & turn & there
    longer = depth.in_turn(longer, MOST_JOINTS, tick // int(LOUD_PACE[-1]))
    waiting = np.maximum(state.end[row] - further, 0)
    cut = np.where((owed >= SLOT) & whole & ~sounding, np.minimum(owed // SLOT, waiting), longer)
    state.owed[row] = owed + (hold - cut) * SLOT
    return hold, longer, cut
