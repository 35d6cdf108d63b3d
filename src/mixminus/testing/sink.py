"""A web server that plays the customer's application: takes callbacks, judges their signatures, answers XML.

::

    async with CallbackSink(auth_token) as sink:
        client.multi_party_calls.start_recording(..., recording_callback_url=sink.url("/recording"))
        done = await sink.wait_for("MPCRecordingCompleted", timeout=5)
        assert done.signature.valid
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from aiohttp import web

from mixminus.testing.signature import Verdict, judge

_LONGEST = 1 << 20
"""Bytes of a request body taken."""


@dataclass(frozen=True)
class Received:
    """One request as it came. Query and form parameters are merged in ``parameters``."""

    at: datetime
    method: str
    url: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    signature: Verdict
    answered: int
    """HTTP status we answered."""

    @property
    def event(self) -> str:
        """``EventName``, or ``Event``, or the call's status: what the callback is about."""
        for key in ("EventName", "Event", "CallStatus"):
            if self.parameters.get(key):
                return self.parameters[key]
        return ""

    @property
    def sequence(self) -> int | None:
        text = self.parameters.get("SequenceNumber", "")
        return int(text) if text.isdigit() else None


@dataclass
class _Path:
    """What a path answers; unless told otherwise an empty 200."""

    body: str | bytes | Callable[[Mapping[str, str]], str] = ""
    failures: list[int] = field(default_factory=list)
    delay: float = 0.0


class CallbackSink:
    """Records every request in order. ``auth_token`` is what signatures are checked with; empty checks nothing."""

    def __init__(self, auth_token: str = "", *, on_received: Callable[[Received], None] | None = None) -> None:
        self.auth_token = auth_token
        self.received: list[Received] = []
        self._on_received = on_received
        self._paths: dict[str, _Path] = {}
        self._runner: web.AppRunner | None = None
        self._base = ""
        self._changed = asyncio.Condition()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; port 0 takes a free one. Returns the base URL."""
        application = web.Application(client_max_size=_LONGEST)
        application.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self._base = f"http://{host}:{self._runner.addresses[0][1]}"
        return self._base

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def url(self, path: str = "/") -> str:
        """Where ``path`` is reached, for ``..._url`` parameters."""
        return self._base + path

    def answer(self, path: str, xml: str | bytes | Callable[[Mapping[str, str]], str]) -> None:
        """Answer requests to ``path`` with a document (``application/xml``), or with one made of their parameters.

        Bytes are an audio file (``audio/wav``).
        """
        self._path(path).body = xml

    def fail(self, path: str, *, status: int = 503, times: int = 1) -> None:
        """Answer the next ``times`` requests to ``path`` with ``status``. They are recorded all the same."""
        self._path(path).failures.extend([status] * times)

    def slow(self, path: str, seconds: float) -> None:
        """Answer requests to ``path`` only after ``seconds``; 0 ends that."""
        self._path(path).delay = seconds

    def events(self, path: str | None = None) -> list[str]:
        """What came, by name, in order; of one path or of all. Requests we failed are left out."""
        return [one.event for one in self.received if one.answered < 300 and path in (None, one.path)]

    async def wait_for(
        self, what: str | Callable[[Received], bool], *, timeout: float = 10.0, count: int = 1
    ) -> Received:
        """The ``count``-th request that matches, past ones included: an event's name or a condition.

        Raises :class:`TimeoutError` listing what came instead.
        """
        matches = what if callable(what) else lambda one: one.event == what

        def found() -> list[Received]:
            return [one for one in self.received if matches(one)]

        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: len(found()) >= count)
        except TimeoutError:
            came = ", ".join(one.event or one.path for one in self.received) or "nothing"
            raise TimeoutError(f"no {what} within {timeout:g} s; came: {came}") from None
        return found()[count - 1]

    def _path(self, path: str) -> _Path:
        return self._paths.setdefault(path, _Path())

    async def _take(self, request: web.Request) -> web.Response:
        at = datetime.now(UTC)
        form = {key: str(value) for key, value in (await request.post()).items()}
        behaviour = self._paths.get(request.path, _Path())
        status = behaviour.failures.pop(0) if behaviour.failures else 200
        url = self._base + request.raw_path
        received = Received(
            at=at,
            method=request.method,
            url=url,
            path=request.path,
            parameters={**request.query, **form},
            headers=dict(request.headers),
            signature=judge(request.method, url, form, request.headers, self.auth_token),
            answered=status,
        )
        if behaviour.delay:
            await asyncio.sleep(behaviour.delay)
        self.received.append(received)
        if self._on_received is not None:
            self._on_received(received)
        async with self._changed:
            self._changed.notify_all()
        if status >= 300:
            return web.Response(status=status)
        if isinstance(behaviour.body, bytes):
            return web.Response(body=behaviour.body, content_type="audio/wav")
        body = behaviour.body if isinstance(behaviour.body, str) else behaviour.body(received.parameters)
        return web.Response(text=body, content_type="application/xml" if body else "text/plain")
