"""Payloads → datagrams, with sequence numbers and timestamps that never break (RFC 3550 §5.1)."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixminus.media.batch import FAMILY_IPV6, LENGTH_IPV4, LENGTH_IPV6, DatagramBatch
from mixminus.media.codecs import g711
from mixminus.media.mixing.layout import LAWS, WIDE_LAWS, payload_rows
from mixminus.media.protocol import DigitsSent, Event
from mixminus.media.sound.comfort import LineNoise
from mixminus.media.sound.dtmf import EVENT_BYTES, EventPacket, KeySender
from mixminus.media.state import FRAME, LEG, NOWHERE, MediaState
from mixminus.rtp.packet import HEADER_LAYOUT, VERSION_2

Lengths: TypeAlias = NDArray[np.int32]


class Packetiser:
    """Who is sent to, and the batch they are sent in.

    Attributes:
        row: (L,) legs that are sent to, rising.
        law: (L,) their laws.
        comfort: (L,) who gets noise instead of silence; None: nobody.
        silences_at: first of the payload rows kept for the silences of :data:`WIDE_LAWS`.
    """

    def __init__(self, state: MediaState) -> None:
        self._state = state
        self._keys: dict[int, KeySender] = {}
        self.row: NDArray[np.intp] = np.zeros(0, np.intp)
        self.law: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self.comfort: NDArray[np.bool_] | None = None
        self._noise: LineNoise | None = None
        self.grow()

    def grow(self) -> None:
        """Make the batch as large as the state."""
        capacity = self._state.capacity
        self.silences_at = payload_rows(capacity)
        self._noise_at = self.silences_at + len(WIDE_LAWS)
        self._events_at = self._noise_at + len(LAWS)
        payload = np.zeros((self._events_at + capacity, FRAME), np.uint8)
        for row, law in enumerate(LAWS):
            payload[row] = g711.SILENCE[law]
        self.batch = DatagramBatch(capacity, payload)
        self._fields = self.batch.header.view(HEADER_LAYOUT)[:, 0]

    def route(self) -> None:
        """Gather who is sent to, after signalling changed."""
        state, batch = self._state, self.batch
        is_leg = state.kind == LEG
        batch.listening = tuple(np.unique(state.port[is_leg]).tolist())
        sends = is_leg & state.sends & (state.target != NOWHERE)
        state.tx_marker[~sends] = True
        row = self.row = np.flatnonzero(sends)
        self.law = state.law[row]
        comfort = state.comfort[row]
        self.comfort = comfort if comfort.any() else None
        count = batch.count = row.size
        self._fields["first"][:count] = VERSION_2
        self._fields["ssrc"][:count] = state.tx_ssrc[row]
        batch.address[:count] = state.peer[row, state.target[row]]
        six = batch.address[:count, 0] == FAMILY_IPV6
        batch.address_length[:count] = np.where(six, LENGTH_IPV6, LENGTH_IPV4)
        batch.port[:count] = state.port[row]

    def queue_keys(self, row: int, digits: str) -> None:
        """Send telephone events to a leg, after those that wait already.

        Raises:
            MediaError: a character is no key, or too many wait.
        """
        sender = self._keys.get(row, KeySender())
        sender.send(digits)
        self._keys[row] = sender

    @property
    def sending_keys(self) -> bool:
        return bool(self._keys)

    def skip(self, ticks: int) -> None:
        """So many packets to each leg were sent in another way."""
        state, row = self._state, self.row
        state.tx_sequence[row] += np.uint16(ticks & 0xFFFF)
        state.tx_marker[row] = False
        state.sent[row] += ticks
        state.tx_timestamp += np.uint32(ticks * FRAME & 0xFFFFFFFF)

    def leave_out(self, ticks: int) -> None:
        """So many ticks passed in which nothing was sent: the clock of what is sent goes on (RFC 3550 §5.1)."""
        self._state.tx_timestamp += self._state.tx_step * np.uint32(ticks & 0xFFFFFFFF)

    def forget(self, row: int) -> None:
        """The leg is gone, and the keys it had waiting."""
        self._keys.pop(row, None)

    def write(self, payload_row: NDArray[np.intp], now_ns: int, length: Lengths | None = None) -> list[Event]:
        """Fill the batch: one packet for each leg, ``payload_row`` ((L,)) of its audio; ``length`` bytes, None: 160."""
        state, batch, row, fields = self._state, self.batch, self.row, self._fields
        count = row.size
        sequence = state.tx_sequence[row]
        fields["sequence"][:count] = sequence
        fields["timestamp"][:count] = state.tx_timestamp[row]
        fields["second"][:count] = state.payload_type[row] | (state.tx_marker[row].astype(np.int16) << 7)
        batch.payload_row[:count] = payload_row if self.comfort is None else self._hiss(payload_row, self.comfort)
        batch.payload_length[:count] = FRAME if length is None else length
        events = self._send_keys(now_ns) if self._keys else []
        state.tx_sequence[row] = sequence + np.uint16(1)
        state.tx_marker[row] = False
        state.sent[row] += 1
        state.tx_timestamp += state.tx_step
        return events

    def _hiss(self, payload_row: NDArray[np.intp], comfort: NDArray[np.bool_]) -> NDArray[np.intp]:
        """``payload_row`` with the noise of this tick in the place of silence, for who gets some."""
        if self._noise is None:
            self._noise = LineNoise()
        self.batch.payload[self._noise_at : self._noise_at + len(LAWS)] = self._noise.next()
        return np.where(comfort & (payload_row < len(LAWS)), self._noise_at + payload_row, payload_row)

    def _send_keys(self, now_ns: int) -> list[Event]:
        """Replace the audio of legs that are sent a key. Keys wait while their leg is not sent to."""
        state = self._state
        done: list[Event] = []
        for row, sender in list(self._keys.items()):
            at = int(np.searchsorted(self.row, row))
            if at == self.row.size or self.row[at] != row or state.event_type[row] < 0:
                continue
            packet, told = sender.step(int(state.event_scale[row]))
            done += [DigitsSent(state.names[row], now_ns)] * told
            if packet is not None:
                self._replace(at, row, packet)
            if sender.idle:
                del self._keys[row]
        return done

    def _replace(self, at: int, row: int, packet: EventPacket) -> None:
        batch = self.batch
        self._fields["second"][at] = int(self._state.event_type[row]) | packet.marker << 7
        age = packet.age * int(self._state.tx_step[row])
        self._fields["timestamp"][at] = (int(self._state.tx_timestamp[row]) - age) & 0xFFFFFFFF
        batch.payload_row[at] = self._events_at + at
        batch.payload_length[at] = EVENT_BYTES
        batch.payload[self._events_at + at, :EVENT_BYTES] = np.frombuffer(packet.payload, np.uint8)
