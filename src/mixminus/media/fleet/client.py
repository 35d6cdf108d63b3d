"""What the control process sees of media: :class:`MediaClient`, all workers of this machine as one.

It decides which worker a room lives on and which port a leg gets; :mod:`mixminus.media.fleet.endpoint` keeps each
worker alive.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
import structlog

from mixminus.clock import Clock, SystemClock
from mixminus.errors import MediaError, Overloaded
from mixminus.media.batch import parse_host
from mixminus.media.fleet.admission import Gate
from mixminus.media.fleet.carrying import TapCarrier
from mixminus.media.fleet.endpoint import Spawn, WorkerEndpoint, spawn_worker
from mixminus.media.fleet.mirror import Mirror
from mixminus.media.fleet.ports import open_pools, raise_file_limit
from mixminus.media.fleet.roster import Kind, Roster
from mixminus.media.fleet.sharing import pool_size, share
from mixminus.media.fleet.steering import Steering
from mixminus.media.protocol import (
    Address,
    CloseLeg,
    Command,
    Event,
    GetStats,
    LegLatched,
    LegStats,
    MoveLeg,
    OpenLeg,
    PauseTap,
    Play,
    PlayEnded,
    ResumeTap,
    SendDigits,
    SetGainControl,
    SetHearing,
    StartTap,
    Stats,
    StopPlay,
    StopTap,
    TapFailed,
    UpdateLeg,
)

ANSWER_SECONDS = 10.0
"""How long :meth:`MediaClient.send` waits, a restart of the worker included."""

log = structlog.get_logger(__name__)


@dataclass
class MediaCounters:
    """What the client itself counts, since the start."""

    events: dict[str, int] = field(default_factory=dict)
    """By name of the event."""
    crossings: int = 0
    """Legs that went from one worker to another."""
    failed_callbacks: int = 0
    """Events and losses whose receiver raised; the exception is logged."""


class MediaClient:
    """All media workers of this machine.

    ``host``: address to bind, IPv4 or IPv6. ``advertised_host``: what :meth:`reserve` tells peers, if another.
    ``on_event`` is called in the order in which things happened, possibly before the :meth:`send` that caused them
    returns.
    ``high_water``: share of its time from which a worker is given no new legs, see :meth:`overloaded`.
    ``on_worker_lost(worker, rooms)`` is called when a worker died; its replacement is on the way, and ends that can no
    longer come (PlayEnded, DigitsSent, SpeakStop) follow as events at once.
    """

    def __init__(
        self,
        *,
        host: str,
        ports: tuple[int, int],
        workers: int = 1,
        pool: int = 32,
        advertised_host: str = "",
        on_event: Callable[[Event], None],
        on_worker_lost: Callable[[int, frozenset[str]], None] | None = None,
        clock: Clock | None = None,
        spawn: Spawn = spawn_worker,
        high_water: float = 0.8,
    ) -> None:
        self._host, self._ports, self._workers, self._pool = host, ports, workers, pool
        self._advertised_host = advertised_host
        self._on_event, self._on_worker_lost = on_event, on_worker_lost
        self._clock, self._spawn = clock or SystemClock(), spawn
        self._handles: list[WorkerEndpoint] = []
        self._roster = Roster()
        self._gates = [Gate(high_water) for _ in range(workers)]
        self._intended = Mirror()
        """Legs as they were last asked for, whether the worker has answered yet or not."""
        self._homes: dict[str, int] = {}
        """Leg → the worker whose port it has, wherever the leg itself is by now."""
        self._steering = Steering({}, ())
        self._carrier = TapCarrier(
            self._intended.legs,
            worker_of=lambda tap: self._handles[self._roster.worker_of("tap", tap)],
            put=self._put_tap,
            drop=lambda tap: self._roster.drop("tap", tap),
            failed=self._tap_failed,
        )
        self._secret = b""
        self.counters = MediaCounters()

    async def start(self) -> None:
        """Open the ports and start the workers. Raises ConfigurationError (ports) or MediaError (a worker)."""
        raise_file_limit()
        size = pool_size(self._workers, self._pool)
        pools = open_pools(self._host, self._ports, workers=self._workers, size=size)
        every, shared = share(pools)
        self._secret = secrets.token_bytes(16)
        self._handles = [
            WorkerEndpoint(
                index,
                sockets,
                clock=self._clock,
                spawn=self._spawn,
                on_event=self._event,
                on_accepted=self._accepted,
                on_lost=self._lost,
                own=len(pools[index]),
            )
            for index, sockets in enumerate(every)
        ]
        self._steering = Steering(shared, [handle.book for handle in self._handles])
        try:
            await asyncio.gather(*(handle.start() for handle in self._handles))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the workers, after their spools are on disk, and close the ports."""
        handles, self._handles = self._handles, []
        await asyncio.gather(*(handle.stop() for handle in handles))
        for sock in (sock for handle in handles for sock in handle.sockets):
            sock.close()

    def place(self, room: str, *, near: str | None = None) -> int:
        """The worker a room lives on; a new room goes beside leg ``near``, else to the least loaded worker."""
        self._refuse_when_stopped()
        return self._roster.place(room, self._loads(), near=near)

    def overloaded(self) -> str:
        """Why no more legs can be taken now; empty when they can. The calls that are there keep their quality by it."""
        if any(self._open(index) for index in range(len(self._handles))):
            return ""
        return "all media workers are at their limit: try again later, or raise workers"

    def _open(self, index: int) -> bool:
        handle = self._handles[index]
        return self._gates[index].open(handle.stats, self._roster.legs(index))

    def _loads(self) -> list[tuple[bool, int, int]]:
        """What workers are ranked by: full ones last, then by load in steps of a tenth, then by legs."""
        legs = [self._roster.legs(index) for index in range(len(self._handles))]
        return [
            (not self._open(index), int(10 * gate.load(handle.stats, legs[index])), legs[index])
            for index, (gate, handle) in enumerate(zip(self._gates, self._handles, strict=True))
        ]

    def reserve(
        self, room: str, leg: str, *, remote: Address | None, latchable: bool, peer_host: str | None = None
    ) -> Address:
        """Local address for the SDP of a leg that will be opened in ``room``.

        ``latchable``: its ``OpenLeg`` will have ``latch_hosts``. ``peer_host``: literal address where the peer probably
        is, while ``remote`` is not known. Raises MediaError when no port can take the leg, Overloaded when the room's
        worker has no time for it.
        """
        worker = self.place(room)
        if not self._open(worker):
            raise Overloaded(f"media worker {worker}, which has room {room}, is at its limit: try again later")
        handle = self._handles[worker]
        self._check_family(remote)
        now_ns = self._clock.now().monotonic_ns
        self._roster.put("leg", leg, room)
        try:
            port = handle.book.take(leg, remote=remote, latchable=latchable, now_ns=now_ns, peer_host=peer_host)
        except MediaError:
            self._roster.drop("leg", leg)
            raise
        self._homes[leg] = worker
        return self._advertised_host or handle.sockets[0].getsockname()[0], port

    def release(self, leg: str) -> None:
        """Give back what :meth:`reserve` took, for a leg never opened. An accepted ``CloseLeg`` does so by itself."""
        home = self._homes.pop(leg, None)
        if home is None or not self._handles:
            return
        book = self._handles[home].book
        self._steering.forget(leg, book.port_of(leg))
        book.release(leg, self._clock.now().monotonic_ns)
        self._roster.drop("leg", leg)
        self._intended.forget(leg)

    def send(self, command: Command, *, timeout: float = ANSWER_SECONDS) -> Awaitable[Stats | None]:
        """Have a worker carry out ``command``; await the result for its answer.

        The command is on its way when this returns, so commands take effect in the order of the calls. Raises
        MediaError when the worker refuses, or has not answered within ``timeout`` seconds. A command that was given up
        or cancelled may still be carried out: undo it with its opposite.
        """
        self._refuse_when_stopped()
        if isinstance(command, StopPlay) and not self._roster.has("player", command.player):
            return _done()
        if isinstance(command, PauseTap | ResumeTap | StopTap) and self._carrier.is_between(command.tap):
            handle = self._handles[self._roster.worker_of("tap", command.tap)]
            return self._answer(handle, self._carrier.tell_later(command), timeout)
        if isinstance(command, OpenLeg):
            command = self._named(command)
        before = self._handles[self._roster.worker_of("leg", command.leg)] if isinstance(command, MoveLeg) else None
        handle = self._handles[self._route(command)]
        if isinstance(command, OpenLeg | UpdateLeg):
            self._seat(command)
        if isinstance(command, MoveLeg) and before is not None and before is not handle:
            return self._answer(handle, self._cross(command, before, handle), timeout)
        answer = handle.submit(command)
        self._intend(command, handle, answer)
        if isinstance(command, Play):
            self._enter("player", command.player, command.room, answer)
        elif isinstance(command, StartTap):
            self._enter("tap", command.tap, command.room, answer)
        return self._answer(handle, answer, timeout)

    def stats(self) -> tuple[Stats | None, ...]:
        """Each worker's counters, at most some seconds old; None before the first answer. They restart with it."""
        return tuple(handle.stats for handle in self._handles)

    async def fresh_stats(self, *, legs: bool = False) -> tuple[Stats | None, ...]:
        """Each worker's counters now, with every leg's if ``legs``."""
        self._refuse_when_stopped()
        answers = (self._answer(handle, handle.submit(GetStats(legs=legs)), ANSWER_SECONDS) for handle in self._handles)
        return tuple(await asyncio.gather(*answers))

    async def leg_stats(self, leg: str) -> LegStats | None:
        """One leg's counters now; None when no worker has it."""
        self._refuse_when_stopped()
        if not self._roster.has("leg", leg):
            return None
        handle = self._handles[self._roster.worker_of("leg", leg)]
        stats = await self._answer(handle, handle.submit(GetStats(leg=leg)), ANSWER_SECONDS)
        return stats.leg_stats[0] if stats and stats.leg_stats else None

    def restarts(self) -> tuple[int, ...]:
        """How often each worker was replaced."""
        return tuple(handle.restarts for handle in self._handles)

    def pids(self) -> tuple[int | None, ...]:
        """Process id of each worker, for accounting and for tests that kill one."""
        return tuple(handle.process.pid if handle.process else None for handle in self._handles)

    # -- routing

    def _route(self, command: Command) -> int:
        """The worker that has what ``command`` is about. Raises MediaError when there is no such thing."""
        match command:
            case OpenLeg() | MoveLeg():
                if isinstance(command, OpenLeg):
                    self._check_family(command.remote)
                return self._put_leg(command.leg, command.room)
            case UpdateLeg():
                self._check_family(command.remote)
                return self._roster.worker_of("leg", command.leg)
            case CloseLeg() | SendDigits() | SetGainControl():
                return self._roster.worker_of("leg", command.leg)
            case Play() | StartTap():
                return self.place(command.room)
            case StopPlay():
                return self._roster.worker_of("player", command.player)
            case PauseTap() | ResumeTap() | StopTap():
                return self._roster.worker_of("tap", command.tap)
            case SetHearing():
                return self._roster.worker_of_room(command.room)
            case GetStats():
                raise MediaError("GetStats is about a worker: use fresh_stats()")

    def _enter(self, kind: Kind, name: str, room: str, answer: asyncio.Future[Stats | None]) -> None:
        """A player or tap is in its room from the moment it is sent, and out again if the worker refuses it."""
        if self._roster.has(kind, name):
            return
        self._roster.put(kind, name, room)
        answer.add_done_callback(lambda done: self._roster.drop(kind, name) if done.exception() else None)

    def _put_leg(self, leg: str, room: str) -> int:
        """The leg is in this room from now on; the room's worker. Raises MediaError when it cannot go there."""
        here = self._roster.worker_of("leg", leg)
        there = self.place(room, near=leg)
        if here != there:
            if not self._steering.possible:
                raise MediaError(
                    f"leg {leg} is on media worker {here}, room {room} on {there}, and this system cannot share RTP "
                    "ports among workers: set workers to 1"
                )
            if not self._open(there):
                raise Overloaded(f"media worker {there}, which has room {room}, is at its limit: try again later")
        self._roster.put("leg", leg, room)
        return there

    def _seat(self, command: OpenLeg | UpdateLeg) -> None:
        """The port's books: who is on it, from where, and on which worker."""
        leg, book = command.leg, self._handles[self._homes[command.leg]].book
        if isinstance(command, OpenLeg):
            if command.port != (port := book.port_of(leg)):
                raise MediaError(f"leg {leg}: port {command.port} is not the one reserved for it, {port}")
            opening = command
        elif leg in self._intended.legs:
            opening = msgspec.structs.replace(self._intended.legs[leg], **msgspec.structs.asdict(command))
        else:
            return  # the worker will say that it does not have it
        latchable = bool(command.latch_hosts)
        book.update(leg, remote=command.remote, latchable=latchable, now_ns=self._clock.now().monotonic_ns)
        self._steering.put(opening, self._roster.worker_of("leg", leg))

    def _named(self, command: OpenLeg) -> OpenLeg:
        """With a number from which any worker can go on with the stream that another began."""
        if command.sender or not self._secret:
            return command
        digest = hashlib.blake2b(command.leg.encode(), key=self._secret, digest_size=8).digest()
        return msgspec.structs.replace(command, sender=int.from_bytes(digest) >> 1 | 1)

    def _intend(self, command: Command, handle: WorkerEndpoint, answer: asyncio.Future[Stats | None]) -> None:
        """Remember what is asked for a leg; should the worker refuse, what it has is what counts."""
        self._carrier.sent(command, answer)
        if not isinstance(command, OpenLeg | UpdateLeg | MoveLeg | SetHearing | SetGainControl):
            return
        known = isinstance(command, OpenLeg | SetHearing) or command.leg in self._intended.legs
        if not known:
            return
        self._intended.accepted(command)
        if isinstance(command, UpdateLeg):
            answer.add_done_callback(lambda done: self._unmake(command.leg, handle) if done.exception() else None)

    def _unmake(self, leg: str, handle: WorkerEndpoint) -> None:
        if leg in handle.mirror.legs and leg in self._intended.legs:
            self._intended.legs[leg] = handle.mirror.legs[leg]

    def _cross(self, command: MoveLeg, old: WorkerEndpoint, new: WorkerEndpoint) -> asyncio.Future[Stats | None]:
        """Close a leg on one worker and open it, as it is, on another; its peer sees the same port and one stream."""
        leg = command.leg
        if leg not in self._intended.legs:
            raise MediaError(f"leg {leg} is not open")
        self._intended.accepted(command)
        self._steering.put(self._intended.legs[leg], new.index, self._intended.latched.get(leg))
        self._carrier.leave(leg, old)
        old.submit(CloseLeg(leg, elsewhere=True))
        self.counters.crossings += 1
        return new.submit(self._intended.leg_now(leg))

    def _put_tap(self, tap: str, room: str) -> WorkerEndpoint:
        """A tap is in this room now, which may be on another worker."""
        self._roster.drop("tap", tap)
        handle = self._handles[self.place(room)]
        self._roster.put("tap", tap, room)
        return handle

    def _tap_failed(self, tap: str, reason: str) -> None:
        self._event(TapFailed(tap=tap, reason=reason, samples=0, at_ns=self._clock.now().monotonic_ns))

    def _check_family(self, remote: Address | None) -> None:
        ours = self._handles[0].sockets[0].getsockname()[0]
        if remote is not None and parse_host(remote[0]).version != parse_host(ours).version:
            raise MediaError(f"{remote[0]} cannot be reached from media address {ours}: the IP versions differ")

    # -- what workers tell

    async def _answer(
        self, handle: WorkerEndpoint, answer: asyncio.Future[Stats | None], timeout: float
    ) -> Stats | None:
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(answer)
        except TimeoutError:
            raise MediaError(f"media worker {handle.index} has not answered for {timeout:g} s") from None

    def _accepted(self, command: Command) -> None:
        match command:
            case CloseLeg() if not command.elsewhere:
                self.release(command.leg)
            case StopTap() if not command.elsewhere:
                self._roster.drop("tap", command.tap)

    def _event(self, event: Event) -> None:
        if self._carrier.observed(event):
            return
        name = type(event).__name__
        self.counters.events[name] = self.counters.events.get(name, 0) + 1
        match event:
            case LegLatched():
                self._latched(event)
            case PlayEnded():
                self._roster.drop("player", event.player)
        self._call(lambda: self._on_event(event))

    def _latched(self, event: LegLatched) -> None:
        home, opening = self._homes.get(event.leg), self._intended.legs.get(event.leg)
        if home is None or opening is None:
            return  # the leg was closed in the meantime
        self._handles[home].book.latched(event.leg, event.remote)
        self._intended.observed(event)
        self._steering.put(opening, self._roster.worker_of("leg", event.leg), event.remote)

    def _lost(self, worker: int, rooms: frozenset[str]) -> None:
        told = self._on_worker_lost
        if told is not None:
            self._call(lambda: told(worker, rooms))

    def _call(self, function: Callable[[], None]) -> None:
        """A receiver's exception must not cost the others their events."""
        try:
            function()
        except Exception:
            self.counters.failed_callbacks += 1
            log.exception("a receiver of media events raised")

    def _refuse_when_stopped(self) -> None:
        if not self._handles:
            raise MediaError("media is not running")


async def _done() -> None:
    """A player that ended by itself a moment ago needs no stopping: nobody can know in time."""
