"""UDP ports that several workers share: what the filter says, and that the kernel goes by it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.errors import MediaError
from mixminus.media.fleet import sharing
from mixminus.media.fleet.ports import open_pools
from mixminus.media.fleet.sharing import Rule, SharedPort, Step, filter_steps, pool_size, share

WORKERS = 3
PORTS_AT = (34000, 36000)


def judged(steps: list[Step], packet: bytes) -> int:
    """What a program returns for a datagram with its IP header: the slow twin of the kernel's machine."""
    at, accumulator = 0, 0
    while True:
        code, true, false, value = steps[at]
        at += 1
        offset = value - 0xFFF00000
        if code == 0x06:
            return value
        if code == 0x15:
            at += true if accumulator == value else false
        elif code == 0x30:
            accumulator = packet[offset]
        elif code == 0x28:
            (accumulator,) = struct.unpack_from("!H", packet, offset)
        else:
            assert code == 0x20
            (accumulator,) = struct.unpack_from("!I", packet, offset)


def datagram(host: str, port: int, *, options: bool = False) -> bytes:
    source = ip_address(host).packed
    if len(source) == 4:
        head = bytes([0x46 if options else 0x45]) + bytes(11) + source + bytes(4) + bytes(4 * options)
    else:
        head = bytes([0x60]) + bytes(5) + bytes([0 if options else 17]) + bytes(1) + source + bytes(16)
    return head + struct.pack("!HHHH", port, 20000, 8, 0)


HOSTS = {4: ["10.0.0.1", "10.0.0.2", "127.255.0.9"], 6: ["::1", "2001:db8::7", "2001:db8::8"]}


@st.composite
def cases(draw: st.DrawFn) -> tuple[bool, list[Rule], str, int]:
    version = draw(st.sampled_from([4, 6]))
    host, port = st.sampled_from(HOSTS[version]), st.integers(0, 3).map(lambda low: low and 4000 + low)
    rules = draw(st.lists(st.builds(Rule, host, port, st.integers(0, 2)), max_size=12))
    return version == 6, rules, draw(host), 4000 + draw(st.integers(1, 3))


@given(cases())
def test_the_first_rule_that_fits_decides(case: tuple[bool, list[Rule], str, int]) -> None:
    ipv6, rules, host, port = case
    fits = [rule.member for rule in rules if rule.host == host and rule.port in (0, port)]
    steps = filter_steps(rules, ipv6=ipv6)
    assert judged(steps, datagram(host, port)) == (fits[0] if fits else 0)
    assert judged(steps, datagram(host, port, options=True)) == 0


def test_more_rules_than_the_kernel_takes_are_refused() -> None:
    with pytest.raises(MediaError, match="900 legs of one RTP port are on other media workers: raise rtp_pool"):
        filter_steps([Rule("10.0.0.1", 4000, 1)] * 900, ipv6=False)


@pytest.fixture(params=["127.0.0.1", "::1"])
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pools(host: str) -> Iterator[tuple[list[list[socket.socket]], dict[int, SharedPort]]]:
    sockets, shared = share(open_pools(host, PORTS_AT, workers=WORKERS, size=2))
    yield sockets, shared
    for sock in (sock for of_worker in sockets for sock in of_worker):
        sock.close()


def who_gets(sockets: list[list[socket.socket]], peer: socket.socket, port: int) -> list[int]:
    """Workers that have a datagram after ``peer`` sent one to ``port``."""
    peer.sendto(b"x", (peer.getsockname()[0], port))
    found = []
    for worker, of_worker in enumerate(sockets):
        for sock in of_worker:
            try:
                sock.recv(10)
            except BlockingIOError:
                continue
            found.append(worker)
    return found


def test_a_leg_is_steered_from_worker_to_worker_and_back(
    host: str, pools: tuple[list[list[socket.socket]], dict[int, SharedPort]]
) -> None:
    sockets, shared = pools
    with socket.socket(sockets[0][0].family, socket.SOCK_DGRAM) as alice, socket.socket(alice.family, 2) as bob:
        alice.bind((host, 0))
        bob.bind((host, 0))
        for number, port in shared.items():
            assert who_gets(sockets, alice, number) == [port.owner]
            for worker in range(WORKERS):
                port.steer([Rule(host, alice.getsockname()[1], port.member(worker))])
                assert who_gets(sockets, alice, number) == [worker]
                assert who_gets(sockets, bob, number) == [port.owner]
            away = (port.owner + 1) % WORKERS
            port.steer([Rule(host, bob.getsockname()[1], 0), Rule(host, 0, port.member(away))])
            assert who_gets(sockets, alice, number) == [away]
            assert who_gets(sockets, bob, number) == [port.owner]
            port.steer([])


def test_a_shared_port_is_still_nobody_elses(
    host: str, pools: tuple[list[list[socket.socket]], dict[int, SharedPort]]
) -> None:
    sockets, shared = pools
    with socket.socket(sockets[0][0].family, socket.SOCK_DGRAM) as other, pytest.raises(OSError, match="in use"):
        other.bind((host, next(iter(shared))))


def test_every_worker_has_every_port_its_own_first() -> None:
    plain = open_pools("127.0.0.1", PORTS_AT, workers=2, size=2)
    own = [[sock.getsockname()[1] for sock in pool] for pool in plain]
    sockets, shared = share(plain)
    assert [[sock.getsockname()[1] for sock in pool] for pool in sockets] == [own[0] + own[1], own[1] + own[0]]
    assert set(shared) == {*own[0], *own[1]}
    for sock in (sock for of_worker in sockets for sock in of_worker):
        assert not sock.getblocking()
        sock.close()


def test_where_the_kernel_cannot_the_pools_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_SO_ATTACH_REUSEPORT_CBPF", 9999)
    plain = open_pools("127.0.0.1", PORTS_AT, workers=2, size=1)
    sockets, shared = share(plain)
    assert (sockets, shared) == (plain, {})
    for (sock,) in sockets:
        sock.close()


def test_one_worker_shares_with_nobody() -> None:
    ((sock,),), shared = share(open_pools("127.0.0.1", PORTS_AT, workers=1, size=1))
    assert not shared
    assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    sock.close()


def test_many_workers_have_smaller_pools_so_that_files_do_not_run_out() -> None:
    assert [pool_size(workers, 128) for workers in (1, 2, 4, 8, 16, 64)] == [128, 128, 128, 64, 16, 8]
