"""RTCP of an engine: what a peer is told, what its reports tell, and what becomes of one who is gone."""

from __future__ import annotations

import numpy as np
import pytest

from media.kit import RATES, TYPES, Peer, Studio, tone
from mixminus.media import protocol
from mixminus.media.batch import unpack_address
from mixminus.media.reports import EVERY
from mixminus.media.state import FRAME, TICK_NS
from mixminus.rtp.rtcp import Block, Report, middle, ntp_time, pack_compound, parse_compound

SECOND = 50


class Line:
    """A leg with reports, alone with a listener."""

    def __init__(self, *, rtcp_port: int = 4000, media_timeout: float = 0.0, codec: protocol.Codec = "PCMU") -> None:
        self.studio = Studio()
        self.peer = Peer("talker", ("127.0.0.9", 4000), codec, ssrc=77)
        self.studio.add(self.peer)
        self.studio.apply(
            protocol.OpenLeg(
                "talker",
                "room",
                self.peer.port,
                self.peer.address,
                codec,
                TYPES[codec],
                dtmf_clock=48000 if codec == "opus" else 8000,
                talk=1,
                hear=1,
                rtcp=("127.0.0.9", rtcp_port),
                media_timeout=media_timeout,
            )
        )
        self.sound = tone(440, 5000, rate=RATES[codec])
        self.said = 0
        self.reports: list[tuple[protocol.Address, Report]] = []

    def run(self, ticks: int, *, lose: int = 0, silent: bool = False) -> None:
        """``lose``: every so many packets one is lost."""
        for _ in range(ticks):
            if not silent:
                packet = self.peer.packet(self.sound[self.said % 5000])
                self.said += 1
                if not lose or self.said % lose:
                    self.studio.deliver(self.peer, packet)
            self.studio.tick()
            for data, address, port in self.studio.engine.reports():
                assert port == 0
                self.reports += [(unpack_address(address), report) for report in parse_compound(data)]

    def hear(self, report: Report, *, port: int = 4001) -> None:
        self.studio.deliver(self.peer, pack_compound(report, "peer"), source=("127.0.0.9", port))

    @property
    def our_ssrc(self) -> int:
        return self.peer.headers[-1].ssrc

    @property
    def total(self) -> protocol.Stats:
        stats = self.studio.apply(protocol.GetStats())
        assert stats is not None
        return stats

    @property
    def stats(self) -> protocol.LegStats:
        return self.studio.stats("talker")


def test_every_leg_is_told_every_five_seconds_what_came_of_its_stream() -> None:
    line = Line()
    line.run(4 * EVERY, lose=10)
    assert len(line.reports) == 4
    address, last = line.reports[-1]
    assert address == line.peer.address
    assert last.ssrc == line.our_ssrc
    assert last.packets > 700
    assert last.octets == last.packets * FRAME
    (block,) = last.blocks
    assert block.ssrc == 77
    assert block.fraction_lost == pytest.approx(0.1, abs=0.01)
    assert block.lost == pytest.approx(last.packets / 10, abs=5)
    assert block.highest & 0xFFFF == pytest.approx(line.peer.sequence, abs=EVERY)


def test_sender_time_and_timestamp_are_of_one_moment() -> None:
    line = Line()
    line.run(3 * EVERY)
    (_, first), (_, second) = line.reports[-2:]
    assert first.ntp is not None and second.ntp is not None
    assert (second.ntp - first.ntp) / 2**32 == pytest.approx((second.timestamp - first.timestamp) / 8000, abs=1e-6)


CLOCKS = {"PCMU": 8000, "G722": 8000, "opus": 48000}
"""Of time stamps: that of G.722 is 8 kHz though it is sampled at 16 (RFC 3551 §4.5.2)."""


