from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.kit import SILENCE, Peer, Studio, joined, tone
from mixminus.media import protocol
from mixminus.media.batch import PacketBatch, pack_address
from mixminus.media.jitter.depth import MAX_DELAY
from mixminus.media.jitter.ingest import OVERFULL, push, sort_out
from mixminus.media.state import LEG, SLOTS, MediaState
from mixminus.rtp.packet import RtpHeader, parse_headers

payloads = st.one_of(
    st.binary(max_size=40), st.sampled_from([80, 160, 240, 480, 960, 1040]).map(lambda size: b"\x12" * size)
)
hostile = st.builds(
    lambda first, header, payload: bytes([first]) + header.pack()[1:] + payload,
    st.sampled_from([0x80, 0x80, 0x80, 0x90, 0xA0, 0x81, 0x00, 0xBF]),
    st.builds(
        RtpHeader,
        st.sampled_from([0, 0, 0, 13, 101, 8, 72]),
        st.integers(0, 65535),
        st.one_of(st.integers(0, 20).map(lambda step: 160 * step), st.integers(0, (1 << 32) - 1)),
        st.integers(1, 3),
        st.booleans(),
    ),
    payloads,
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(hostile, max_size=6), max_size=15))
def test_nothing_that_a_peer_sends_harms_the_engine_or_the_others(ticks: list[list[bytes]]) -> None:
    studio = Studio()
    attacker = studio.join("attacker", "room")
    talker = studio.join("talker", "room")
    listener = studio.join("listener", "room", talk=0, hear=2)
    studio.apply(protocol.SetHearing("room", (protocol.Hearing("talker", 3, 1),)))
    sound = tone(500, 40)
    studio.tick({"talker": sound[0]})
    for number, packets in enumerate(ticks):
        studio.deliver(attacker, *packets)
        studio.tick({"talker": sound[number + 1]})
    alone = Studio()
    alone.join("talker", talk=2).ssrc = talker.ssrc
    other = alone.join("listener", talk=0, hear=2)
    for number in range(len(ticks) + 1):
        alone.tick({"talker": sound[number]})
    assert (joined(listener.heard) == joined(other.heard)).all()
    assert 0 <= studio.stats("attacker").delay_ms <= 10 * OVERFULL
    studio.apply(protocol.GetStats(legs=True))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), hostile), max_size=24))
def test_a_batch_is_taken_as_its_packets_are_one_by_one(packets: list[tuple[int, bytes]]) -> None:
    def state() -> MediaState:
        fresh = MediaState(4)
        for name in "abcd":
            row = fresh.claim(LEG, name)
            fresh.payload_type[row], fresh.event_type[row] = 0, 101
            fresh.receives[row] = True
        return fresh

    def feed(into: MediaState, some: list[tuple[int, bytes]]) -> None:
        batch = PacketBatch(max(len(some), 1))
        for _, packet in some:
            batch.append(packet, pack_address(("127.0.0.1", 4000)), 0)
        data = batch.data[: batch.count]
        headers = parse_headers(data, batch.length[: batch.count])
        arrivals, _ = sort_out(into, headers, np.array([row for row, _ in some], np.intp))
        push(into, arrivals, data, tick=7)

    together, single = state(), state()
    feed(together, packets)
    for packet in packets:
        feed(single, [packet])
    for name in ("stamp", "ring", "play", "end", "sequence", "expected", "late", "dropped", "duplicate", "received"):
        assert (getattr(together, name) == getattr(single, name)).all(), name


@pytest.mark.parametrize("samples", [0, 79, 81, 130, 13 * 80])
def test_audio_that_is_not_whole_10_ms_is_malformed(samples: int) -> None:
    studio = Studio()
    peer = studio.join("a")
    studio.deliver(peer, peer.packet(np.zeros(samples, np.int16)))
    studio.tick()
    stats = studio.apply(protocol.GetStats())
    assert stats is not None
    assert stats.malformed_packets == 1
    assert studio.stats("a").received == 0


