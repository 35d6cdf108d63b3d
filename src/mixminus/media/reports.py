"""RTCP of every leg: reports out and in, how it sounds, and whether the peer is still there.

Every leg has its turn once in five seconds, legs spread over the ticks (RFC 3550 §6.2). Reports go to where the
signalling says: the port of the audio (RFC 5761), or another. Those that come are taken on the port of the audio, and
believed when they come from the leg's host and name one of its two sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import ProtocolError
from mixminus.media.batch import PacketBatch, pack_address, unpack_address
from mixminus.media.protocol import Address, Event, LegQuality, LegSilent
from mixminus.media.state import FRAME, LEG, NOWHERE, RATE, SLOT, MediaState
from mixminus.rtp import rtcp

EVERY: Final = 250
"""Ticks (5 s) between two reports of a leg."""
POOR_MOS: Final = 3.1
GOOD_MOS: Final = 3.6
"""A leg becomes poor below the one, and good again above the other."""
_PACKET_MS: Final = 40.0
"""Of a frame: said at one end, mixed and waited for at the other."""
_UNKNOWN: Final = -1.0


class _Unsent(NamedTuple):
    report: rtcp.Report
    goodbye: bool
    address: NDArray[np.uint8]
    port: int


class Datagram(NamedTuple):
    """One RTCP packet to send: ``address`` raw ((32,) uint8), ``port`` the index of the local port."""

    data: bytes
    address: NDArray[np.uint8]
    port: int


@dataclass(slots=True)
class _Turn:
    """What one leg's last report was made of."""

    expected: int = 0
    unique: int = 0
    never_played: int = 0
    highest: int = -1
    sent: int = 0
    heard_ntp: int = 0
    heard_ns: int = 0
    """The peer's last sender report: its middle NTP bits, and when it came."""
    poor: bool = False