@pytest.mark.parametrize("codec", ["PCMU", "G722", "opus"])
def test_what_was_sent_is_told_on_the_clock_and_in_the_bytes_of_the_codec(codec: protocol.Codec) -> None:
    line = Line(codec=codec)
    line.studio.join("speaker", codec=codec)
    for _ in range(3 * EVERY):
        line.studio.tick({"speaker": line.sound[line.studio.ticks]})
        for data, _, _ in line.studio.engine.reports():
            (report,) = parse_compound(data)
            last = line.peer.headers[-1]
            assert report.ntp == ntp_time(line.studio.now - TICK_NS)
            assert report.timestamp == last.timestamp, "of the packet of this very tick"
            assert report.packets == len(line.peer.headers)
            assert report.octets == sum(map(len, line.peer.payloads))
            line.reports.append((line.peer.address, report))
    (_, first), (_, second) = line.reports[-2:]
    assert first.ntp is not None and second.ntp is not None
    seconds = (second.ntp - first.ntp) / 2**32
    assert (second.timestamp - first.timestamp) % 2**32 / seconds == pytest.approx(CLOCKS[codec])


@pytest.mark.parametrize("codec", ["PCMU", "G722", "opus"])
def test_jitter_is_that_of_rfc_3550_on_the_clock_of_the_codec(codec: protocol.Codec) -> None:
    """By the letter of its appendix A.8, arrivals known to the tick."""
    line = Line(codec=codec)
    clock, delays = CLOCKS[codec], [0, 1, 0, 2, 1, 0, 1, 3]
    due: dict[int, list[tuple[int, bytes]]] = {}
    expected, transit = 0.0, None
    for tick in range(2 * EVERY):
        due.setdefault(tick + delays[tick % 8], []).append((line.peer.timestamp, line.peer.packet(line.sound[tick])))
        for timestamp, packet in due.pop(tick, []):
            line.studio.deliver(line.peer, packet)
            now = tick * clock // 50 - timestamp
            expected += (abs(now - (now if transit is None else transit)) - expected) / 16
            transit = now
        line.studio.tick()
        for data, _, _ in line.studio.engine.reports():
            (report,) = parse_compound(data)
            line.reports.append((line.peer.address, report))
            assert report.blocks[0].jitter == pytest.approx(expected, abs=clock / 8000)
    assert expected > clock / 100, "there was jitter to be told"
    assert len(line.reports) == 2
    assert line.stats.jitter_ms == pytest.approx(expected * 1000 / clock, abs=0.2)


