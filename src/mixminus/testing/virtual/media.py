"""Media in virtual time: the real engine and spool in this process, driven tick by tick, or many ticks in one pass."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

from mixminus.errors import MediaError
from mixminus.media.batch import PacketBatch
from mixminus.media.engine import Engine
from mixminus.media.fleet.client import MediaClient
from mixminus.media.fleet.endpoint import WorkerEndpoint
from mixminus.media.fleet.ports import PortBook
from mixminus.media.protocol import Command, Event, GetStats, OpenLeg, StartTap, Stats
from mixminus.media.sound.storage import load_wav, load_wide
from mixminus.media.state import TICK_NS
from mixminus.media.taping.spool import SpoolWriter
from mixminus.media.taping.spooled import Tap
from mixminus.recording.spool import Spool
from mixminus.testing.virtual.bank import Bank
from mixminus.testing.virtual.loop import VirtualLoop

HOST = "127.0.0.1"
FIRST_PORT = 20000
PORTS = 64
PACKETS_OF_ONE = 3
"""The most that a phone sends in one tick: the end of a key, three times."""

KEEP_UP_NS = 60_000_000_000
"""Files of recordings are made as far as that: what is left takes no client's patience."""


class VirtualMedia(MediaClient):
    """The media client with one worker, which is an object here and not a process."""

    def __init__(
        self,
        loop: VirtualLoop,
        bank: Bank,
        *,
        seed: int,
        on_event: Callable[[Event], None],
        keep_up: Callable[[], None],
    ) -> None:
        last = FIRST_PORT + 2 * PORTS
        super().__init__(host=HOST, ports=(FIRST_PORT, last), on_event=on_event, clock=loop.clock)
        self._worker = VirtualWorker(
            loop, bank, seed=seed, on_event=self._event, on_accepted=self._accepted, keep_up=keep_up
        )

    @property
    def worker(self) -> VirtualWorker:
        return self._worker

    async def start(self) -> None:
        self._handles = [cast(WorkerEndpoint, self._worker)]

    async def stop(self) -> None:
        self._handles = []
        self._worker.finish()


class _Bound:
    """A port of the pool; nothing is bound."""

    def __init__(self, port: int) -> None:
        self._name = (HOST, port)

    def getsockname(self) -> tuple[str, int]:
        return self._name


class VirtualWorker:
    """What :class:`~mixminus.media.fleet.endpoint.WorkerEndpoint` is to the client, with the engine inside.

    ``keep_up`` is called once in a while, for whoever follows the spools.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        bank: Bank,
        *,
        seed: int,
        on_event: Callable[[Event], None],
        on_accepted: Callable[[Command], None],
        keep_up: Callable[[], None],
    ) -> None:
        self.index = 0
        ports = [FIRST_PORT + 2 * number for number in range(PORTS)]
        self.sockets = cast("list[socket.socket]", [_Bound(port) for port in ports])
        self.book = PortBook(ports)
        self.stats: Stats | None = None
        self.restarts = 0
        self.process: Any = None
        self.commands: list[tuple[int, Command]] = []
        """Every command but GetStats, with its time: for timelines."""
        self._loop, self._bank = loop, bank
        self._on_event, self._on_accepted, self._keep_up = on_event, on_accepted, keep_up
        self._engine = Engine(
            ports, capacity=64, seed=seed, open_tap=self._open_tap, load_prompt=load_wav, load_wide=load_wide
        )
        self._spools = SpoolWriter(Spool.open)
        self._packets = PacketBatch(256)
        self.began_ns = loop.clock.monotonic_ns
        self._due_ns = self.began_ns + TICK_NS
        self._kept_up_ns = self.began_ns
        self._taps: set[str] = set()
        self._busy = 0
        bank.ports = {port: index for index, port in enumerate(ports)}
        loop.move = self.run_to

    # -- as a worker endpoint

    def submit(self, command: Command, *, internal: bool = False) -> asyncio.Future[Stats | None]:
        """Carried out before this returns; its effect begins with the next tick."""
        answer: asyncio.Future[Stats | None] = self._loop.create_future()
        try:
            stats = self._engine.apply(command, self._loop.clock.monotonic_ns)
        except MediaError as error:
            answer.set_exception(error)
            answer.exception()  # seen: whoever sent the command may not care
            return answer
        if not isinstance(command, GetStats):
            self.commands.append((self._loop.clock.monotonic_ns, command))
            self._bank.obeyed(command)
        self._on_accepted(command)
        answer.set_result(stats)
        if not isinstance(command, OpenLeg):
            self._loop.call_soon(self._tell)
        return answer

    def finish(self) -> None:
        """Close what is open; the spools stay."""
        self._spools.stop()
        self._spools.pump()

    # -- time

    def run_to(self, to_ns: int) -> int:
        """Tick up to ``to_ns``; returns how far it came, which is less when something has happened."""
        clock = self._loop.clock
        if self._idle():
            passed = max(0, (to_ns - self._due_ns) // TICK_NS + 1)
            self._due_ns += passed * TICK_NS
            return to_ns
        while self._due_ns <= to_ns:
            ticks = self._bank.stretch(self._engine, self._due_ns, (to_ns - self._due_ns) // TICK_NS + 1)
            if not ticks:
                self._loop.set_clock(self._due_ns)
                self._tick()
                ticks = 1
            self._due_ns += ticks * TICK_NS
            self._loop.set_clock(self._due_ns - TICK_NS)
            told = self._tell()
            if self._due_ns - self._kept_up_ns >= KEEP_UP_NS:
                self._kept_up_ns = self._due_ns
                self._keep_up()
            if told or self._bank.happened():
                return clock.monotonic_ns
        return to_ns

    def _idle(self) -> bool:
        """Nothing is open that could sound, send or record."""
        stats = self._engine.apply(GetStats(), 0)
        assert stats is not None
        return stats.legs + stats.taps + stats.rooms == 0 and not self._bank.sending

    def _tick(self) -> None:
        if self._packets.length.size < PACKETS_OF_ONE * len(self._bank.sending):
            self._packets = PacketBatch(2 * PACKETS_OF_ONE * len(self._bank.sending))
        self._bank.send(self._packets)
        sent = self._engine.tick(self._due_ns, self._packets)
        self._bank.receive(sent, self._due_ns)

    def _tell(self) -> bool:
        """Hand on what has happened; whether anything had."""
        self._spools.pump()
        self._engine.forget_reports()  # phones in virtual time do not read RTCP
        events: list[Event] = [*self._engine.events(), *self._spools.events()]
        for event in events:
            self._on_event(event)
        return bool(events)

    def _open_tap(self, command: StartTap, now_ns: int) -> Tap:
        return self._spools.open_tap(command, now_ns)
