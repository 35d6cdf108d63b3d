from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.kit import PORTS, SILENCE, Peer, Studio, tone
from mixminus.errors import MediaError
from mixminus.media import protocol
from mixminus.media.demux import AddressTable

INSIDE = ("192.168.1.20", 5004)
"""What a phone behind a NAT says in its SDP."""
OUTSIDE = ("198.51.100.7", 40123)
"""Where its packets come from."""
ATTACKER = ("203.0.113.66", 40123)


def keys(*values: int) -> NDArray[np.uint64]:
    return np.array(values, np.uint64)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 25)), max_size=150))
def test_the_table_is_a_dictionary(actions: list[tuple[bool, int]]) -> None:
    table = AddressTable(1)
    twin: dict[int, int] = {}
    for number, (adds, name) in enumerate(actions):
        key = name * 0x1000000000001
        if adds:
            assert table.insert(np.uint64(key), number) == (key not in twin)
            twin.setdefault(key, number)
        elif key in twin:
            table.remove(np.uint64(key))
            del twin[key]
        assert len(table) == len(twin)
    everything = [name * 0x1000000000001 for name in range(26)]
    assert table.find(keys(*everything)).tolist() == [twin.get(key, -1) for key in everything]


class Nat:
    """A leg that says INSIDE and may be latched to by the host of OUTSIDE, and somebody who listens."""

    def __init__(
        self, *, hosts: tuple[str, ...] = (OUTSIDE[0],), remote: protocol.Address | None = INSIDE, talk: int = 1
    ) -> None:
        self.studio = Studio()
        self.listener = self.studio.join("listener", talk=0)
        self.hosts = hosts
        self.phone = Peer("phone", OUTSIDE)
        self.studio.add(self.phone)
        self.studio.add(Peer("inside", INSIDE))
        self.studio.add(Peer("attacker", ATTACKER))
        self.studio.apply(
            protocol.OpenLeg("phone", "room", PORTS[0], remote, latch_hosts=hosts, talk=talk, dtmf_payload_type=101)
        )

    def send(self, source: protocol.Address, payload_type: int = 0, count: int = 1) -> None:
        for _ in range(count):
            data = self.phone.raw(bytes([0x10]) * 160, payload_type=payload_type)
            self.phone.timestamp += 160
            self.studio.deliver(self.phone, data, source=source)
            self.studio.tick()

    @property
    def remote(self) -> protocol.Address | None:
        return self.studio.stats("phone").remote

    @property
    def latched(self) -> list[protocol.Event]:
        return [event for event in self.studio.told(protocol.LegLatched) if getattr(event, "leg", "") == "phone"]

    @property
    def received(self) -> int:
        return self.studio.stats("phone").received

    @property
    def strangers(self) -> int:
        stats = self.studio.apply(protocol.GetStats())
        assert stats is not None
        return stats.stranger_packets


def test_the_address_of_the_sdp_is_known_from_the_start() -> None:
    nat = Nat()
    assert nat.remote == INSIDE
    nat.send(INSIDE, count=3)
    assert nat.received == 3
    assert nat.latched == [protocol.LegLatched("phone", INSIDE, 0)]


def test_a_phone_behind_a_nat_is_heard_and_answered_where_it_is() -> None:
    nat = Nat()
    nat.send(OUTSIDE, count=4)
    assert nat.remote == OUTSIDE
    assert (nat.received, nat.strangers) == (4, 0)
    assert nat.latched == [protocol.LegLatched("phone", OUTSIDE, 0)]
    assert nat.listener.heard[-1].any()
    assert len(nat.phone.headers) == 4


def test_a_phone_without_an_address_may_be_latched_to() -> None:
    nat = Nat(remote=None)
    assert nat.remote is None
    nat.send(OUTSIDE)
    assert nat.remote == OUTSIDE


def test_a_stranger_redirects_nothing() -> None:
    nat = Nat()
    nat.send(ATTACKER, count=20)
    assert nat.remote == INSIDE
    assert (nat.received, nat.strangers, nat.latched) == (0, 20, [])
    assert not nat.listener.heard[-1].any()


def test_without_latch_hosts_nobody_may_claim() -> None:
    nat = Nat(hosts=())
    nat.send(OUTSIDE, count=3)
    assert (nat.remote, nat.strangers) == (INSIDE, 3)


@pytest.mark.parametrize("payload_type", [8, 13, 101, 96])
def test_only_audio_of_the_codec_claims(payload_type: int) -> None:
    nat = Nat()
    nat.send(OUTSIDE, payload_type)
    assert (nat.remote, nat.latched) == (INSIDE, [])