@pytest.mark.parametrize("codec", ["PCMU", "G722", "opus"])
def test_jitter_that_the_peer_tells_is_on_the_clock_of_the_codec(codec: protocol.Codec) -> None:
    line = Line(codec=codec)
    line.run(5)
    line.hear(Report(77, (Block(line.our_ssrc, 0.0, 0, 9, CLOCKS[codec] // 50, 0, 0),)))
    line.run(1)
    assert line.stats.far_jitter_ms == 20


def test_the_sequence_of_a_long_call_keeps_its_wraps() -> None:
    line = Line()
    line.peer.sequence = 65000
    line.run(4 * EVERY)
    highest = [report.blocks[0].highest for _, report in line.reports if report.blocks]
    assert highest == sorted(highest)
    assert highest[-1] > 65536


def test_reports_go_where_the_signalling_says() -> None:
    line = Line(rtcp_port=4001)
    line.run(EVERY)
    assert [address for address, _ in line.reports] == [("127.0.0.9", 4001)]


def test_without_an_address_none_are_sent() -> None:
    studio = Studio()
    studio.join("a")
    studio.run(2 * EVERY)
    assert studio.engine.reports() == []


def test_reports_of_the_peer_say_how_it_hears_and_how_far_it_is() -> None:
    line = Line()
    line.run(EVERY)
    ours = line.reports[-1][1]
    assert ours.ntp is not None
    line.run(20)
    away_ns = line.studio.now - 120_000_000
    delay = (middle(ntp_time(away_ns)) - middle(ours.ntp)) & 0xFFFFFFFF
    line.hear(
        Report(77, (Block(line.our_ssrc, 0.25, 9, 9, 80, middle(ours.ntp), delay),), ntp_time(5_000_000_000), 1, 2, 3)
    )
    line.run(1)
    stats = line.stats
    assert stats.round_trip_ms == pytest.approx(120, abs=11)
    assert stats.far_loss == 0.25
    assert stats.far_jitter_ms == 10
    line.run(EVERY)
    assert line.stats.far_mos is not None and line.stats.far_mos < 2.5
    assert line.stats.mos is not None and line.stats.mos > 4
    answered = line.reports[-1][1].blocks[0]
    assert answered.last_report == middle(ntp_time(5_000_000_000))
    assert 0 < answered.delay / 65536 <= 5.1


def test_a_leg_that_is_hard_to_understand_is_told_once_and_so_is_its_recovery() -> None:
    line = Line()
    line.run(3 * EVERY)
    line.run(3 * EVERY, lose=4)
    line.run(3 * EVERY)
    told = [event for event in line.studio.told(protocol.LegQuality) if isinstance(event, protocol.LegQuality)]
    assert [event.good for event in told] == [False, True]
    assert told[0].loss == pytest.approx(0.25, abs=0.15)


def test_the_worker_counts_its_poor_legs() -> None:
    line = Line()
    assert line.total.mean_mos is None
    line.run(3 * EVERY)
    assert line.total.poor_legs == 0
    assert line.total.mean_mos is not None and line.total.mean_mos > 4
    line.run(3 * EVERY, lose=4)
    assert line.total.poor_legs == 1


@pytest.mark.parametrize("packet", [b"\x80\xc8\x00\x09", b"\x81\xc9\x00\x07" + bytes(8), b"\xa0\xc9" * 40])
def test_hostile_reports_change_nothing(packet: bytes) -> None:
    line = Line()
    line.run(10)
    line.studio.deliver(line.peer, packet)
    line.studio.tick()
    assert line.stats.far_loss is None


def test_a_stranger_cannot_report_for_a_leg() -> None:
    line = Line()
    line.run(10)
    data = pack_compound(Report(77, (Block(line.our_ssrc, 0.9, 0, 0, 0),)), "x")
    line.studio.deliver(line.peer, data, source=("127.0.0.66", 4001))
    line.hear(Report(123, (Block(456, 0.9, 0, 0, 0),)))
    line.studio.tick()
    assert line.stats.far_loss is None


def test_a_peer_that_is_gone_is_told_once() -> None:
    line = Line(media_timeout=15)
    line.run(2 * EVERY)
    line.run(6 * EVERY, silent=True)
    told = [event for event in line.studio.told(protocol.LegSilent) if isinstance(event, protocol.LegSilent)]
    assert [(event.leg, event.seconds) for event in told] == [("talker", 15.0)]
    assert told[0].at_ns <= (2 * EVERY + 20 * SECOND + 1) * TICK_NS


def test_reports_alone_keep_a_silent_peer() -> None:
    line = Line(media_timeout=10)
    line.run(EVERY)
    for _ in range(8):
        line.hear(Report(77, (Block(line.our_ssrc, 0, 0, 0, 0),)))
        line.run(EVERY, silent=True)
    assert line.studio.told(protocol.LegSilent) == []


def test_one_who_was_asked_not_to_send_is_not_given_up() -> None:
    line = Line(media_timeout=10)
    line.studio.apply(
        protocol.UpdateLeg("talker", line.peer.address, receive=False, rtcp=line.peer.address, media_timeout=10)
    )
    line.run(6 * EVERY, silent=True)
    assert line.studio.told(protocol.LegSilent) == []


def test_the_end_of_a_leg_is_told_to_its_peer() -> None:
    line = Line()
    line.run(EVERY)
    line.studio.apply(protocol.CloseLeg("talker"))
    ((data, address, _),) = line.studio.engine.reports()
    assert unpack_address(address) == line.peer.address
    assert data[-8:-4].hex() == "81cb0001"
    assert np.frombuffer(data[-4:], ">u4")[0] == line.our_ssrc
