"""UDP ports that every worker has a socket on, so that a leg may change its worker and keep its port.

The sockets of one port are a group (``SO_REUSEPORT``), and the kernel asks a small filter of ours which of them each
datagram goes to (``SO_ATTACH_REUSEPORT_CBPF``, Linux 4.5): the worker that has the leg with the sender's address, else
the one that the port belongs to. A leg that moves costs its new worker nothing more than any other leg.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Sequence
from typing import NamedTuple

from mixminus.errors import MediaError
from mixminus.media.batch import parse_host
from mixminus.media.fleet.ports import prepare

MOST_SOCKETS = 4096
"""Sockets of media that are opened at most, of all workers together; but :data:`LEAST_PORTS` each, in any case."""
LEAST_PORTS = 8
_SO_ATTACH_REUSEPORT_CBPF = 51
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _IF_EQUAL, _RETURN = 0x20, 0x28, 0x30, 0x15, 0x06
_HEADER = 0xFFF00000
"""Offset of the IP header (``SKF_NET_OFF``)."""
_PLAIN_IPV4, _UDP = 0x45, 17
_MOST_STEPS = 4096

Step = tuple[int, int, int, int]
"""One instruction: code, jump if true, jump if false, constant."""


class Rule(NamedTuple):
    """Datagrams from ``host`` and UDP port ``port`` (0: any) go to socket ``member`` of the group."""

    host: str
    port: int
    member: int


def filter_steps(rules: Sequence[Rule], *, ipv6: bool) -> list[Step]:
    """The filter's program: the first rule that fits, else socket 0.

    Raises:
        MediaError: more rules than the kernel takes.
    """
    first = (_LOAD_BYTE, 0, 0, _HEADER + (6 if ipv6 else 0))
    usual = (_IF_EQUAL, 1, 0, _UDP if ipv6 else _PLAIN_IPV4)  # without extensions or options between the headers
    steps: list[Step] = [first, usual, (_RETURN, 0, 0, 0)]
    for rule in rules:
        steps += _rule_steps(rule, ipv6)
    steps.append((_RETURN, 0, 0, 0))
    if len(steps) > _MOST_STEPS:
        raise MediaError(f"{len(rules)} legs of one RTP port are on other media workers: raise rtp_pool")
    return steps


def _rule_steps(rule: Rule, ipv6: bool) -> list[Step]:
    """Compare word by word; a difference jumps behind the rule."""
    packed, source = parse_host(rule.host).packed, 8 if ipv6 else 12
    wanted = [
        (_LOAD_WORD, _HEADER + source + 4 * at, word)
        for at, word in enumerate(struct.unpack(f"!{len(packed) // 4}I", packed))
    ]
    if rule.port:
        wanted.append((_LOAD_HALF, _HEADER + (40 if ipv6 else 20), rule.port))
    steps: list[Step] = []
    for left, (load, offset, value) in zip(range(len(wanted) - 1, -1, -1), wanted, strict=True):
        steps += [(load, 0, 0, offset), (_IF_EQUAL, 0, 2 * left + 1, value)]
    return [*steps, (_RETURN, 0, 0, rule.member)]


class SharedPort:
    """One port: ``owner``, the worker whose pool it is of, and a socket for each worker."""

    def __init__(self, owner: int, sockets: Sequence[socket.socket]) -> None:
        """``sockets``: by worker."""
        self.owner = owner
        self._first = sockets[owner]
        self._ipv6 = self._first.family == socket.AF_INET6

    def member(self, worker: int) -> int:
        """Place of a worker's socket in the group: the owner's is the first, the others follow in order."""
        return 0 if worker == self.owner else worker + (worker < self.owner)

    def steer(self, rules: Sequence[Rule]) -> None:
        """From now on the kernel goes by ``rules``. Raises MediaError when it refuses."""
        _attach(self._first, filter_steps(rules, ipv6=self._ipv6))


def pool_size(workers: int, wanted: int) -> int:
    """UDP ports of each worker, when it is to have a socket on every port of all the others too."""
    return min(wanted, max(LEAST_PORTS, MOST_SOCKETS // workers**2))


def share(pools: Sequence[Sequence[socket.socket]]) -> tuple[list[list[socket.socket]], dict[int, SharedPort]]:
    """Give every worker a socket on every port of the others.

    Args:
        pools: by worker, bound sockets that share their ports with nobody.

    Returns: the sockets by worker, those of its own pool first; and port number → port, empty where the system cannot
    do it: then the pools are as they were.
    """
    all_of: list[list[socket.socket]] = [list(pool) for pool in pools]
    shared: dict[int, SharedPort] = {}
    if sys.platform != "linux" or len(pools) < 2:
        return all_of, shared
    try:
        for owner, pool in enumerate(pools):
            for sock in pool:
                group = _join(sock, owner, len(pools))
                shared[sock.getsockname()[1]] = SharedPort(owner, group)
                for worker, member in enumerate(group):
                    if worker != owner:
                        all_of[worker].append(member)
    except (OSError, MediaError):
        for own, both in zip(pools, all_of, strict=True):
            for sock in both[len(own) :]:
                sock.close()
        return [list(pool) for pool in pools], {}
    return all_of, shared


def _join(sock: socket.socket, owner: int, workers: int) -> list[socket.socket]:
    """A group on the port of ``sock``, whose own datagrams stay its own until the group is steered.

    The port was taken by a socket that shares with nobody, so no other program's socket is ever in the group. The
    group exists from the second socket on, and only then takes a filter.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    group = [sock]
    try:
        for _ in range(workers - 1):
            group.append(_another(sock))
            if len(group) == 2:
                _attach(sock, filter_steps((), ipv6=sock.family == socket.AF_INET6))
    except (OSError, MediaError):
        for member in group[1:]:
            member.close()
        raise
    others = iter(group[1:])
    return [sock if worker == owner else next(others) for worker in range(workers)]


def _another(sock: socket.socket) -> socket.socket:
    other = socket.socket(sock.family, socket.SOCK_DGRAM)
    try:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        prepare(other)
        other.bind(sock.getsockname())
    except OSError:
        other.close()
        raise
    return other


def _attach(sock: socket.socket, steps: Sequence[Step]) -> None:
    program = b"".join(struct.pack("=HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(program, len(program))
    try:
        sock.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, struct.pack("HL", len(steps), ctypes.addressof(held))
        )
    except OSError as error:
        raise MediaError(f"the kernel does not steer datagrams of a shared port: {error.strerror}") from error
