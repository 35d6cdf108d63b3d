"""An asyncio event loop whose time is virtual, and whose UDP network is memory.

Everything that waits on this loop (timers, ``asyncio.timeout``, ``sleep``) waits for the virtual clock. The clock
moves only when nothing is ready to run, nothing of the real world is under way (a request to the API, a callback to the
application) and somebody has asked for it with :meth:`VirtualLoop.run_to`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import selectors
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from mixminus.clock import ManualClock
from mixminus.testing.virtual.network import Network
from mixminus.testing.virtual.programs import Program

HUNG_SECONDS = 20.0
"""Real time after which an application that does not answer is taken for hung: the clock goes on, so it times out."""

FLOW_NS = 100_000_000
FLOW_SECONDS = 0.001
"""While time flows it goes on by so much for so many real seconds, so that the application has its chance to ask."""

Condition = Callable[[], bool]


class VirtualLoop(asyncio.SelectorEventLoop):
    """``clock`` is moved by this loop only. ``move`` lets what ticks by itself (media) run up to a time and says how
    far it came: it stops early when something has happened.
    """

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self._began = clock.now()
        self.network = Network(self)
        self.move: Callable[[int], int] = lambda to_ns: to_ns
        self._inside = 0
        self._outside = 0
        self._resting: list[tuple[bool, asyncio.Future[None]]] = []
        self._target: tuple[int, Condition, asyncio.Future[bool]] | None = None
        self._flowing = False
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.clock.monotonic_ns / 1e9

    # -- the real world

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Something of the real world is being worked on by us: the clock stands still."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    @contextlib.contextmanager
    def outside(self) -> Iterator[None]:
        """The application has been asked something: the clock stands still."""
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1

    @property
    def asked(self) -> bool:
        """Whether the application has been asked something and has not answered."""
        return self._outside > 0

    @property
    def working(self) -> bool:
        return self._inside > 0

    async def at_rest(self, *, but_asked: bool = False) -> None:
        """Wait, without the clock moving, until nothing more happens at this instant.

        ``but_asked``: what the application has been asked may still be unanswered; for its own requests, on which the
        answer may depend.
        """
        future = self.create_future()
        self._resting.append((but_asked, future))
        await future

    # -- time

    async def run_to(self, to_ns: int, condition: Condition = lambda: False) -> bool:
        """Let the time go on to ``to_ns``, or until ``condition`` holds, looked at whenever something has happened.

        Returns whether it held; returns at rest.
        """
        await self.at_rest()
        if condition():
            return True
        assert self._target is None, "time can be moved from one place at a time only"
        future: asyncio.Future[bool] = self.create_future()
        self._target = (to_ns, condition, future)
        try:
            return await future
        finally:
            self._target = None

    def flow(self, on: bool) -> None:
        """Let the time go on by itself whenever nothing is under way."""
        self._flowing = on
        self.call_soon_threadsafe(lambda: None)

    def idle(self, real: selectors.BaseSelector, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing is ready to run; ``timeout`` seconds until the next timer, ``None``: there is none."""
        if self._inside or self._outside:
            if not self._inside and self._wake_resting(but_asked=True):
                return []
            events = real.select(HUNG_SECONDS)
            if not events and timeout is not None:
                self._go(self.clock.monotonic_ns + math.ceil(timeout * 1e9))
            return events
        if self._wake_resting(but_asked=False):
            return []
        until = self._until()
        if until is None:
            return real.select(None)
        if until <= self.clock.monotonic_ns:
            return []
        if self._target is None and (events := real.select(FLOW_SECONDS)):
            return events
        if timeout is not None:
            until = min(until, self.clock.monotonic_ns + max(1, math.ceil(timeout * 1e9)))
        self._go(until)
        return []

    def _until(self) -> int | None:
        """How far the clock may go now; ``None``: nowhere."""
        if self._target is None:
            return self.clock.monotonic_ns + FLOW_NS if self._flowing else None
        to_ns, condition, future = self._target
        held = condition()
        if held or self.clock.monotonic_ns >= to_ns:
            if not future.done():
                future.set_result(held)
            return self.clock.monotonic_ns
        return to_ns

    def _go(self, to_ns: int) -> None:
        reached = self.move(to_ns)
        self.set_clock(reached)

    def set_clock(self, to_ns: int) -> None:
        """For what ticks by itself, in :attr:`move`. The clock never goes back."""
        if to_ns > self.clock.monotonic_ns:
            self.clock.monotonic_ns = to_ns
            self.clock.wall = self._began.wall + timedelta(microseconds=(to_ns - self._began.monotonic_ns) // 1000)

    def _wake_resting(self, *, but_asked: bool) -> bool:
        """Let go on who waits for rest; True if somebody did."""
        ready = [(asked, future) for asked, future in self._resting if asked or not but_asked]
        if not ready:
            return False
        self._resting = [entry for entry in self._resting if entry not in ready]
        for _, future in ready:
            if not future.done():
                future.set_result(None)
        return True

    # -- what would need a thread or a network

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """At once, on this thread: the order of things must not depend on threads."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001 - it is the awaiter's, as with any executor
            future.set_exception(error)
        return future

    async def subprocess_exec(self, protocol_factory: Any, *words: Any, **how: Any) -> Any:
        """At once, too, however long it takes."""
        protocol = protocol_factory()
        return Program(self, protocol, words, **how), protocol

    async def subprocess_shell(self, protocol_factory: Any, cmd: Any, **how: Any) -> Any:
        return await self.subprocess_exec(protocol_factory, cmd, shell=True, **how)

    async def create_datagram_endpoint(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: tuple[str, int] | None = None,
        **options: Any,
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        assert local_addr is not None, "virtual sockets have an address"
        return self.network.bind(protocol_factory(), local_addr)

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """Real, unless the address is one of the virtual network: SIP over TCP, which nobody here uses."""
        if self.network.has((host, port)):
            return NoServer((host, port))
        return await super().create_server(protocol_factory, host, port, **options)


class NoServer:
    """Where nobody connects."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sockets = (_Named(address),)

    def close(self) -> None: ...

    async def wait_closed(self) -> None: ...


class _Named:
    """What is asked of a listening socket."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    def getsockname(self) -> tuple[str, int]:
        return self._address


class _Selector(selectors.BaseSelector):
    """The real selector, asked without waiting; waiting is the loop's to decide."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._real.select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        return self._loop.idle(self._real, timeout)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()
