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
COMFORTABLE = 128
"""Legs that one port takes before the next is begun."""
PACKET_CHARGE = 1280
"""Bytes of a receive buffer that the kernel reckons for one packet of audio, and some more."""
STALL_PACKETS = 20
"""Packets of each leg that a port's receive buffer is to hold, while the worker is held up for 400 ms."""
_SO_RCVBUFFORCE = 33
_SO_SNDBUFFORCE = 32
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_PROBE = 3


def raise_file_limit() -> None:
    """Let this process and those it starts open as many files as the system allows them: each worker has a socket on
    every port.
    """
    try:
        import resource
    except ImportError:
        return  # not a system with such limits
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems name no number that they would take
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        prepare(sock)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def prepare(sock: socket.socket) -> None:
    """What a media socket is before it is bound: one IP version, large buffers, never blocking."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    elif sys.platform == "linux":
        # Audio packets fit every path: marking them "don't fragment" spares the kernel choosing an IP id for each.
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
    _buffer(sock, socket.SO_RCVBUF, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
    _buffer(sock, socket.SO_SNDBUF, _SO_SNDBUFFORCE, SEND_BUFFER)
    sock.setblocking(False)


def comfortable_legs(sock: socket.socket) -> int:
    """How many legs a port may have so that its receive buffer, as large as the system allowed, is enough for them."""
    size = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return max(4, min(COMFORTABLE, size // (PACKET_CHARGE * STALL_PACKETS)))


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


class _Port:
    """What is known of one port without looking at its legs."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.legs = 0
        self.rivals = 0
        """Legs that may latch."""
        self.hosts: Counter[str] = Counter()

    def count(self, seat: _Seat, by: int) -> None:
        self.legs += by
        self.rivals += by * seat.latchable
        if seat.remote is not None:
            host = seat.remote[0]
            self.hosts[host] += by
            if not self.hosts[host]:
                del self.hosts[host]


class PortBook:
    """Who sits on which port of one worker. Pure. Nothing here takes longer for a worker that has more legs.

    Two rules. A remote address is never given a port on which another leg has, or lately had, the same one: the two
    could not be told apart. And legs that may latch (the peer's true address is not known yet) get a port without
    another such leg while there is one: of two candidates neither could be believed.

    What the rules leave open goes to the first port that has fewer than ``comfortable`` legs: a port that nobody uses
    costs its worker no system calls, one that is used costs two in each tick.
    """

    def __init__(self, ports: Sequence[int], *, rest_ns: int = REST_NS, comfortable: int = COMFORTABLE) -> None:
        self._ports = {port: _Port(place) for place, port in enumerate(ports)}
        self._rest_ns = rest_ns
        self._comfortable = comfortable
        self._seats: dict[str, _Seat] = {}
        self._taken: dict[Address, dict[int, str]] = {}
        """Remote address → ports on which it is, and whose it is there."""
        self._resting: dict[tuple[Address, int], int] = {}
        """Until when, the next to have rested first."""

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
        taken = self._taken.get(remote, {}) if remote else {}
        free = [port for port in self._ports if port not in taken and (remote, port) not in self._resting]
        if not free:
            raise MediaError(
                f"every one of the {len(self._ports)} RTP ports has, or had within {self._rest_ns // 10**9} s, a leg "
                f"with {_text(remote)}; raise rtp_pool"
            )
        settled = remote is not None and not latchable
        port = min(free, key=self._rank("" if settled else remote[0] if remote else peer_host or "", latchable))
        self._sit(leg, _Seat(port, remote, latchable))
        return port

    def update(self, leg: str, *, remote: Address | None, latchable: bool, now_ns: int) -> None:
        """New signalling for a leg. Raises MediaError if its port already has another leg with this remote address."""
        seat, remote = self._seat(leg), _canonical(remote)
        if remote and self._taken.get(remote, {}).get(seat.port, leg) != leg:
            raise MediaError(f"leg {leg}: another leg on port {seat.port} already has {_text(remote)}")
        self._rise(leg)
        if seat.remote != remote:
            self._rest(seat, now_ns)
        self._sit(leg, _Seat(seat.port, remote, latchable))

    def latched(self, leg: str, remote: Address) -> None:
        """The peer's true address is known: the leg no longer competes for strangers' packets."""
        if leg in self._seats:
            seat = self._rise(leg)
            self._sit(leg, _Seat(seat.port, _canonical(remote), False))

    def release(self, leg: str, now_ns: int) -> None:
        """Give the port back; a leg that has none is fine."""
        if leg in self._seats:
            self._rest(self._rise(leg), now_ns)

    def port_of(self, leg: str) -> int:
        """Raises MediaError for a leg without a port."""
        return self._seat(leg).port

    def remotes(self, port: int) -> list[tuple[str, Address]]:
        """Legs on a port whose remote address is known, and that address."""
        return [(leg, seat.remote) for leg, seat in self._seats.items() if seat.port == port and seat.remote]

    def _seat(self, leg: str) -> _Seat:
        try:
            return self._seats[leg]
        except KeyError:
            raise MediaError(f"leg {leg}: no port was reserved for it") from None

    def _sit(self, leg: str, seat: _Seat) -> None:
        self._seats[leg] = seat
        self._ports[seat.port].count(seat, 1)
        if seat.remote:
            self._taken.setdefault(seat.remote, {}).setdefault(seat.port, leg)

    def _rise(self, leg: str) -> _Seat:
        seat = self._seats.pop(leg)
        self._ports[seat.port].count(seat, -1)
        taken = self._taken.get(seat.remote, {}) if seat.remote else {}
        if seat.remote and taken.get(seat.port) == leg:
            del taken[seat.port]
            if not taken:
                del self._taken[seat.remote]
        return seat

    def _rest(self, seat: _Seat, now_ns: int) -> None:
        if seat.remote:
            self._resting.pop((seat.remote, seat.port), None)  # so that the order is that of time
            self._resting[seat.remote, seat.port] = now_ns + self._rest_ns

    def _rank(self, host: str, latchable: bool) -> Callable[[int], tuple[int, int, int, int]]:
        """Key of the order in which ports are preferred: fewest rivals, fewest of the same host, then the first that
        is comfortable, or the one with the fewest legs.
        """

        def rank(number: int) -> tuple[int, int, int, int]:
            port = self._ports[number]
            crowd = port.legs if port.legs >= self._comfortable else 0
            return port.rivals if latchable else 0, port.hosts.get(host, 0), crowd, port.place

        return rank

    def _forget_rested(self, now_ns: int) -> None:
        while self._resting:
            key, until = next(iter(self._resting.items()))
            if until > now_ns:
                return
            del self._resting[key]


def _canonical(address: Address | None) -> Address | None:
    """One spelling per address, so that equal ones compare equal. Raises MediaError for what is no IP address."""
    return None if address is None else (str(parse_host(address[0])), address[1])


def _text(address: Address | None) -> str:
    return "no address" if address is None else f"{address[0]}:{address[1]}"
