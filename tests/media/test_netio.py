"""Both ways of moving datagrams must do the same."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from mixminus.media.batch import DatagramBatch, PacketBatch, address_length, pack_address, unpack_address
from mixminus.media.netio import IDLE_TURN, NetIO, open_netio, pass_quota


def udp(host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.settimeout(5)
    return sock


@pytest.fixture(params=["mmsg", "portable"])
def portable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "portable")


@pytest.fixture(params=["127.0.0.1", "::1"])
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pool(host: str) -> Iterator[list[socket.socket]]:
    sockets = [udp(host) for _ in range(3)]
    yield sockets
    for sock in sockets:
        sock.close()


@pytest.fixture
def peer(host: str) -> Iterator[socket.socket]:
    with udp(host) as sock:
        yield sock


def batch_of(sends: list[tuple[bytes, bytes, tuple[str, int], int]]) -> DatagramBatch:
    """(header, payload, address, port index) of each datagram; every payload has its own row, in reverse order."""
    rows = len(sends)
    payload = np.zeros((rows, 2000), np.uint8)
    batch = DatagramBatch(rows, payload)
    for row, (header, body, address, port) in enumerate(sends):
        shared = rows - 1 - row
        payload[shared, : len(body)] = np.frombuffer(body, np.uint8)
        batch.header[row] = np.frombuffer(header, np.uint8)
        batch.payload_row[row], batch.payload_length[row] = shared, len(body)
        batch.address[row] = pack_address(address)
        batch.address_length[row] = address_length(batch.address[row])
        batch.port[row] = port
    batch.count = rows
    return batch


def received(net: NetIO, sockets: list[socket.socket], want: int, rows: int = 64) -> PacketBatch:
    """Wait until ``want`` datagrams came, which must be in one batch."""
    batch = PacketBatch(rows)
    select.select(sockets, [], [], 5)
    net.receive(batch)
    assert batch.count == want
    return batch


def contents(batch: PacketBatch) -> set[tuple[int, bytes, tuple[str, int]]]:
    return {
        (
            int(batch.port[row]),
            batch.data[row, : batch.length[row]].tobytes(),
            unpack_address(batch.address[row]),
        )
        for row in range(batch.count)
    }


def test_what_arrives_is_told_with_its_port_and_sender(
    pool: list[socket.socket], peer: socket.socket, portable: bool
) -> None:
    net = open_netio(pool, portable=portable)
    sender = peer.getsockname()[:2]
    for index, sock in enumerate(pool):
        for number in range(4):
            peer.sendto(bytes([index, number]) * (number + 1), sock.getsockname())
    batch = received(net, pool, 12)
    assert contents(batch) == {(i, bytes([i, n]) * (n + 1), sender) for i in range(3) for n in range(4)}
    assert net.counters.received == 12
    net.receive(batch)
    assert batch.count == 0


def test_ports_that_nobody_uses_are_read_now_and_then_and_what_waits_is_not_for_who_comes(
    pool: list[socket.socket], peer: socket.socket, portable: bool
) -> None:
    net = open_netio(pool, portable=portable)
    batch = PacketBatch(64)
    used: tuple[int, ...] = (0,)
    net.receive(batch, used)

    def send(index: int) -> None:
        peer.sendto(b"x", pool[index].getsockname())
        select.select([pool[index]], [], [], 5)

    for index in (0, 1):
        send(index)
    net.receive(batch, used)
    assert batch.port[: batch.count].tolist() == [0]
    reads = 0
    while not batch.count or batch.port[0] != 1:
        net.receive(batch, used)
        reads += 1
        assert reads <= IDLE_TURN
    send(2)
    used = (0, 2)
    net.receive(batch, used)
    assert batch.count == 0
    send(2)
    net.receive(batch, used)
    assert batch.port[: batch.count].tolist() == [2]


def test_each_datagram_leaves_its_own_port_with_its_own_header(
    pool: list[socket.socket], peer: socket.socket, portable: bool
) -> None:
    net = open_netio(pool, portable=portable)
    target = peer.getsockname()[:2]
    ports = [2, 0, 1, 0, 2, 2]
    net.send(batch_of([(bytes([n]) * 12, bytes([100 + n]) * (n + 1), target, p) for n, p in enumerate(ports)]))
    arrived = {peer.recvfrom(2000)[0]: None for _ in ports}
    assert set(arrived) == {bytes([n]) * 12 + bytes([100 + n]) * (n + 1) for n in range(len(ports))}
    net.send(batch_of([(bytes(12), b"who", target, 1)]))
    data, sender = peer.recvfrom(2000)
    assert (data, sender[:2]) == (bytes(12) + b"who", pool[1].getsockname()[:2])
    assert net.counters.sent == 7


def test_more_than_one_call_can_carry(pool: list[socket.socket], peer: socket.socket, portable: bool) -> None:
    pool[0].setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
    net = open_netio(pool, portable=portable)
    target = pool[0].getsockname()[:2]
    count = 2500 if not portable else 300
    net.send(batch_of([(n.to_bytes(12, "big"), b"", target, n % 3) for n in range(count)]))
    assert net.counters.sent == count
    batch = received(net, pool, count, rows=4096)
    assert {int.from_bytes(batch.data[row, :12].tobytes(), "big") for row in range(count)} == set(range(count))


def test_a_datagram_the_kernel_refuses_costs_no_other(portable: bool) -> None:
    with udp() as sock, udp() as peer:
        net = open_netio([sock], portable=portable)
        target = peer.getsockname()
        batch = batch_of(
            [
                (bytes(12), b"first", target, 0),
                (bytes(12), b"to broadcast", ("255.255.255.255", 9), 0),
                (bytes(12), b"second", target, 0),
                (bytes(12), b"wrong family", ("::1", 9), 0),
                (bytes(12), b"third", target, 0),
            ]
        )
        net.send(batch)
        assert [peer.recv(100)[12:] for _ in range(3)] == [b"first", b"second", b"third"]
        assert net.counters.sent == 3
        assert sum(net.counters.errors.values()) == 2


def test_too_big_a_datagram_is_skipped_and_named(portable: bool) -> None:
    with udp() as sock, udp() as peer:
        sock.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER = IP_PMTUDISC_DO: never fragment
        net = open_netio([sock], portable=portable)
        payload = np.zeros((2, 70000), np.uint8)
        batch = batch_of([(bytes(12), b"", peer.getsockname(), 0), (bytes(12), b"x", peer.getsockname(), 0)])
        batch.payload, batch.payload_length[0] = payload, 69000
        net.send(batch)
        assert net.counters.errors == {"EMSGSIZE": 1}
        assert len(peer.recv(100)) == 13


def test_an_oversized_arrival_is_handed_on_as_empty(portable: bool) -> None:
    with udp() as sock, udp() as peer:
        net = open_netio([sock], portable=portable)
        peer.sendto(bytes(1501), sock.getsockname())
        peer.sendto(bytes(1500), sock.getsockname())
        batch = received(net, [sock], 2)
        assert batch.length[:2].tolist() == [0, 1500]
        assert net.counters.truncated == 1


def test_a_flood_on_one_port_leaves_room_for_the_others(
    pool: list[socket.socket], peer: socket.socket, portable: bool
) -> None:
    net = open_netio(pool, portable=portable)
    for _ in range(100):
        peer.sendto(b"flood", pool[0].getsockname())
    peer.sendto(b"voice", pool[2].getsockname())
    for _ in range(3):  # whichever port has the first turn
        batch = PacketBatch(48)
        net.receive(batch)
        if 2 in batch.port[: batch.count]:
            break
    else:
        pytest.fail("the voice packet was never read")
    assert batch.count == 48
    assert pass_quota(48, 3) == 16


def test_stale_addresses_do_not_shine_through(portable: bool) -> None:
    """A batch row that once held a long address must be clean under a short one."""
    with udp() as sock, udp() as peer:
        net = open_netio([sock], portable=portable)
        batch = PacketBatch(4)
        batch.address[:] = 0xFF
        peer.sendto(b"x", sock.getsockname())
        select.select([sock], [], [], 5)
        net.receive(batch)
        assert (batch.address[0] == pack_address(peer.getsockname())).all()


def test_nothing_to_send_is_fine(pool: list[socket.socket], portable: bool) -> None:
    net = open_netio(pool, portable=portable)
    net.send(DatagramBatch(0, np.zeros((0, 160), np.uint8)))
    assert net.counters.sent == 0
