"""Commands → rows: the one place where legs, players and taps come and go."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

import msgspec
import numpy as np

from mixminus.errors import MediaError
from mixminus.media import protocol
from mixminus.media.batch import unpack_address
from mixminus.media.codecs import g711, g722, opus
from mixminus.media.demux import Demux
from mixminus.media.packetise import Packetiser
from mixminus.media.reports import Reports, quality_of
from mixminus.media.sound.comfort import ComfortNoise
from mixminus.media.sound.dtmf import KeyReaders
from mixminus.media.sound.inband import InbandKeys
from mixminus.media.sound.prompt import Players
from mixminus.media.state import FRAME, LEG, NEVER, NOWHERE, PLAYER, RATE, SLOT, TAP, TICK_NS, MediaState
from mixminus.media.taping.tap import OpenTap, TapsByRate
from mixminus.media.wide.bands import Bands
from mixminus.media.wide.resample import RATES
from mixminus.media.wide.speakers import RATE_OF
from mixminus.media.wide.wideband import Receivers

_LAWS = {"PCMU": g711.PCMU, "PCMA": g711.PCMA, "G722": g722.G722_CODE, "opus": opus.OPUS_CODE}
_CLOCKS = (RATE, opus.RATE)
_MASK = (1 << 64) - 1


class Control:
    """Names of everything, and what each command does to it."""

    def __init__(
        self,
        state: MediaState,
        demux: Demux,
        readers: KeyReaders,
        inband: InbandKeys,
        comfort: ComfortNoise,
        players: Players,
        taps: TapsByRate,
        packetiser: Packetiser,
        reports: Reports,
        receivers: Receivers,
        bands: Bands,
        ports: Sequence[int],
        open_tap: OpenTap,
        seed: int | None,
    ) -> None:
        self._state = state
        self._demux = demux
        self._readers = readers
        self._inband = inband
        self._comfort = comfort
        self._players = players
        self._taps = taps
        self._packetiser = packetiser
        self._reports = reports
        self._receivers = receivers
        self._bands = bands
        self._port_index = {port: index for index, port in enumerate(ports)}
        self._open_tap = open_tap
        self._random = np.random.default_rng(seed)
        self._rows: dict[int, dict[str, int]] = {LEG: {}, PLAYER: {}, TAP: {}}
        self._rooms: dict[str, int] = {}
        self._room_names: dict[int, str] = {}
        self._members: dict[int, int] = {}
        """Room number → rows in it."""
        self._free_rooms: list[int] = []
        self._rising: set[int] = set()
        """Rows of taps whose rate follows the highest in their room."""

    def apply(self, command: protocol.Command, now_ns: int) -> list[protocol.Event]:
        """Do one command; returns what happened by it.

        Raises:
            MediaError: it cannot be done, and nothing was changed.
        """
        match command:
            case protocol.OpenLeg():
                self._open_leg(command, now_ns)
                return self._raise_rates(command.leg, now_ns)
            case protocol.UpdateLeg():
                self._update_leg(command)
                return self._raise_rates(command.leg, now_ns)
            case protocol.MoveLeg():
                self._move_leg(command)
                return self._raise_rates(command.leg, now_ns)
            case protocol.CloseLeg():
                self._close_leg(command)
            case protocol.SetGainControl():
                self._state.agc[self._row(LEG, command.leg)] = command.on
            case protocol.SetHearing():
                self._set_hearing(command)
            case protocol.Play():
                self._play(command)
            case protocol.StopPlay():
                return self.stop_play(command.player, now_ns)
            case protocol.SendDigits():
                self._send_digits(command)
            case protocol.StartTap():
                return self._start_tap(command, now_ns)
            case protocol.PauseTap():
                self._taps.pause(self._row(TAP, command.tap), now_ns)
            case protocol.ResumeTap():
                self._taps.resume(self._row(TAP, command.tap), now_ns)
            case protocol.StopTap():
                row = self._row(TAP, command.tap)
                self._taps.close(row, now_ns)
                self._rising.discard(row)
                self._release(TAP, row)
            case protocol.GetStats():
                pass  # changes nothing; the engine answers it
        return []

    def stop_play(self, player: str, now_ns: int) -> list[protocol.Event]:
        """End a player. One that has ended by itself a moment ago is no error: nobody can know in time."""
        row = self._rows[PLAYER].get(player)
        if row is None:
            return []
        self._players.stop(row)
        self._taps.forget(row)
        self._release(PLAYER, row)
        return [protocol.PlayEnded(player, now_ns)]

    def counts(self) -> tuple[int, int, int]:
        """Legs, rooms, taps."""
        return len(self._rows[LEG]), len(self._rooms), len(self._rows[TAP])

    def leg_stats(self, asked: protocol.GetStats) -> tuple[protocol.LegStats, ...]:
        legs = self._rows[LEG]
        if asked.legs:
            return tuple(self._leg_stats(name, row) for name, row in legs.items())
        return (self._leg_stats(asked.leg, legs[asked.leg]),) if asked.leg in legs else ()

    def _open_leg(self, command: protocol.OpenLeg, now_ns: int) -> None:
        self._refuse_known(LEG, command.leg)
        _check_types(command)
        talk, hear = _mask("talk", command.talk), _mask("hear", command.hear)
        if command.port not in self._port_index:
            raise MediaError(f"port {command.port} is not one of this worker's RTP ports")
        row = self._state.claim(LEG, command.leg)
        self._state.port[row] = self._port_index[command.port]
        try:
            self._set_codec(row, command.codec)
            self._demux.signal(row, command.remote, command.latch_hosts)
        except MediaError:
            self._receivers.close(row)
            self._state.release(row)
            raise
        self._rows[LEG][command.leg] = row
        self._enter(row, command.room, talk, hear)
        self._set_signalling(row, command)
        self._state.agc[row] = command.agc
        self._begin_stream(row, command.sender, now_ns)

    def _begin_stream(self, row: int, sender: int, now_ns: int) -> None:
        """Where what is sent to a leg begins: anywhere, or where ``sender`` has come to by now."""
        state = self._state
        random, ticks = (np.random.default_rng(sender), now_ns // TICK_NS) if sender else (self._random, 0)
        state.tx_ssrc[row] = random.integers(1 << 32, dtype=np.uint32)
        state.tx_sequence[row] = int(random.integers(1 << 16)) + ticks & 0xFFFF
        state.tx_timestamp[row] = int(random.integers(1 << 32)) + ticks * int(state.tx_step[row]) & 0xFFFFFFFF

    def _update_leg(self, command: protocol.UpdateLeg) -> None:
        row = self._row(LEG, command.leg)
        _check_types(command)
        self._demux.signal(row, command.remote, command.latch_hosts)
        self._set_signalling(row, command)
        if _LAWS[command.codec] != self._state.law[row]:
            self._change_codec(row, command.codec)

    def _change_codec(self, row: int, codec: protocol.Codec) -> None:
        """What waits in the jitter buffer is recoded between the laws of G.711, else dropped: some 40 ms."""
        state = self._state
        law = _LAWS[codec]
        if law in g711.RECODE and state.law[row] in g711.RECODE:
            state.ring[row] = g711.RECODE[law][state.ring[row]]
            state.law[row] = law
            return
        self._receivers.close(row)
        self._bands.forget(row)
        self._set_codec(row, codec)
        state.stamp[row] = NEVER
        state.started[row] = False
        state.masks_changed = True

    def _set_codec(self, row: int, codec: protocol.Codec) -> None:
        state = self._state
        law = state.law[row] = _LAWS[codec]
        state.rate[row] = RATE_OF.get(law, RATE)
        state.tx_step[row] = opus.FRAME if law == opus.OPUS_CODE else FRAME
        if law in RATE_OF:
            self._receivers.open(row)

    def _set_signalling(self, row: int, command: protocol.OpenLeg | protocol.UpdateLeg) -> None:
        state = self._state
        state.payload_type[row] = command.payload_type
        state.event_type[row] = -1 if command.dtmf_payload_type is None else command.dtmf_payload_type
        state.event_scale[row] = command.dtmf_clock // RATE
        self._reports.signal(row, command.rtcp, command.remote, command.media_timeout)
        self._set_care(row, command)
        state.sends[row] = command.send
        state.receives[row] = command.receive
        state.routes_changed = True

    def _set_care(self, row: int, command: protocol.OpenLeg | protocol.UpdateLeg) -> None:
        state = self._state
        state.comfort[row] = command.comfort_noise
        inband = command.inband_keys and not self._readers.knows(row)
        if inband != state.inband[row]:
            state.inband[row] = inband
            state.masks_changed = True  # at which rate it is to be heard
        if inband:
            self._inband.open(row)
        else:
            self._inband.close([row])

    def _move_leg(self, command: protocol.MoveLeg) -> None:
        row = self._row(LEG, command.leg)
        talk, hear = _mask("talk", command.talk), _mask("hear", command.hear)
        self._leave(row)
        self._enter(row, command.room, talk, hear)

    def _close_leg(self, command: protocol.CloseLeg) -> None:
        row = self._row(LEG, command.leg)
        self._reports.close(row, goodbye=not command.elsewhere)
        self._demux.close(row)
        self._readers.forget(row)
        self._inband.close([row])
        self._comfort.forget(row)
        self._packetiser.forget(row)
        self._taps.forget(row)
        self._release(LEG, row)

    def _set_hearing(self, command: protocol.SetHearing) -> None:
        room = self._rooms.get(command.room, -1)
        rows = [self._row(LEG, entry.leg) for entry in command.legs]
        for entry, row in zip(command.legs, rows, strict=True):
            if self._state.room[row] != room:
                raise MediaError(f"leg {entry.leg!r} is not in room {command.room!r}")
            _mask("talk", entry.talk)
            _mask("hear", entry.hear)
        self._state.talk[rows] = np.array([entry.talk for entry in command.legs], np.uint64)
        self._state.hear[rows] = np.array([entry.hear for entry in command.legs], np.uint64)
        self._state.masks_changed = True

    def _play(self, command: protocol.Play) -> None:
        self._refuse_known(PLAYER, command.player)
        talk = _mask("talk", command.talk)
        self._players.prepare(command.source, command.loop, command.gain)
        row = self._state.claim(PLAYER, command.player)
        self._rows[PLAYER][command.player] = row
        self._enter(row, command.room, talk, 0)
        self._players.start(row, command.source, command.loop, command.gain)

    def _send_digits(self, command: protocol.SendDigits) -> None:
        row = self._row(LEG, command.leg)
        if self._state.event_type[row] < 0:
            raise MediaError(f"leg {command.leg!r} negotiated no telephone-event, so keys cannot be sent to it")
        self._packetiser.queue_keys(row, command.digits)

    def _start_tap(self, command: protocol.StartTap, now_ns: int) -> list[protocol.Event]:
        self._refuse_known(TAP, command.tap)
        hear = _mask("hear", command.hear)
        for name, value in (("rate", command.rate), ("least_rate", command.least_rate)):
            if value and value not in RATES:
                raise MediaError(f"{name} {value}: use one of {', '.join(map(str, RATES))}, or 0")
        leg = self._row(LEG, command.leg) if command.leg else -1
        rate = command.rate or max(command.least_rate, self._rate_of(command.room))
        sink = self._open_tap(msgspec.structs.replace(command, rate=rate), now_ns)
        row = self._state.claim(TAP, command.tap)
        self._state.rate[row] = rate
        self._rows[TAP][command.tap] = row
        self._enter(row, command.room, 0, 0 if command.leg else hear)
        self._taps.open(row, sink, command, leg)
        if not command.rate:
            self._rising.add(row)
        return [protocol.TapOpened(command.tap, rate, now_ns)]

    def _raise_rates(self, leg: str, now_ns: int) -> list[protocol.Event]:
        """Have the taps of a leg's room go on at the leg's rate, if that is higher than theirs."""
        state, row = self._state, self._rows[LEG][leg]
        rate, room = int(state.rate[row]), state.room[row]
        rising = sorted(tap for tap in self._rising if state.room[tap] == room and state.rate[tap] < rate)
        for tap in rising:
            self._taps.change_rate(tap, rate, now_ns)
            state.masks_changed = True
        return [protocol.TapOpened(state.names[tap], rate, now_ns) for tap in rising]

    def _rate_of(self, room: str) -> int:
        """The highest rate that a leg of a room can use."""
        state = self._state
        rates = state.rate[(state.kind == LEG) & (state.room == self._rooms.get(room, -1))]
        return int(rates.max(initial=RATE))

    def _leg_stats(self, name: str, row: int) -> protocol.LegStats:
        state = self._state
        target = int(state.target[row])
        unique = int(state.received[row] - state.duplicate[row])
        late = int(state.late[row])
        left = int(state.end[row] - state.play[row])
        return protocol.LegStats(
            leg=name,
            received=int(state.received[row]),
            lost=max(0, int(state.expected[row]) - unique) + late + int(state.dropped[row]),
            late=late,
            duplicate=int(state.duplicate[row]),
            concealed=(int(state.concealed[row]) + 1) // 2,
            sent=int(state.sent[row]),
            jitter_ms=round(float(state.jitter[row]) * 1000 / RATE, 2),
            delay_ms=(max(0, left) * SLOT + int(state.held[row])) * 1000 / RATE,
            remote=None if target == NOWHERE else unpack_address(state.peer[row, target]),
            agc=bool(state.agc[row]),
            gain_db=round(20 * log10(state.gain[row]), 1),
            **quality_of(state, row),
        )

    def _row(self, kind: int, name: str) -> int:
        row = self._rows[kind].get(name)
        if row is None:
            raise MediaError(f"no {_KINDS[kind]} {name!r} on this worker")
        return row

    def _refuse_known(self, kind: int, name: str) -> None:
        if name in self._rows[kind]:
            raise MediaError(f"{_KINDS[kind]} {name!r} is open already")

    def _enter(self, row: int, room: str, talk: int, hear: int) -> None:
        number = self._rooms.get(room)
        if number is None:
            number = self._free_rooms.pop() if self._free_rooms else len(self._rooms)
            self._rooms[room] = number
            self._room_names[number] = room
            self._members[number] = 0
        self._members[number] += 1
        self._state.room[row] = number
        self._state.talk[row] = talk
        self._state.hear[row] = hear
        self._state.masks_changed = True

    def _leave(self, row: int) -> None:
        number = int(self._state.room[row])
        self._members[number] -= 1
        if not self._members[number]:
            del self._members[number]
            del self._rooms[self._room_names.pop(number)]
            self._free_rooms.append(number)

    def _release(self, kind: int, row: int) -> None:
        self._receivers.close(row)
        self._bands.forget(row)
        self._leave(row)
        del self._rows[kind][self._state.names[row]]
        self._state.release(row)


_KINDS = {LEG: "leg", PLAYER: "player", TAP: "tap"}


def _mask(name: str, value: int) -> int:
    if not 0 <= value <= _MASK:
        raise MediaError(f"{name} {value}: a mask has 64 bits")
    return value


def _check_types(command: protocol.OpenLeg | protocol.UpdateLeg) -> None:
    """Payload types 64-95 cannot be told from RTCP on the same port (RFC 5761 §4)."""
    if command.codec not in _LAWS:
        raise MediaError(f"codec {command.codec!r}: use one of {', '.join(_LAWS)}")
    for name in ("payload_type", "dtmf_payload_type"):
        value = getattr(command, name)
        if value is not None and (not 0 <= value <= 127 or 64 <= value <= 95):
            raise MediaError(f"{name} {value}: must be 0 to 63 or 96 to 127")
    if command.dtmf_clock not in _CLOCKS:
        raise MediaError(f"dtmf_clock {command.dtmf_clock}: use one of {', '.join(map(str, _CLOCKS))}")
    if command.payload_type == command.dtmf_payload_type:
        raise MediaError(f"dtmf_payload_type {command.dtmf_payload_type} is the payload type of the audio")