def test_what_is_no_rtp_does_not_claim() -> None:
    nat = Nat()
    nat.studio.deliver(nat.phone, b"\0" * 172, b"\x80\0", b"\x80\0" + b"\0" * 10, source=OUTSIDE)
    nat.studio.tick()
    assert (nat.remote, nat.latched) == (INSIDE, [])


def test_the_second_to_come_is_a_stranger() -> None:
    nat = Nat(hosts=(OUTSIDE[0], ATTACKER[0]))
    nat.send(OUTSIDE)
    nat.send(ATTACKER, count=5)
    nat.send((OUTSIDE[0], 40999), count=5)
    assert (nat.remote, nat.strangers, len(nat.latched)) == (OUTSIDE, 10, 1)


def test_the_address_of_the_sdp_wins_and_ends_the_latch() -> None:
    nat = Nat()
    nat.send(OUTSIDE)
    nat.send(INSIDE)
    assert nat.remote == INSIDE
    nat.send(OUTSIDE, count=3)
    assert (nat.remote, nat.strangers, len(nat.latched)) == (INSIDE, 3, 1)


def test_both_in_one_tick_the_address_of_the_sdp_wins() -> None:
    nat = Nat()
    frames = [nat.phone.packet(SILENCE) for _ in range(3)]
    nat.studio.deliver(nat.phone, frames[0], source=OUTSIDE)
    nat.studio.deliver(nat.phone, frames[1], source=INSIDE)
    nat.studio.deliver(nat.phone, frames[2], source=OUTSIDE)
    nat.studio.tick()
    assert nat.remote == INSIDE
    nat.send(OUTSIDE)
    assert (nat.remote, nat.strangers) == (INSIDE, 1)


def test_of_two_waiting_legs_on_a_port_neither_can_be_claimed() -> None:
    nat = Nat()
    nat.studio.apply(
        protocol.OpenLeg("second", "room", PORTS[0], ("192.168.1.21", 5004), latch_hosts=(OUTSIDE[0],), send=False)
    )
    nat.send(OUTSIDE, count=3)
    assert (nat.remote, nat.strangers, nat.latched) == (INSIDE, 3, [])
    nat.studio.apply(protocol.CloseLeg("second"))
    nat.send(OUTSIDE)
    assert nat.remote == OUTSIDE


def test_a_waiting_leg_on_another_port_does_not_matter() -> None:
    nat = Nat()
    nat.studio.apply(protocol.OpenLeg("second", "room", PORTS[1], INSIDE, latch_hosts=(OUTSIDE[0],), send=False))
    nat.send(OUTSIDE)
    assert nat.remote == OUTSIDE
    assert nat.studio.stats("second").remote == INSIDE


def test_the_same_address_on_two_ports_is_two_legs() -> None:
    studio = Studio()
    near, far = (Peer(name, ("127.0.0.9", 4000), port=port) for name, port in zip(("near", "far"), PORTS, strict=True))
    for peer in (near, far):
        studio.add(peer)
        studio.apply(protocol.OpenLeg(peer.leg, peer.leg, peer.port, peer.address))
    for frame in tone(500, 3):
        studio.deliver(far, far.packet(frame))
        studio.tick()
    assert (studio.stats("near").received, studio.stats("far").received) == (0, 3)
    assert len(near.headers) == len(far.headers) == 3


def test_new_signalling_with_the_same_address_keeps_the_latch_and_tells_again() -> None:
    nat = Nat()
    nat.send(OUTSIDE)
    nat.studio.apply(protocol.UpdateLeg("phone", INSIDE, latch_hosts=nat.hosts))
    assert nat.remote == OUTSIDE
    nat.send(OUTSIDE, count=2)
    assert (nat.remote, len(nat.latched), nat.received) == (OUTSIDE, 2, 3)


def test_after_new_signalling_another_port_of_the_host_may_claim_once() -> None:
    nat = Nat()
    nat.send(OUTSIDE)
    nat.studio.apply(protocol.UpdateLeg("phone", INSIDE, latch_hosts=nat.hosts))
    moved = (OUTSIDE[0], 50000)
    nat.studio.add(Peer("moved", moved))
    nat.send(moved, count=2)
    assert nat.remote == moved
    nat.send(OUTSIDE)
    assert (nat.remote, nat.strangers) == (moved, 1)


def test_a_latch_that_new_signalling_does_not_allow_is_over() -> None:
    nat = Nat()
    nat.send(OUTSIDE)
    nat.studio.apply(protocol.UpdateLeg("phone", INSIDE, latch_hosts=("198.51.100.99",)))
    assert nat.remote == INSIDE
    nat.send(OUTSIDE)
    assert (nat.remote, nat.strangers) == (INSIDE, 1)


