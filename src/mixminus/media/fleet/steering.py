"""Which of the workers gets a leg's datagrams when that is not the one its port belongs to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mixminus.media.fleet.ports import PortBook
from mixminus.media.fleet.sharing import Rule, SharedPort
from mixminus.media.protocol import Address, OpenLeg


@dataclass(frozen=True)
class _Away:
    worker: int
    remotes: frozenset[Address]
    hosts: tuple[str, ...]
    """Hosts whose first packet may yet claim the leg."""


class Steering:
    """Legs that are not on the worker of their port. Every change is told to the port at once."""

    def __init__(self, shared: Mapping[int, SharedPort], books: Sequence[PortBook]) -> None:
        """``books``: of each worker."""
        self._shared = shared
        self._books = books
        self._away: dict[int, dict[str, _Away]] = {}

    @property
    def possible(self) -> bool:
        """Whether legs may leave the worker of their port."""
        return bool(self._shared)

    def put(self, opening: OpenLeg, worker: int, latched: Address | None = None) -> None:
        """The leg is opened like this on ``worker``; ``latched``: where its peer was heard from.

        Raises:
            MediaError: its port cannot be steered so; it stays as it was.
        """
        port = self._shared.get(opening.port)
        if port is None:
            return
        if port.owner == worker:
            self.forget(opening.leg, opening.port)
            return
        away = self._away.setdefault(opening.port, {})
        before = away.get(opening.leg)
        remotes = frozenset(remote for remote in (opening.remote, latched) if remote is not None)
        away[opening.leg] = _Away(worker, remotes, () if latched else opening.latch_hosts)
        try:
            self._steer(opening.port)
        except BaseException:
            self._restore(opening, before)
            raise

    def forget(self, leg: str, port: int) -> None:
        """The leg is closed, or back on the worker of its port."""
        away = self._away.get(port, {})
        if away.pop(leg, None) is not None:
            self._steer(port)
            if not away:
                del self._away[port]

    def _restore(self, opening: OpenLeg, before: _Away | None) -> None:
        away = self._away[opening.port]
        if before is None:
            del away[opening.leg]
        else:
            away[opening.leg] = before

    def _steer(self, number: int) -> None:
        """Exact addresses go before hosts, those of the legs that stayed at home too: a host may have several legs."""
        port, away = self._shared[number], self._away[number]
        rules = [Rule(*remote, port.member(leg.worker)) for leg in away.values() for remote in sorted(leg.remotes)]
        guests = [(host, port.member(leg.worker)) for leg in away.values() for host in leg.hosts]
        if guests:
            home = self._books[port.owner].remotes(number)
            rules += [Rule(*remote, 0) for leg, remote in home if leg not in away]
            rules += [Rule(host, 0, member) for host, member in guests]
        port.steer(rules)
