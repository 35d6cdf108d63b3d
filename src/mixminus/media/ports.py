"""UDP ports for media: opening the pool, and choosing a port for each leg.

Many legs share a port and are told apart by the peer's address; :class:`PortBook` keeps them tellable.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from mixminus.errors import ConfigurationError, MediaError
from mixminus.media.batch import parse_host
from mixminus.media.protocol import Address

REST_NS = 5_000_000_000
"""A freed (port, remote address) is not given out for so long: late packets of one call must not enter another."""
RECEIVE_BUFFER = 8 * 1024 * 1024
SEND_BUFFER = 4 * 1024 * 1024
_SO_RCVBUFFORCE = 33
_SO_SNDBUFFORCE = 32
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_PROBE = 3


def open_pools(host: str, ports: tuple[int, int], *, workers: int, size: int) -> list[list[socket.socket]]:
    """Bind ``size`` UDP sockets for each worker on ``host``, from the range ``ports`` (both ends included).

    Even ports first (RFC 3550 §11); ports in use by others are passed over. Raises ConfigurationError naming
    ``rtp_ports`` when not even one port per worker is free; fewer than asked for is not an error.
    """
    low, high = ports
    pools: list[list[socket.socket]] = [[] for _ in range(workers)]
    wanted, opened = workers * size, 0
    problem: OSError | None = None
    for port in [*range(low + low % 2, high + 1, 2), *range(low + 1 - low % 2, high + 1, 2)]:
        if opened == wanted:
            break
        try:
            pools[opened % workers].append(_bind(host, port))
            opened += 1
        except OSError as error:
            problem = error
    if opened < workers:
        for sock in chain.from_iterable(pools):
            sock.close()
        reason = problem.strerror if problem else "the range is too small"
        raise ConfigurationError(
            f"rtp_ports {low}-{high} on {host}: {opened} UDP ports could be opened, {workers} workers need "
            f"one each at least ({reason}); widen rtp_ports or free some of it"
        )
    return pools


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        elif sys.platform == "linux":
            # Audio packets fit every path: marking them "don't fragment" spares the kernel choosing an IP id for each.
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
        _buffer(sock, socket.SO_RCVBUF, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
        _buffer(sock, socket.SO_SNDBUF, _SO_SNDBUFFORCE, SEND_BUFFER)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _buffer(sock: socket.socket, option: int, forced_option: int, size: int) -> None:
    """As large as allowed: the forced option passes the system's maximum where we may use it."""
    if sys.platform == "linux":
        try:
            sock.setsockopt(socket.SOL_SOCKET, forced_option, size)
            return
        except PermissionError:
            pass
    with contextlib.suppress(OSError):  # some systems refuse a size over the maximum instead of cutting it
        sock.setsockopt(socket.SOL_SOCKET, option, size)


@dataclass
class _Seat:
    port: int
    remote: Address | None
    latchable: bool


class PortBook:
    """Who sits on which port of one worker. Pure.

    Two rules. A remote address is never given a port on which another leg has, or lately had, the same one: the two
    could not be told apart. And legs that may latch (the peer's true address is not known yet) get a port without
    another such leg while there is one: of two candidates neither could be believed.
    """

    def __init__(self, ports: Sequence[int], *, rest_ns: int = REST_NS) -> None:
        self._ports = tuple(ports)
        self._rest_ns = rest_ns
        self._seats: dict[str, _Seat] = {}
        self._resting: dict[tuple[int, Address], int] = {}

    def __len__(self) -> int:
        return len(self._seats)

    def take(
        self, leg: str, *, remote: Address | None, latchable: bool, now_ns: int, peer_host: str | None = None
    ) -> int:
        """A local port for ``leg``; the same again if it has one already.

        ``peer_host``: where the peer's media may come from, when ``remote`` is not known yet; ports without legs of
        that host are preferred. Raises MediaError when every port has this very remote address.
        """
        if leg in self._seats:
            self.update(leg, remote=remote, latchable=latchable, now_ns=now_ns)
            return self._seats[leg].port
        self._forget_rested(now_ns)
        remote = _canonical(remote)
        taken = {seat.port for seat in self._seats.values() if remote and seat.remote == remote}
        resting = {port for port, address in self._resting if address == remote}
        free = [port for port in self._ports if port not in taken and port not in resting]
        if not free:
            raise MediaError(
                f"every one of the {len(self._ports)} RTP ports has, or had within {self._rest_ns // 10**9} s, a leg "
                f"with {_text(remote)}; raise rtp_pool"
            )
        host = remote[0] if remote else peer_host
        port = min(free, key=self._rank(host, latchable))
        self._seats[leg] = _Seat(port, remote, latchable)
        return port

    def update(self, leg: str, *, remote: Address | None, latchable: bool, now_ns: int) -> None:
        """New signalling for a leg. Raises MediaError if its port already has another leg with this remote address."""
        seat, remote = self._seat(leg), _canonical(remote)
        for other, them in self._seats.items():
            if other != leg and remote and them.port == seat.port and them.remote == remote:
                raise MediaError(f"leg {leg}: another leg on port {seat.port} already has {_text(remote)}")
        if seat.remote and seat.remote != remote:
            self._resting[seat.port, seat.remote] = now_ns + self._rest_ns
        seat.remote, seat.latchable = remote, latchable

    def latched(self, leg: str, remote: Address) -> None:
        """The peer's true address is known: the leg no longer competes for strangers' packets."""
        if leg in self._seats:
            seat = self._seats[leg]
            seat.remote, seat.latchable = _canonical(remote), False

    def release(self, leg: str, now_ns: int) -> None:
        """Give the port back; a leg that has none is fine."""
        seat = self._seats.pop(leg, None)
        if seat and seat.remote:
            self._resting[seat.port, seat.remote] = now_ns + self._rest_ns

    def port_of(self, leg: str) -> int:
        """Raises MediaError for a leg without a port."""
        return self._seat(leg).port

    def _seat(self, leg: str) -> _Seat:
        try:
            return self._seats[leg]
        except KeyError:
            raise MediaError(f"leg {leg}: no port was reserved for it") from None

    def _rank(self, host: str | None, latchable: bool) -> Callable[[int], tuple[int, int, int]]:
        """Key of the order in which ports are preferred: fewest rivals, fewest of the same host, fewest legs."""
        rivals, neighbours, legs = Counter[int](), Counter[int](), Counter[int]()
        for seat in self._seats.values():
            rivals[seat.port] += seat.latchable
            neighbours[seat.port] += seat.remote is not None and seat.remote[0] == host
            legs[seat.port] += 1
        return lambda port: (rivals[port] if latchable else 0, neighbours[port], legs[port])

    def _forget_rested(self, now_ns: int) -> None:
        self._resting = {key: until for key, until in self._resting.items() if until > now_ns}


def _canonical(address: Address | None) -> Address | None:
    """One spelling per address, so that equal ones compare equal. Raises MediaError for what is no IP address."""
    return None if address is None else (str(parse_host(address[0])), address[1])


def _text(address: Address | None) -> str:
    return "no address" if address is None else f"{address[0]}:{address[1]}"
