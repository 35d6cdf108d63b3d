from __future__ import annotations

import struct

import pytest

from media.kit import Peer, Studio, joined, tone
from mixminus.errors import MediaError
from mixminus.media import protocol
from mixminus.media.sound.dtmf import KEYS, SILENCE_TICKS, KeyReader, KeySender, Press
from mixminus.media.state import FRAME, TICK_NS


def event(key: str, duration: int, *, end: bool = False) -> bytes:
    return struct.pack(">BBH", KEYS.index(key), 0x80 * end | 10, duration)


def press(
    reader: KeyReader, key: str, timestamp: int, tick: int = 0, *, ends: int = 3, packets: int = 5
) -> list[Press]:
    told: list[Press] = []
    for number in range(1, packets + 1):
        told += reader.receive(timestamp, event(key, 160 * number), tick + number)
    for _ in range(ends):
        told += reader.receive(timestamp, event(key, 160 * packets, end=True), tick + packets)
    return told


def test_a_press_is_told_once_at_its_first_end_packet() -> None:
    reader = KeyReader(1)
    assert press(reader, "5", 1000) == [Press("5", 100)]
    assert press(reader, "5", 5000) == [Press("5", 100)]
    assert reader.expire(1000) == []


@pytest.mark.parametrize("key", KEYS)
def test_every_key_has_its_code(key: str) -> None:
    assert press(KeyReader(1), key, 1) == [Press(key, 100)]


def test_a_press_without_end_packets_ends_with_the_next_or_with_silence() -> None:
    reader = KeyReader(1)
    assert press(reader, "1", 1000, ends=0) == []
    assert press(reader, "2", 3000, tick=20, ends=0) == [Press("1", 100)]
    assert reader.expire(25 + SILENCE_TICKS - 1) == []
    assert reader.expire(25 + SILENCE_TICKS) == [Press("2", 100)]
    assert reader.expire(99) == []


def test_what_comes_late_of_an_old_press_is_ignored() -> None:
    reader = KeyReader(1)
    press(reader, "1", 1000)
    press(reader, "2", 3000)
    assert reader.receive(1000, event("1", 800, end=True), 50) == []
    assert reader.receive(3000, event("2", 320), 50) == []
    assert not reader.holding


def test_timestamps_may_wrap_between_presses() -> None:
    reader = KeyReader(1)
    assert press(reader, "1", (1 << 32) - 400) == [Press("1", 100)]
    assert press(reader, "2", 2000) == [Press("2", 100)]


