"""A whole telephone world in virtual time, for tests: server, phones, the application, and the clock."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from starlette.types import ASGIApp

from mixminus.clock import ManualClock
from mixminus.media.protocol import StartTap
from mixminus.settings import Settings
from mixminus.testing.ear import Span
from mixminus.testing.server import ServerAddress, plivo_client
from mixminus.testing.sink import Received
from mixminus.testing.sources import from_file
from mixminus.testing.virtual.aio import AsyncWorld
from mixminus.testing.virtual.apps import App, BuiltInApp, serve_app
from mixminus.testing.virtual.exchanges import Exchange, without_bases
from mixminus.testing.virtual.frozen import Entry, Frozen
from mixminus.testing.virtual.loop import VirtualLoop
from mixminus.testing.virtual.phones import Phone
from mixminus.testing.virtual.recordings import Recording, spans_of
from mixminus.testing.virtual.server import APP, PUBLIC, Asked, VirtualServer, settings_for
from mixminus.testing.virtual.timeline import Timeline, timeline

T = TypeVar("T")
REAL_LIMIT = 900.0
"""Real seconds that one step of a test may take."""
BEGIN = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)


class NotReached(AssertionError):
    """What was waited for did not happen in the time given."""


class WorldBroken(RuntimeError):
    """The world itself has failed, for the reason given as cause: a defect of mixminus, not of the test."""

    def __init__(self) -> None:
        super().__init__("the world in virtual time has broken; see the error above")


class World:
    """Everything of one test. All methods may be called from any thread but the world's own.

    Time stands still except in :meth:`advance`, :meth:`until` and :meth:`flowing`. ``seed`` decides every id.
    """

    def __init__(
        self,
        data: Path,
        *,
        seed: int = 1,
        controls: Callable[[World], ASGIApp] | None = None,
        settings: Settings | None = None,
        frozen: Frozen | None = None,
        **given: Any,
    ) -> None:
        self.seed = seed
        self._make_controls, self._frozen = controls, frozen
        self.journal: list[Entry] = []
        """All that came from outside."""
        self.phones: list[Phone] = []
        self._data, self._given, self._settings = data, given, settings
        self._loop = VirtualLoop(ManualClock(wall=BEGIN))
        self._thread = threading.Thread(target=self._run, name="mixminus", daemon=True)
        self._broken: Future[None] = Future()
        self._closing: list[Callable[[], None]] = []
        self._client: Any = None
        self.bases: list[str] = []
        """Base URLs of the applications."""
        self.server: VirtualServer
        self.app: BuiltInApp
        """The application when none is mounted: takes every callback, answers what it is told to."""

    # -- life

    def start(self) -> World:
        self._thread.start()
        try:
            self.wait_for(self._start)
        except BaseException:
            self._end_thread()
            raise
        return self

    def stop(self) -> None:
        """Leave nothing running. Calls are not ended first: the world simply ends."""
        for close in reversed(self._closing):
            close()
        self._closing.clear()
        try:
            self.wait_for(self._stop)
        finally:
            self._end_thread()

    def __enter__(self) -> World:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        except BaseException as error:  # noqa: BLE001 - raised again for whoever waits for the world
            self._broken.set_exception(error)

    async def _start(self) -> None:
        self.app = BuiltInApp(self)
        self.bases.append(await self.app.start())
        given = {"default_answer_url": self.app.url("/answer"), **self._given}
        settings = self._settings or settings_for(self._data, **given)
        self.server = VirtualServer(settings, self._loop, seed=self.seed, journal=self.journal, frozen=self._frozen)
        if self._frozen is not None:
            self.bases = self._frozen.bases
        if self._make_controls is not None:
            self.server.controls = self._make_controls(self)
        await self.server.start()
        self.app.auth_token = self.server.account.token

    async def _stop(self) -> None:
        self.server.service.draining = True
        for phone in self.phones:
            phone.line.leave()
        stopping = [asyncio.ensure_future(self.server.stop()), asyncio.ensure_future(self.app.stop())]
        self._loop.flow(True)
        await asyncio.gather(*stopping)
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end_thread(self) -> None:
        if not self._broken.done():
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def do(self, function: Callable[[], T]) -> T:
        """Run ``function`` in the world's thread; returns its result once the world is at rest again."""

        async def call() -> T:
            return function()

        return self.wait_for(call)

    def wait_for(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run ``work`` in the world's loop; returns its result once the world is at rest again."""

        async def run() -> T:
            value = await work()
            await self._loop.at_rest()
            return value

        if self._broken.done():
            raise WorldBroken from self._broken.exception()
        future = asyncio.run_coroutine_threadsafe(run(), self._loop)
        either: list[Future[Any]] = [future, self._broken]
        done, _ = wait(either, REAL_LIMIT, FIRST_COMPLETED)
        if self._broken in done:
            raise WorldBroken from self._broken.exception()
        return future.result(0)

    # -- time

    @property
    def now(self) -> datetime:
        """Virtual wall time, UTC."""
        return self._loop.clock.wall

    @property
    def seconds(self) -> float:
        """Virtual seconds since the world began."""
        return (self._loop.clock.wall - BEGIN).total_seconds()

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0) -> None:
        """Let so much time pass."""
        span = round((seconds + 60 * minutes + 3600 * hours) * 1e9)
        self.wait_for(lambda: self._loop.run_to(self._loop.clock.monotonic_ns + span))

    def until(
        self,
        what: str | Callable[[], object],
        *,
        count: int = 1,
        seconds: float = 60,
        minutes: float = 0,
        hours: float = 0,
    ) -> None:
        """Let time pass until a callback of that name has been answered ``count`` times, or a condition holds.

        Looked at whenever something has happened. Raises :class:`NotReached` after the time given.
        """
        condition = self._condition(what, count)
        span = seconds + 60 * minutes + 3600 * hours
        limit = self._loop.clock.monotonic_ns + round(span * 1e9)
        if not self.wait_for(lambda: self._loop.run_to(limit, condition)):
            name = what if isinstance(what, str) else getattr(what, "__name__", "the condition")
            came = ", ".join(self.events) or "nothing"
            raise NotReached(f"{name} (x{count}) did not come within {span:g} s of virtual time; came: {came}")

    def advance_to(self, to_ns: int) -> None:
        """Let time pass until the virtual clock reads so much."""
        self.wait_for(lambda: self._loop.run_to(to_ns))

    @property
    def now_ns(self) -> int:
        """The virtual clock's reading."""
        return self._loop.clock.monotonic_ns

    def note(self, do: str, name: str, action: str, given: dict[str, Any]) -> None:
        """Add to the journal what comes from outside."""
        self.journal.append(Entry(self.now_ns, do, name, action, copy.deepcopy(given)))

    def _condition(self, what: str | Callable[[], object], count: int) -> Callable[[], bool]:
        if isinstance(what, str):
            return lambda: sum(1 for event in self.events if event == what) >= count
        return lambda: bool(what())

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Let time go on by itself whenever nothing is in flight; for applications that act on their own threads."""
        self.flow(True)
        try:
            yield
        finally:
            self.flow(False)

    def flow(self, on: bool) -> None:
        """Begin or end what :meth:`flowing` does for a block."""
        self._loop.flow(on)
        if not on:
            self.do(lambda: None)

    @property
    def origin_ns(self) -> int:
        """The virtual clock's reading at :attr:`seconds` 0."""
        return self.server.worker.began_ns

    def since_begin(self, at: datetime) -> float:
        """Virtual seconds at a wall time."""
        return (at - BEGIN).total_seconds()

    def span(self, since: float, until: float | None) -> tuple[int, int]:
        """Virtual seconds → readings of the virtual clock; ``None`` is now."""
        end = self._loop.clock.monotonic_ns if until is None else self.origin_ns + round(until * 1e9)
        return self.origin_ns + round(since * 1e9), end

    # -- who takes part

    def phone(self, name: str, **options: Any) -> Phone:
        """A new phone; it answers at once unless told otherwise. ``codecs``: what it speaks, the best first."""
        self.note("phone", name, "", options)
        phone = Phone(self, self._loop, name, seed=self.seed * 1000 + len(self.phones), **options)
        self.wait_for(phone.line.start)
        self.phones.append(phone)
        return phone

    def mount(self, app: App) -> str:
        """Serve an ASGI or WSGI application on a free port of this machine; returns its base URL."""
        url, close = serve_app(app)
        self.bases.append(url)
        self._closing.append(close)
        return url

    @property
    def address(self) -> ServerAddress:
        server = self.server
        return ServerAddress(server.http_address, server.sip_address, 0, server.account.id, server.account.token)

    @property
    def url(self) -> str:
        """Base URL of the REST API."""
        return self.server.public_url

    @property
    def client(self) -> Any:
        """The official Python SDK's client, pointed at this world."""
        if self._client is None:
            self._client = plivo_client(self.address)
        return self._client

    @property
    def aio(self) -> AsyncWorld:
        """The same for async tests: awaited, with the test's loop free for the application."""
        return AsyncWorld(self)

    # -- what goes wrong

    def recordings_fail(self, reason: str = "") -> None:
        """From now on no recording can be finished, for this reason; an empty one ends that."""
        self.note("fault", "", "recordings_fail", {"reason": reason})
        self.do(lambda: self.server.make_recordings_fail(reason))

    def unreachable(self, url_begin: str, reason: str = "connection refused") -> None:
        """From now on URLs that begin so cannot be reached; an empty reason ends that."""
        self.note("fault", "", "unreachable", {"url_begin": url_begin, "reason": reason})
        self.do(lambda: self.server.make_unreachable(url_begin, reason))

    def slow(self, url_begin: str, seconds: float) -> None:
        """From now on URLs that begin so answer only after so many virtual seconds; 0 ends that."""
        self.note("fault", "", "slow", {"url_begin": url_begin, "seconds": seconds})
        self.do(lambda: self.server.make_slow(url_begin, seconds))

    # -- what happened

    @property
    def callbacks(self) -> list[Exchange]:
        """Every request to the application, attempts that failed included, in order."""
        bases = {self.url: PUBLIC, **{base: APP if not n else f"{APP}-{n}" for n, base in enumerate(self.bases)}}
        return [without_bases(exchange, bases) for exchange in self.server.exchanges]

    def log(self) -> dict[str, Any]:
        """All that happened, as plain values: the same at every run of the same test, on every machine."""
        return {
            "seed": self.seed,
            "seconds": self.seconds,
            "callbacks": [{**asdict(one), "at": one.at.isoformat()} for one in self.callbacks],
            "recordings": [
                {"id": one.id, "samples": len(one.samples), "sha256": hashlib.sha256(one.path.read_bytes()).hexdigest()}
                for one in self.recordings
            ],
            "phones": {phone.name: hashlib.sha256(phone.samples().tobytes()).hexdigest() for phone in self.phones},
        }

    @property
    def events(self) -> list[str]:
        """Names of the callbacks the application took, in order."""
        return [exchange.event for exchange in self.server.exchanges if 200 <= exchange.status < 300 and exchange.event]

    @property
    def requests(self) -> list[Asked]:
        """Every request to the API."""
        return list(self.server.requests)

    @property
    def received(self) -> list[Received]:
        """What the built-in application took, with the verdict on each signature."""
        return self.app.received

    @property
    def recorded_spans(self) -> list[list[Span]]:
        """When each recording ran, virtual seconds; those that run on included."""
        worker, now = self.server.worker, self._loop.clock.monotonic_ns
        taps = dict.fromkeys(command.tap for _, command in worker.commands if isinstance(command, StartTap))
        found = [spans_of(worker.commands, tap, now, worker.began_ns) for tap in taps]
        return [[Span((a - self.origin_ns) / 1e9, (b - self.origin_ns) / 1e9) for a, b in spans] for spans in found]

    def timeline(self) -> Timeline:
        """Who spoke when, to whom it was audible, what was recorded and told: ``.text()`` or ``.svg()``."""
        return timeline(self)

    @property
    def recordings(self) -> list[Recording]:
        """Every finished recording, in the order of their beginnings."""
        taps = [c.tap for _, c in self.server.worker.commands if isinstance(c, StartTap)]
        found = [self._recording(tap) for tap in dict.fromkeys(taps)]
        return [recording for recording in found if recording is not None]

    def recording(self, index: int = -1) -> Recording:
        """The latest finished recording, or another by its place. Time does not move: wait for its callback first."""
        found = self.recordings
        if not found:
            raise NotReached("no recording is finished yet: wait for its callback first")
        return found[index]

    def _recording(self, tap: str) -> Recording | None:
        row = self.wait_for(lambda: self.server.memory.recording(tap))
        if row is None or not row.file:
            return None
        path = self.do(lambda: self.server.file_of(row.file))
        worker = self.server.worker
        spans = spans_of(worker.commands, tap, self._loop.clock.monotonic_ns, worker.began_ns)
        return Recording(tap, path, row, from_file(path), tuple(spans), self.origin_ns)
