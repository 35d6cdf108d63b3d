from __future__ import annotations

import numpy as np

from media.kit import PORTS, SILENCE, Peer, Studio, tone
from mixminus.media import protocol
from mixminus.media.batch import unpack_address
from mixminus.media.state import FRAME


def test_listeners_of_one_mix_share_the_payload_but_not_the_header() -> None:
    studio = Studio(capacity=64)
    for number in range(20):
        studio.join(f"leg {number}", codec="PCMA" if number % 2 else "PCMU")
    for frame in tone(440, 4):
        studio.tick({"leg 0": frame})
    batch = studio.engine._packetiser.batch
    assert batch.count == 20
    assert len(set(batch.payload_row[:20].tolist())) == 3
    assert len({batch.header[d].tobytes() for d in range(20)}) == 20
    assert set(batch.payload_length[:20].tolist()) == {FRAME}


def test_each_datagram_leaves_by_the_port_of_its_leg() -> None:
    studio = Studio()
    for port in PORTS:
        studio.join(f"leg {port}", port=port)
    studio.tick()
    batch = studio.engine._packetiser.batch
    ways = {unpack_address(batch.address[d]): int(batch.port[d]) for d in range(batch.count)}
    assert ways == {studio.peers[f"leg {port}"].address: index for index, port in enumerate(PORTS)}


def test_streams_begin_at_unguessable_places_that_a_seed_repeats() -> None:
    def first(seed: int) -> list[tuple[int, int, int]]:
        studio = Studio(seed=seed)
        for name in "abc":
            studio.join(name)
        studio.tick()
        headers = (peer.headers[0] for peer in studio.peers.values())
        return [(header.ssrc, header.sequence, header.timestamp) for header in headers]

    assert first(1) == first(1)
    everything = [value for seed in (1, 2) for header in first(seed) for value in header]
    assert len(set(everything)) == len(everything)


def test_new_signalling_moves_the_stream_to_its_new_address() -> None:
    studio = Studio()
    peer = studio.join("a")
    studio.run(2)
    elsewhere = Peer("elsewhere", ("127.0.0.99", 7000))
    studio.add(elsewhere)
    studio.apply(protocol.UpdateLeg("a", elsewhere.address))
    studio.run(2)
    assert (len(peer.headers), len(elsewhere.headers)) == (2, 2)
    assert elsewhere.headers[0].sequence == (peer.headers[1].sequence + 1) & 0xFFFF
    assert elsewhere.headers[0].ssrc == peer.headers[0].ssrc


def test_the_batch_shrinks_when_legs_leave() -> None:
    studio = Studio()
    for name in "abc":
        studio.join(name)
    studio.tick({"a": SILENCE})
    studio.leave(studio.peers["b"])
    studio.tick()
    batch = studio.engine._packetiser.batch
    assert batch.count == 2
    assert np.unique(batch.address[:2], axis=0).shape[0] == 2


def test_a_stream_with_a_sender_goes_on_where_another_worker_left_off() -> None:
    """Wherever and whenever the leg is opened: its SSRC stays, sequence and timestamp are those of the time."""
    heads = []
    for seed, ticks in ((1, 100), (2, 107)):
        studio = Studio(seed=seed)
        studio.ticks = ticks
        leg = protocol.OpenLeg("a", "room", PORTS[0], ("127.0.0.1", 4000), talk=1, hear=1, sender=77)
        studio.add(Peer("a", ("127.0.0.1", 4000), "PCMU", PORTS[0]))
        studio.apply(leg)
        studio.run(3)
        heads.append(studio.peers["a"].headers)
    first, second = heads
    assert {header.ssrc for header in first} == {header.ssrc for header in second}
    assert [header.sequence for header in second] == [header.sequence + 7 & 0xFFFF for header in first]
    assert second[0].timestamp == first[0].timestamp + 7 * FRAME & 0xFFFFFFFF


def test_a_leg_that_goes_on_elsewhere_says_no_goodbye() -> None:
    for elsewhere, farewells in ((False, 1), (True, 0)):
        studio = Studio()
        remote = ("127.0.0.1", 4000)
        studio.add(Peer("a", remote, "PCMU", PORTS[0]))
        studio.apply(protocol.OpenLeg("a", "room", PORTS[0], remote, talk=1, hear=1, rtcp=remote))
        studio.run(300)
        studio.engine.reports()
        studio.apply(protocol.CloseLeg("a", elsewhere=elsewhere))
        assert len(studio.engine.reports()) == farewells


def test_ports_with_a_leg_are_told() -> None:
    studio = Studio()
    studio.join("a", port=PORTS[1])
    studio.tick()
    assert list(studio.engine._packetiser.batch.listening) == [1]
    studio.leave(studio.peers["a"])
    studio.tick()
    assert list(studio.engine._packetiser.batch.listening) == []
