from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from mixminus.errors import ConfigurationError, MediaError
from mixminus.media.fleet.ports import REST_NS, PortBook, open_pools

PORTS = (20000, 20002, 20004)
ALICE = ("192.0.2.1", 4000)


def take(book: PortBook, leg: str, remote: tuple[str, int] | None = None, latchable: bool = False, at: int = 0) -> int:
    return book.take(leg, remote=remote, latchable=latchable, now_ns=at)


def test_ports_fill_up_one_after_the_other_and_then_evenly() -> None:
    book = PortBook(PORTS, comfortable=2)
    ports = [take(book, f"leg{n}", (f"192.0.2.{n}", 5000)) for n in range(9)]
    assert ports[:6] == [20000, 20000, 20002, 20002, 20004, 20004]
    assert sorted(ports[6:]) == sorted(PORTS)
    book.release("leg4", 0)
    book.release("leg5", 0)
    assert take(book, "next", ("192.0.2.99", 5000)) == 20004


def test_taking_a_port_does_not_become_slower_with_legs() -> None:
    """Counted, not timed: nothing may look at all the seats."""

    class Watched(dict[str, Any]):
        walks = 0

        def __iter__(self) -> Iterator[str]:
            Watched.walks += 1
            return super().__iter__()

        def items(self) -> Any:
            Watched.walks += 1
            return super().items()

        values = items

    book = PortBook(PORTS)
    book._seats = Watched()
    for n in range(50):
        take(book, f"leg{n}", (f"192.0.2.{n}", 5000), latchable=n % 2 == 0)
        book.latched(f"leg{n}", (f"192.0.2.{n}", 6000))
        book.update(f"leg{n}", remote=(f"192.0.2.{n}", 7000), latchable=False, now_ns=n)
    for n in range(50):
        book.release(f"leg{n}", n)
    assert len(book) == 0
    assert Watched.walks == 0


def test_after_everybody_has_left_and_rested_nothing_is_kept() -> None:
    book = PortBook(PORTS)
    for n in range(20):
        take(book, f"leg{n}", (f"192.0.2.{n % 7}", 5000 + n), latchable=n % 3 == 0, at=n)
        if n % 3 == 0:
            book.latched(f"leg{n}", ("198.51.100.1", 6000 + n))
    for n in range(20):
        book.release(f"leg{n}", now_ns=100 + n)
    take(book, "last", at=200 + REST_NS)
    book.release("last", 0)
    kept = (book._seats, book._taken, book._resting)
    assert [len(each) for each in kept] == [0, 0, 0]
    assert [(port.legs, port.rivals, len(port.hosts)) for port in book._ports.values()] == [(0, 0, 0)] * len(PORTS)


def test_the_same_remote_address_never_shares_a_port() -> None:
    book = PortBook(PORTS)
    assert {take(book, f"leg{n}", ALICE) for n in range(3)} == set(PORTS)
    with pytest.raises(MediaError, match=r"192\.0\.2\.1:4000; raise rtp_pool"):
        take(book, "leg3", ALICE)
    assert take(book, "other", ("192.0.2.1", 4001)) in PORTS


def test_one_address_has_one_spelling() -> None:
    book = PortBook([20000])
    take(book, "a", ("2001:db8::1", 4000))
    with pytest.raises(MediaError):
        take(book, "b", ("2001:DB8:0:0::1", 4000))


def test_legs_that_may_latch_avoid_each_other_while_they_can() -> None:
    book = PortBook(PORTS)
    ports = [take(book, f"leg{n}", ("10.0.0.1", 4000 + n), latchable=True) for n in range(3)]
    assert set(ports) == set(PORTS)
    book.latched("leg1", ("198.51.100.7", 61000))
    assert take(book, "leg3", latchable=True) == ports[1]
    assert take(book, "leg4", latchable=True) in PORTS  # all have a rival now: still better than refusing


def test_a_known_peer_host_is_spread_before_its_address_is() -> None:
    book = PortBook(PORTS)
    first = take(book, "a", ALICE)
    book.take("b", remote=None, latchable=False, now_ns=0)
    book.take("c", remote=None, latchable=False, now_ns=0)
    ports = {book.take(f"d{n}", remote=None, latchable=False, now_ns=0, peer_host=ALICE[0]) for n in range(2)}
    assert first not in ports


def test_a_freed_address_rests_on_its_port() -> None:
    book = PortBook([20000])
    take(book, "a", ALICE)
    book.release("a", now_ns=100)
    with pytest.raises(MediaError, match="had within 5 s"):
        take(book, "b", ALICE, at=100 + REST_NS - 1)
    assert take(book, "b", ALICE, at=100 + REST_NS) == 20000


def test_the_address_before_new_signalling_rests_too() -> None:
    book = PortBook([20000])
    take(book, "a", ALICE)
    book.update("a", remote=("192.0.2.1", 4010), latchable=False, now_ns=0)
    with pytest.raises(MediaError):
        take(book, "b", ALICE, at=1)


def test_new_signalling_may_not_take_anothers_address() -> None:
    book = PortBook([20000])
    take(book, "a", ALICE)
    take(book, "b", ("192.0.2.2", 4000))
    with pytest.raises(MediaError, match="another leg on port 20000 already has"):
        book.update("b", remote=ALICE, latchable=False, now_ns=0)


def test_a_leg_keeps_its_port_when_reserved_again() -> None:
    book = PortBook(PORTS)
    assert take(book, "a") == take(book, "a", ALICE)
    assert book.port_of("a") == take(book, "a", ALICE)
    assert len(book) == 1


def test_strangers_are_refused_or_ignored() -> None:
    book = PortBook(PORTS)
    book.release("nobody", 0)
    book.latched("nobody", ALICE)
    with pytest.raises(MediaError, match="no port was reserved"):
        book.port_of("nobody")
    with pytest.raises(MediaError, match="IP address"):
        take(book, "a", ("example.com", 4000))


def free_range(count: int) -> tuple[int, int]:
    """An even-aligned range of ports that are free now."""
    for low in range(41000, 60000, count + 1 + count % 2):
        low += low % 2
        try:
            for port in range(low, low + count):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        return low, low + count - 1
    raise AssertionError("no free ports")


def test_pools_take_even_ports_first_and_pass_over_used_ones() -> None:
    low, high = free_range(8)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", low + 2))
        pools = open_pools("127.0.0.1", (low, high), workers=2, size=2)
        ports = [[sock.getsockname()[1] for sock in pool] for pool in pools]
        for sock in (sock for pool in pools for sock in pool):
            assert not sock.getblocking()
            sock.close()
    assert ports == [[low, low + 6], [low + 4, low + 1]]


def test_too_few_ports_is_the_operators_to_mend() -> None:
    low, _ = free_range(2)
    with pytest.raises(ConfigurationError, match=rf"rtp_ports {low}-{low} on 127.0.0.1: 1 UDP ports .* 2 workers"):
        open_pools("127.0.0.1", (low, low), workers=2, size=4)


def test_the_pool_may_be_ipv6() -> None:
    low, high = free_range(4)
    (pool,) = open_pools("::1", (low, high), workers=1, size=1)
    assert pool[0].family == socket.AF_INET6
    pool[0].close()