def test_new_signalling_with_another_address_is_a_new_beginning() -> None:
    nat = Nat()
    nat.send(OUTSIDE)
    elsewhere = ("127.0.0.77", 6000)
    nat.studio.add(Peer("elsewhere", elsewhere))
    nat.studio.apply(protocol.UpdateLeg("phone", elsewhere))
    nat.send(OUTSIDE)
    assert (nat.remote, nat.strangers) == (elsewhere, 1)
    nat.send(elsewhere)
    assert len(nat.latched) == 2


def test_a_leg_may_be_told_the_address_it_latched_to() -> None:
    nat = Nat()
    nat.send(OUTSIDE)
    nat.studio.apply(protocol.UpdateLeg("phone", OUTSIDE))
    nat.send(OUTSIDE)
    assert (nat.remote, nat.received) == (OUTSIDE, 2)


def test_a_new_leg_may_not_take_the_address_of_another() -> None:
    nat = Nat()
    nat.send(OUTSIDE)
    for taken in (OUTSIDE, INSIDE):
        with pytest.raises(MediaError, match="already has the remote address"):
            nat.studio.apply(protocol.OpenLeg("thief", "room", PORTS[0], taken))
        with pytest.raises(MediaError, match="already has the remote address"):
            nat.studio.apply(protocol.UpdateLeg("listener", taken))
    assert nat.studio.stats("listener").remote == nat.listener.address


def test_packets_of_a_closed_leg_are_a_stranger_s() -> None:
    nat = Nat()
    nat.send(OUTSIDE)
    nat.studio.apply(protocol.CloseLeg("phone"))
    data = nat.phone.packet(SILENCE)
    nat.studio.deliver(nat.phone, data, data, source=INSIDE)
    nat.studio.deliver(nat.phone, data, source=OUTSIDE)
    nat.studio.tick()
    assert nat.strangers == 3
    nat.studio.apply(protocol.OpenLeg("next", "room", PORTS[0], OUTSIDE))


SIX = [("2001:db8::7", 4000), ("2001:db8::7", 4001), ("2001:db8::8", 4000), ("2001:db8:0:1::7", 4000)]


def test_ipv6_addresses_are_told_apart_and_answered() -> None:
    studio = Studio()
    peers = [Peer(f"six {number}", address, ssrc=number + 9) for number, address in enumerate(SIX)]
    for peer in peers:
        studio.add(peer)
        studio.apply(protocol.OpenLeg(peer.leg, peer.leg, PORTS[0], peer.address))
    four = studio.join("four")
    for number, peer in enumerate(peers):
        for _ in range(number + 1):
            studio.deliver(peer, peer.packet(SILENCE))
    studio.deliver(four, four.packet(SILENCE))
    studio.deliver(four, four.packet(SILENCE), source=("2001:db8::9", 4000))
    studio.tick()
    assert [studio.stats(peer.leg).received for peer in peers] == [1, 2, 3, 4]
    assert [len(peer.headers) for peer in peers] == [1] * 4
    batch = studio.engine._packetiser.batch
    assert sorted(batch.address_length[: batch.count].tolist()) == [16, 28, 28, 28, 28]


def test_a_colliding_ipv6_hash_is_not_taken_for_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio()
    monkeypatch.setattr("mixminus.media.demux._FOLD", np.zeros(3, np.uint64))
    monkeypatch.setattr("mixminus.media.demux._SPREAD", np.uint64(0))
    peer = Peer("six", ("2001:db8::7", 4000))
    studio.add(peer)
    studio.apply(protocol.OpenLeg("six", "room", PORTS[0], peer.address))
    studio.deliver(peer, peer.packet(SILENCE), source=("2001:db8::8", 4000))
    studio.tick()
    assert studio.stats("six").received == 0
    assert strangers(studio) == 1


def strangers(studio: Studio) -> int:
    stats = studio.apply(protocol.GetStats())
    assert stats is not None
    return stats.stranger_packets


def test_ipv6_phones_latch_too_whatever_their_flow_label() -> None:
    studio = Studio()
    phone = Peer("phone", ("2001:db8::7", 4000))
    studio.add(phone)
    studio.apply(protocol.OpenLeg("phone", "room", PORTS[0], ("fd00::1", 5004), latch_hosts=("2001:db8::7",)))
    for flow in (0, 77, 78):
        studio.deliver(phone, phone.packet(SILENCE))
        studio.batch.address[0, 4:8] = flow
        studio.engine.tick(0, studio.batch)
        studio.batch.count = 0
    assert studio.stats("phone").received == 3
    remote = studio.stats("phone").remote
    assert remote == ("2001:db8::7", 4000)


def test_our_own_stream_coming_back_is_dropped() -> None:
    studio = Studio()
    peer = studio.join("a")
    studio.tick()
    peer.ssrc = peer.headers[0].ssrc
    studio.deliver(peer, peer.packet(SILENCE))
    studio.tick()
    assert studio.stats("a").received == 0