class Reports:
    """``name`` is our CNAME (RFC 7022: random, the same for all that one worker sends)."""

    def __init__(self, state: MediaState, name: str) -> None:
        self._state = state
        self._name = name
        self._turns: dict[int, _Turn] = {}
        self._waiting: list[_Unsent] = []
        self.malformed = 0

    def signal(self, row: int, address: Address | None, remote: Address | None, timeout: float) -> None:
        """Where a leg's reports go (None: nowhere; ``remote``: where its audio goes), and after how many seconds
        without a packet it is given up (0: never).
        """
        state = self._state
        state.rtcp[row] = 0 if address is None else pack_address(address)
        state.rtcp_mux[row] = address is not None and address == remote
        state.timeout[row] = round(timeout * 50)
        state.silent[row] = 0

    def close(self, row: int, *, goodbye: bool = True) -> None:
        """The leg is over: say so to the peer, if ``goodbye``."""
        turn = self._turns.pop(row, None)
        address = self._address(row)
        if goodbye and turn is not None and address is not None:
            self._send(row, rtcp.Report(int(self._state.tx_ssrc[row])), address, goodbye=True)

    def datagrams(self) -> list[Datagram]:
        """What is to be sent now."""
        waiting, self._waiting = self._waiting, []
        return [
            Datagram(rtcp.pack_compound(report, self._name, goodbye=goodbye), address, port)
            for report, goodbye, address, port in waiting
        ]

    def forget(self) -> None:
        """Nobody is to be sent anything."""
        self._waiting.clear()

    @property
    def poor_legs(self) -> int:
        """Legs that are hard to understand now."""
        return sum(turn.poor for turn in self._turns.values())

    def mean_mos(self) -> float | None:
        """How the legs that have sent something are heard, on average."""
        rated = self._state.rating[self._state.rating >= 0]
        return round(float(np.mean([rtcp.mos(rating) for rating in rated.tolist()])), 2) if rated.size else None

    # -- out

    def turns(self, tick: int, ticks: int) -> list[int]:
        """Of ``ticks`` ticks, the first of them ``tick``, those in which some leg has its turn, counted from 0."""
        passed = -(np.flatnonzero(self._state.kind == LEG) + tick) % EVERY
        return sorted(set(passed[passed < ticks].tolist()))

    def turn(self, tick: int, now_ns: int) -> list[Event]:
        """Report for the legs whose turn it is."""
        state = self._state
        if -tick % EVERY >= state.capacity:
            return []
        row = np.arange(-tick % EVERY, state.capacity, EVERY)
        row = row[state.kind[row] == LEG]
        events = self._find_silent(row, now_ns)
        for leg in row.tolist():
            events += self._report(leg, now_ns)
        return events

    def _find_silent(self, row: NDArray[np.intp], now_ns: int) -> list[Event]:
        state = self._state
        came = state.received[row] + state.reports_received[row]
        still = (came == state.seen[row]) & state.receives[row]
        state.seen[row] = came
        state.silent[row] = np.where(still, state.silent[row] + EVERY, 0)
        dead = row[(state.timeout[row] > 0) & (state.silent[row] >= state.timeout[row])]
        state.timeout[dead] = 0
        return [LegSilent(state.names[leg], float(state.silent[leg]) / 50, now_ns) for leg in dead.tolist()]

    def _report(self, row: int, now_ns: int) -> list[Event]:
        state = self._state
        turn = self._turns.setdefault(row, _Turn())
        block, loss = self._block(row, turn, now_ns)
        address = self._address(row)
        if address is not None:
            ssrc, sent = int(state.tx_ssrc[row]), int(state.sent[row])
            blocks = () if block is None else (block,)
            if sent != turn.sent:
                turn.sent, octets = sent, sent * FRAME + int(state.excess[row])
                # Of what was sent in this tick, on the codec's clock; the next packet's is known already.
                stamp = int(state.tx_timestamp[row] - state.tx_step[row])
                report = rtcp.Report(ssrc, blocks, rtcp.ntp_time(now_ns), stamp, sent, octets)
            else:
                report = rtcp.Report(ssrc, blocks)
            self._send(row, report, address)
        return [] if block is None else self._rate(row, turn, loss, now_ns)

    def _block(self, row: int, turn: _Turn, now_ns: int) -> tuple[rtcp.Block | None, float]:
        """What the peer is told about its stream; and the share of frames that were not played, late ones included."""
        state = self._state
        if not state.started[row]:
            return None, 0.0
        expected, unique = int(state.expected[row]), int(state.received[row] - state.duplicate[row])
        never = max(0, expected - unique) + int(state.late[row]) + int(state.dropped[row])
        due = expected - turn.expected
        sequence = int(state.sequence[row])
        turn.highest = sequence if turn.highest < 0 else rtcp.extend(turn.highest, sequence)
        block = rtcp.Block(
            ssrc=int(state.ssrc[row]),
            fraction_lost=rtcp.fraction_lost(due, unique - turn.unique),
            lost=expected - unique,
            highest=turn.highest,
            jitter=int(state.jitter[row] * self._clocks(row)),
            last_report=turn.heard_ntp,
            delay=(now_ns - turn.heard_ns) * 65536 // 10**9 if turn.heard_ntp else 0,
        )
        loss = min(1.0, max(0.0, (never - turn.never_played) / due)) if due > 0 else 0.0
        turn.expected, turn.unique, turn.never_played = expected, unique, never
        return block, loss

    def _clocks(self, row: int) -> int:
        """Ticks of the clock of a leg's time stamps to one at 8 kHz: six for Opus, and one for G.722 (RFC 3551)."""
        return int(self._state.tx_step[row]) // FRAME

    def _rate(self, row: int, turn: _Turn, loss: float, now_ns: int) -> list[Event]:
        """How others hear this leg, and how it hears them."""
        state = self._state
        there = max(0.0, float(state.round_trip[row])) / 2
        buffered = max(0, int(state.end[row] - state.play[row])) * SLOT * 1000 / RATE
        state.rating[row] = rtcp.r_factor(loss, there + buffered + _PACKET_MS)
        if state.far_loss[row] >= 0:
            state.far_rating[row] = rtcp.r_factor(float(state.far_loss[row]), there + 2 * _PACKET_MS)
        heard, hears = rtcp.mos(float(state.rating[row])), _score(float(state.far_rating[row]))
        worst = heard if hears is None else min(heard, hears)
        if (worst < POOR_MOS) == turn.poor or (turn.poor and worst < GOOD_MOS):
            return []
        turn.poor = not turn.poor
        trip = _known(float(state.round_trip[row]))
        return [LegQuality(state.names[row], not turn.poor, round(heard, 2), hears, round(loss, 4), trip, now_ns)]

    def _send(self, row: int, report: rtcp.Report, address: NDArray[np.uint8], *, goodbye: bool = False) -> None:
        self._waiting.append(_Unsent(report, goodbye, address.copy(), int(self._state.port[row])))

    def _address(self, row: int) -> NDArray[np.uint8] | None:
        state = self._state
        if not state.rtcp[row, 0]:
            return None
        address: NDArray[np.uint8] = state.rtcp[row]
        if state.rtcp_mux[row]:
            target = int(state.target[row])
            if target == NOWHERE:
                return None
            address = state.peer[row, target]
        return address

    # -- in

    def receive(self, packets: PacketBatch, which: NDArray[np.intp], now_ns: int) -> None:
        """Take the RTCP among ``packets``, whose indices are ``which``."""
        for index in which.tolist():
            try:
                reports = rtcp.parse_compound(packets.data[index, : packets.length[index]].tobytes())
            except ProtocolError:
                self.malformed += 1
                continue
            for report in reports:
                row = self._row_of(report, packets.address[index], int(packets.port[index]))
                if row >= 0:
                    self._take(row, report, now_ns)

    def _row_of(self, report: rtcp.Report, address: NDArray[np.uint8], port: int) -> int:
        state = self._state
        ours = [block.ssrc for block in report.blocks]
        named = np.isin(state.tx_ssrc, ours) | (state.started & (state.ssrc == report.ssrc))
        host = unpack_address(address)[0]
        for row in np.flatnonzero(named & (state.port == port) & (state.kind == LEG)).tolist():
            target = int(state.target[row])
            if target != NOWHERE and unpack_address(state.peer[row, target])[0] == host:
                return int(row)
        return -1

    def _take(self, row: int, report: rtcp.Report, now_ns: int) -> None:
        state = self._state
        turn = self._turns.setdefault(row, _Turn())
        state.reports_received[row] += 1
        if report.ntp is not None:
            turn.heard_ntp, turn.heard_ns = rtcp.middle(report.ntp), now_ns
        for block in report.blocks:
            if block.ssrc != state.tx_ssrc[row]:
                continue
            state.far_loss[row] = block.fraction_lost
            state.far_jitter[row] = block.jitter / self._clocks(row)
            trip = rtcp.round_trip_ms(block, rtcp.ntp_time(now_ns))
            if trip is not None:
                # Arrival is known to the tick, and so on average 10 ms later than it was.
                state.round_trip[row] = max(0.0, trip - 10)


def quality_of(state: MediaState, row: int) -> dict[str, float | None]:
    """The fields of ``LegStats`` that come from reports."""
    jitter = _known(float(state.far_jitter[row]))
    return {
        "round_trip_ms": _known(float(state.round_trip[row])),
        "far_loss": _known(float(state.far_loss[row])),
        "far_jitter_ms": None if jitter is None else round(jitter * 1000 / RATE, 2),
        "r_factor": _known(float(state.rating[row])),
        "mos": _score(float(state.rating[row])),
        "far_mos": _score(float(state.far_rating[row])),
    }


def _known(value: float) -> float | None:
    return None if value < 0 else round(value, 4)


def _score(rating: float) -> float | None:
    return None if rating < 0 else round(rtcp.mos(rating), 2)