def test_header_extensions_sources_and_padding_do_not_reach_the_ear() -> None:
    studio = Studio()
    listener, talker = studio.join("listener"), studio.join("talker")
    plain = Studio()
    reference, other = plain.join("listener"), plain.join("talker")
    for number, frame in enumerate(tone(500, 20)):
        data = talker.packet(frame)
        extension = b"\xbe\xde\0\1abcd" if number % 2 else b""
        padding = b"\0\0\3" if number % 3 else b""
        sources = b"abcd" * (number % 3)
        first = 0x80 | (0x10 if extension else 0) | (0x20 if padding else 0) | number % 3
        studio.deliver(talker, bytes([first]) + data[1:12] + sources + extension + data[12:] + padding)
        studio.tick()
        plain.deliver(other, other.packet(frame))
        plain.tick()
    assert joined(reference.heard).any()
    assert (joined(listener.heard) == joined(reference.heard)).all()


def test_a_payload_type_that_was_not_agreed_is_not_heard() -> None:
    studio = Studio()
    listener, talker = studio.join("listener"), studio.join("talker")
    talker.payload_type = 8
    for frame in tone(500, 5):
        studio.tick({"talker": frame})
    assert not joined(listener.heard).any()
    assert studio.stats("talker").received == 0


def test_jitter_is_measured_to_the_tick() -> None:
    studio = Studio()
    steady, unsteady = studio.join("steady"), studio.join("unsteady")
    for tick in range(200):
        studio.deliver(steady, steady.packet(SILENCE))
        if tick % 2:
            studio.deliver(unsteady, unsteady.packet(SILENCE), unsteady.packet(SILENCE))
        studio.tick()
    assert studio.stats("steady").jitter_ms == 0
    assert studio.stats("unsteady").jitter_ms == pytest.approx(20, abs=1)


def test_a_peer_s_sequence_may_begin_anywhere() -> None:
    studio = Studio()
    peer = Peer("x", ("127.0.0.1", 9), sequence=0, timestamp=0)
    studio.add(peer)
    studio.apply(protocol.OpenLeg("x", "room", peer.port, peer.address))
    for _ in range(3):
        studio.deliver(peer, peer.packet(SILENCE))
        studio.tick()
    assert studio.stats("x").lost == 0


class Line:
    """One leg in a bare state: ten packets have come and were played, then ``missing`` slots more."""

    def __init__(self, missing: int, *, bounded: bool = False) -> None:
        state = self.state = MediaState(1)
        row = state.claim(LEG, "leg")
        state.payload_type[row] = 0
        state.receives[row] = True
        self.sent = 0
        for _ in range(10):
            self.send()
        self.end = int(state.end[row])
        state.good[row] = self.end - 1
        state.play[row] = self.end + missing
        state.bounded[row] = bounded

    def send(self, *, lost: int = 0) -> None:
        self.sent += lost
        batch = PacketBatch(1)
        packet = RtpHeader(0, self.sent, 160 * self.sent, 7).pack() + bytes(160)
        batch.append(packet, pack_address(("127.0.0.1", 4000)), 0)
        headers = parse_headers(batch.data[:1], batch.length[:1])
        arrivals, _ = sort_out(self.state, headers, np.zeros(1, np.intp))
        push(self.state, arrivals, batch.data[:1], tick=self.sent)
        self.sent += 1

    def slots(self, first: int, count: int) -> list[bool]:
        """Which slots are there to be played."""
        return [bool(self.state.stamp[0, number % SLOTS] == number) for number in range(first, first + count)]


def test_a_late_packet_is_waited_for_unless_no_depth_would_do() -> None:
    waits, gives_up = Line(missing=3), Line(missing=3, bounded=True)
    for line in (waits, gives_up):
        line.send()
        line.send()
    assert (waits.state.play[0], waits.state.late[0]) == (waits.end, 0)
    assert waits.slots(waits.end, 4) == [True] * 4
    assert (gives_up.state.play[0], gives_up.state.late[0]) == (gives_up.end + 3, 1)
    assert gives_up.slots(gives_up.end, 4) == [False, False, True, True], "half of the second is still to be played"


def test_after_a_long_stall_nothing_is_given_up() -> None:
    line = Line(missing=MAX_DELAY + 1, bounded=True)
    line.send()
    assert (line.state.play[0], line.state.late[0]) == (line.end, 0)


def test_what_was_played_is_not_played_again_when_the_delay_begins_anew() -> None:
    line = Line(missing=12)
    line.state.margin[0] = MAX_DELAY
    line.send(lost=1)
    play = int(line.state.play[0])
    assert play < line.end, "one margin before what has come now"
    assert not any(line.slots(play, line.end + 2 - play))
    assert line.slots(line.end + 2, 2) == [True, True]
