"""Whose turn it is: receivers take turns, and none may hold more than its share of the requests under way."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mixminus.outbound.url import receiver_of

_REMEMBERED_SUSPECTS = 10_000


@dataclass(frozen=True)
class Limits:
    """Most requests under way: in all, to one host, to one URL, and to one URL that has not answered of late."""

    total: int = 512
    per_host: int = 64
    per_receiver: int = 32
    per_suspect: int = 1


DEFAULT_LIMITS = Limits()


@dataclass
class _Host:
    receivers: int = 0
    under_way: int = 0
    parked: deque[_Receiver] = field(default_factory=deque)
    """Receivers with work that wait for the host to have room."""


@dataclass
class _Receiver:
    url: str
    host: str
    under_way: int = 0
    lanes: deque[str] = field(default_factory=deque)
    listed: bool = False
    """In the rotation, or parked at its host."""


class Turns:
    """Lanes offered, taken in turn by receiver, and released."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._under_way: dict[str, _Receiver] = {}
        self._hosts: dict[str, _Host] = {}
        self._receivers: dict[str, _Receiver] = {}
        self._rotation: deque[_Receiver] = deque()
        self._suspects: dict[str, None] = {}

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def offer(self, lane: str, url: str) -> None:
        """``lane`` has something for ``url``."""
        host, base = receiver_of(url)
        receiver = self._receivers.get(base)
        if receiver is None:
            receiver = self._receivers[base] = _Receiver(base, host)
            self._hosts.setdefault(host, _Host()).receivers += 1
        receiver.lanes.append(lane)
        self._list(receiver)

    def take(self) -> str | None:
        """The next lane that may go; ``None`` when none may at the moment."""
        while self._rotation and len(self._under_way) < self._limits.total:
            receiver = self._rotation.popleft()
            host = self._hosts[receiver.host]
            if receiver.under_way >= self._allowance(receiver):
                receiver.listed = False
                self._unpark(host)
            elif host.under_way >= self._limits.per_host:
                host.parked.append(receiver)
            else:
                return self._start(receiver, host)
        return None

    def release(self, lane: str, *, unreachable: bool) -> None:
        """``lane``'s request has ended; ``unreachable`` when there was no answer."""
        receiver = self._under_way.pop(lane)
        host = self._hosts[receiver.host]
        receiver.under_way -= 1
        host.under_way -= 1
        self._suspects.pop(receiver.url, None)
        if unreachable:
            self._suspects[receiver.url] = None
            if len(self._suspects) > _REMEMBERED_SUSPECTS:
                del self._suspects[next(iter(self._suspects))]
        self._unpark(host)
        self._list(receiver)
        if not receiver.under_way and not receiver.lanes:
            del self._receivers[receiver.url]
            host.receivers -= 1
            if not host.receivers:
                del self._hosts[receiver.host]

    def _allowance(self, receiver: _Receiver) -> int:
        return self._limits.per_suspect if receiver.url in self._suspects else self._limits.per_receiver

    def _start(self, receiver: _Receiver, host: _Host) -> str:
        lane = receiver.lanes.popleft()
        receiver.under_way += 1
        host.under_way += 1
        self._under_way[lane] = receiver
        receiver.listed = False
        self._list(receiver)
        return lane

    def _list(self, receiver: _Receiver) -> None:
        if receiver.lanes and not receiver.listed:
            receiver.listed = True
            self._rotation.append(receiver)

    def _unpark(self, host: _Host) -> None:
        if host.parked and host.under_way < self._limits.per_host:
            self._rotation.append(host.parked.popleft())
