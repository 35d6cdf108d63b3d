"""The world for tests that are async: what lets the world go on is awaited, and the test's own loop stays free for the
application that runs in it.

Every wait is on a thread of its own, so asyncio (pytest-asyncio, anyio) and Trio (anyio) are all the same.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import anyio
import anyio.to_thread
import uvicorn

from mixminus.sdp.answer import Codec
from mixminus.testing.sources import Samples
from mixminus.testing.virtual.apps import App, is_asgi, listening, quiet_server
from mixminus.testing.virtual.phones import Phone

if TYPE_CHECKING:
    from mixminus.testing.virtual.world import World

P = ParamSpec("P")
T = TypeVar("T")
_TURN_SECONDS = 0.005


async def run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call something that waits for the world (the SDK, for one) while this loop goes on; returns its result."""
    # Not cancelled half-way: what was told to the world has been told.
    return await anyio.to_thread.run_sync(functools.partial(function, *args, **kwargs))


class AsyncWorld:
    """:attr:`World.aio`: the same world; what only looks back (``callbacks``, ``recording()``) is the world's."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0) -> None:
        """As :meth:`World.advance`."""
        await run(self.world.advance, seconds, minutes=minutes, hours=hours)

    async def until(
        self,
        what: str | Callable[[], object],
        *,
        count: int = 1,
        seconds: float = 60,
        minutes: float = 0,
        hours: float = 0,
    ) -> None:
        """As :meth:`World.until`. A condition is looked at in the world's thread."""
        await run(self.world.until, what, count=count, seconds=seconds, minutes=minutes, hours=hours)

    async def phone(self, name: str, **options: Any) -> AsyncPhone:
        """As :meth:`World.phone`."""
        return AsyncPhone(await run(self.world.phone, name, **options))

    async def recordings_fail(self, reason: str = "") -> None:
        await run(self.world.recordings_fail, reason)

    async def unreachable(self, url_begin: str, reason: str = "connection refused") -> None:
        await run(self.world.unreachable, url_begin, reason)

    async def slow(self, url_begin: str, seconds: float) -> None:
        await run(self.world.slow, url_begin, seconds)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call something that waits for the world, while this loop goes on; returns its result."""
        return await run(function, *args, **kwargs)

    @property
    def client(self) -> Any:
        """The official SDK's client whose calls are awaited: ``await client.multi_party_calls.get(…)``."""
        return _Awaited(self.world.client)

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """As :meth:`World.flowing`."""
        await run(self.world.flow, True)
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await run(self.world.flow, False)

    @contextlib.asynccontextmanager
    async def serving(self, app: App) -> AsyncIterator[str]:
        """Serve an ASGI application in this very loop, next to the test; gives its base URL. WSGI gets a thread.

        The loop must be asyncio's; under Trio use :meth:`World.mount`, which has a thread.
        """
        if not is_asgi(app):
            yield await run(self.world.mount, app)
            return
        with listening() as (listener, url):
            server = quiet_server(uvicorn.Config(app, log_config=None, access_log=False))
            self.world.bases.append(url)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(functools.partial(server.serve, sockets=[listener]))
                while not server.started:  # noqa: ASYNC110 - it sets no event
                    await anyio.sleep(_TURN_SECONDS)
                try:
                    yield url
                finally:
                    server.should_exit = True


class AsyncPhone:
    """A :class:`Phone` whose deeds are awaited; everything else of it (``state``, ``heard``, ``keys``) is as it was."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone

    def __getattr__(self, name: str) -> Any:
        return getattr(self.phone, name)

    async def answers(self, after: float = 0.0) -> None:
        await run(self.phone.answers, after)

    async def rejects(self, status: int = 603, *, after: float = 0.0) -> None:
        await run(self.phone.rejects, status, after=after)

    async def is_busy(self) -> None:
        await run(self.phone.is_busy)

    async def rings_out(self) -> None:
        await run(self.phone.rings_out)

    async def calls(self, target: str) -> None:
        await run(self.phone.calls, target)

    async def registers(self, username: str, password: str) -> None:
        await run(self.phone.registers, username, password)

    async def holds(self) -> None:
        await run(self.phone.holds)

    async def resumes(self) -> None:
        await run(self.phone.resumes)

    async def offers(self, codecs: Sequence[Codec]) -> None:
        await run(self.phone.offers, codecs)

    async def hangs_up(self) -> None:
        await run(self.phone.hangs_up)

    async def loses(self, share: float) -> None:
        await run(self.phone.loses, share)

    async def says(self, sound: Samples | str, *, seconds: float | None = None, loop: bool = False) -> None:
        await run(self.phone.says, sound, seconds=seconds, loop=loop)

    async def speaks(self, text: str, *, voice: str = "", language: str = "") -> None:
        await run(self.phone.speaks, text, voice=voice, language=language)

    async def hushes(self) -> None:
        await run(self.phone.hushes)

    async def presses(self, keys: str) -> None:
        await run(self.phone.presses, keys)


class _Awaited:
    """Something whose methods wait: the same with methods to be awaited, all the way down."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return _Awaited(getattr(self._target, name))

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await run(self._target, *args, **kwargs)