def test_a_press_longer_than_one_event_can_be_is_still_one() -> None:
    reader = KeyReader(1)
    assert reader.receive(0, event("7", 0xFFFF), 1) == []
    assert reader.receive(0xFFFF, event("7", 800), 2) == []
    assert reader.receive(0xFFFF, event("7", 8000, end=True), 3) == [Press("7", (0xFFFF + 8000) // 8)]


def test_events_that_are_no_key_are_ignored() -> None:
    reader = KeyReader(1)
    assert reader.receive(1, struct.pack(">BBH", 16, 0x80, 800), 1) == []
    assert not reader.holding


def send_press(peer: Peer, studio: Studio, key: str, *, lose: frozenset[int] = frozenset()) -> None:
    """100 ms of a key, as a phone sends it: five packets and three ends, then time goes on."""
    for number in range(8):
        data = peer.raw(event(key, 160 * min(number + 1, 5), end=number >= 5), payload_type=101)
        if number not in lose:
            studio.deliver(peer, data)
        studio.tick()
    peer.timestamp += 8 * FRAME


def test_keys_are_told_with_their_time_and_are_not_heard() -> None:
    studio = Studio()
    peer, listener = studio.join("a"), studio.join("b")
    sound = tone(440, 20)
    for frame in sound[:10]:
        studio.tick({"a": frame})
    send_press(peer, studio, "#")
    before = len(listener.heard)
    assert not joined(listener.heard[11:before]).any()
    for frame in sound[10:]:
        studio.tick({"a": frame})
    assert studio.told(protocol.Digit) == [protocol.Digit("a", "#", 100, 15 * TICK_NS)]
    assert joined(listener.heard[before + 2 :]).any()
    stats = studio.stats("a")
    assert (stats.lost, stats.concealed) == (0, 0)


@pytest.mark.parametrize("lose", [{0}, {0, 1, 2}, {5, 6}, {5, 6, 7}, {3, 4, 5, 6, 7}, {0, 7}])
def test_a_press_is_told_once_whatever_of_it_is_lost(lose: set[int]) -> None:
    studio = Studio()
    peer = studio.join("a")
    for key in "12":
        send_press(peer, studio, key, lose=frozenset(lose))
        studio.run(5)
    studio.run(SILENCE_TICKS)
    assert [told.key for told in studio.told(protocol.Digit) if isinstance(told, protocol.Digit)] == ["1", "2"]


def test_the_same_key_of_a_new_source_is_a_new_press() -> None:
    studio = Studio()
    peer = studio.join("a")
    send_press(peer, studio, "1")
    peer.ssrc, peer.timestamp = 77, 0
    send_press(peer, studio, "1")
    assert len(studio.told(protocol.Digit)) == 2


def test_events_of_a_leg_that_negotiated_none_are_ignored() -> None:
    studio = Studio()
    peer = studio.join("a", dtmf_payload_type=None)
    send_press(peer, studio, "1")
    studio.run(10)
    assert studio.told(protocol.Digit) == []


def test_keys_of_a_closed_leg_are_not_told() -> None:
    studio = Studio()
    peer = studio.join("a")
    studio.deliver(peer, peer.raw(event("1", 160), payload_type=101))
    studio.tick()
    studio.leave(peer)
    studio.join("b")
    studio.run(20)
    assert studio.told(protocol.Digit) == []


def test_sending_is_five_packets_two_more_ends_and_a_gap() -> None:
    sender = KeySender()
    sender.send("1d")
    steps = [sender.step() for _ in range(21)]
    assert sender.idle
    packets = [packet for packet, _ in steps]
    sounding = [number for number, packet in enumerate(packets) if packet]
    assert sounding == [*range(7), *range(10, 17)]
    first = [packet for packet in packets[:7] if packet]
    assert [struct.unpack(">BBH", packet.payload)[2] for packet in first] == [160, 320, 480, 640, 800, 800, 800]
    assert [packet.payload[1] >> 7 for packet in first] == [0, 0, 0, 0, 1, 1, 1]
    assert [packet.marker for packet in first] == [True] + [False] * 6
    assert {packet.payload[0] for packet in packets[10:17] if packet} == {KEYS.index("D")}
    assert [done for _, done in steps] == [0] * 20 + [1]


def test_waits_are_half_a_second_and_a_second() -> None:
    sender = KeySender()
    sender.send("wW1")
    assert all(sender.step()[0] is None for _ in range(75))
    assert sender.step()[0] is not None


def test_what_is_refused_is_not_queued() -> None:
    sender = KeySender()
    for wrong in ("", "1x", "ß", " ", "12,3"):
        with pytest.raises(MediaError, match="digits"):
            sender.send(wrong)
    assert sender.idle


def test_keys_sent_replace_audio_and_are_understood_by_a_reader() -> None:
    studio = Studio()
    peer = studio.join("a")
    studio.run(3)
    studio.apply(protocol.SendDigits("a", "42"))
    studio.apply(protocol.SendDigits("a", "#"))
    studio.run(35)
    assert [told.at_ns // TICK_NS for told in studio.told(protocol.DigitsSent)] == [23, 33]
    events = [
        (header, payload) for header, payload in zip(peer.headers, peer.payloads, strict=True) if len(payload) == 4
    ]
    reader = KeyReader(1)
    told = [press for header, payload in events for press in reader.receive(header.timestamp, payload, 0)]
    assert told == [Press("4", 100), Press("2", 100), Press("#", 100)]
    assert {header.payload_type for header, _ in events} == {101}
    assert sum(header.marker for header, _ in events) == 3


def test_the_stream_is_unbroken_around_keys() -> None:
    studio = Studio()
    peer = studio.join("a")
    studio.apply(protocol.SendDigits("a", "9"))
    studio.run(20)
    assert [header.sequence - peer.headers[0].sequence for header in peer.headers] == list(range(20))
    clock = [header.timestamp for header in peer.headers]
    assert clock[:7] == [clock[0]] * 7
    assert clock[7:] == [clock[0] + tick * FRAME for tick in range(7, 20)]


def test_keys_wait_while_the_leg_is_not_sent_to() -> None:
    studio = Studio()
    peer = studio.join("a", send=False)
    studio.apply(protocol.SendDigits("a", "1"))
    studio.run(20)
    assert studio.told(protocol.DigitsSent) == []
    studio.apply(protocol.UpdateLeg("a", peer.address, dtmf_payload_type=101))
    studio.run(11)
    assert studio.told(protocol.DigitsSent) == [protocol.DigitsSent("a", 30 * TICK_NS)]
