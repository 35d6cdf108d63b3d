"""The server of :mod:`mixminus.server` with its world replaced: clock, network, media processes, disk threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mixminus.errors import OutboundError, StorageError
from mixminus.ids import Mint
from mixminus.outbound.client import OutboundClient
from mixminus.outbound.request import OutboundRequest, OutboundResponse
from mixminus.recording.client import Finisher, _Member
from mixminus.recording.finish import NoAudio
from mixminus.recording.finisher import Desk
from mixminus.recording.protocol import (
    Discard,
    Discarded,
    Failed,
    Finish,
    Finished,
    Follow,
    FromFinisher,
    ToFinisher,
)
from mixminus.server import Server
from mixminus.settings import Settings
from mixminus.store.db import Store
from mixminus.testing.virtual.bank import Bank
from mixminus.testing.virtual.loop import VirtualLoop
from mixminus.testing.virtual.media import HOST, VirtualMedia, VirtualWorker
from mixminus.testing.virtual.store import MemoryStore

PUBLIC, APP = "http://mixminus", "http://app"
"""Stand in logs for the server's own address and the application's, whose ports are others at each run."""


@dataclass(frozen=True)
class Exchange:
    """One request to the application, and what it answered: status 0 and a sentence if nothing came."""

    at: datetime
    method: str
    url: str
    body: str
    status: int
    answer: str
    event_id: str

    @property
    def fields(self) -> dict[str, str]:
        """Query and form parameters."""
        query = urlsplit(self.url).query
        return dict(parse_qsl(query, keep_blank_values=True)) | dict(parse_qsl(self.body, keep_blank_values=True))

    @property
    def event(self) -> str:
        """``EventName``, or ``Event``, or the call's status: what it is about."""
        fields = self.fields
        return next((fields[key] for key in ("EventName", "Event", "CallStatus") if fields.get(key)), "")


@dataclass(frozen=True)
class Asked:
    """One request to the API."""

    at: datetime
    method: str
    path: str
    body: str
    status: int


class VirtualServer(Server):
    """One server on a :class:`VirtualLoop`. ``seed`` decides every id, token, nonce and SSRC."""

    def __init__(self, settings: Settings, loop: VirtualLoop, *, seed: int) -> None:
        super().__init__(settings)
        self.clock, self.mint = loop.clock, Mint(seed)
        self.bank = Bank()
        self.exchanges: list[Exchange] = []
        """Every request to the application, in order."""
        self.requests: list[Asked] = []
        """Every request to the API, in the order of their answers."""
        self.controls: ASGIApp | None = None
        """What answers under ``/testing/``, if anything does."""
        self._virtual, self._seed = loop, seed

    async def _open_store(self) -> Store:
        self.memory = MemoryStore()
        return self.memory

    def _make_media(self, host: str) -> VirtualMedia:
        return VirtualMedia(self._virtual, self.bank, seed=self._seed, on_event=self._media_event)

    def _make_finisher(self) -> Finisher:
        return InlineFinisher()

    def _make_outbound(self) -> OutboundClient:
        return GatedClient(self._virtual, self.exchanges, allow_private=self.settings.dev)

    def _make_http(self, config: uvicorn.Config) -> uvicorn.Server:
        config.app = StoppedClock(config.app, self._virtual, self.requests, self.controls)  # type: ignore[arg-type]
        config.timeout_keep_alive = 10**6
        return _QuietHttpServer(config)

    def make_recordings_fail(self, reason: str) -> None:
        assert isinstance(self.finisher, InlineFinisher)
        self.finisher.member.trouble = reason

    def make_unreachable(self, url_begin: str, reason: str) -> None:
        assert isinstance(self.outbound, GatedClient)
        self.outbound.down[url_begin] = reason

    @property
    def worker(self) -> VirtualWorker:
        media = self.media
        assert isinstance(media, VirtualMedia)
        return media.worker


def settings_for(data: Any, **given: Any) -> Settings:
    """Settings of a virtual server: a free HTTP port, SIP in memory, private callbacks allowed."""
    defaults = {"http": f"{HOST}:0", "sip": f"{HOST}:5060", "dev": True, "rate_limit": 0, "data": data}
    return Settings(**{**defaults, **given})


class _QuietHttpServer(uvicorn.Server):
    """uvicorn without signals and without its tick ten times a second, which would be ten times a virtual second."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self._told.wait()

    @property
    def should_exit(self) -> bool:
        return self._told.is_set()

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._told: asyncio.Event = getattr(self, "_told", None) or asyncio.Event()
        if value:
            self._told.set()

    async def shutdown(self, sockets: Any = None) -> None:
        """At once: whoever is still connected has its answers."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()


class StoppedClock:
    """The clock stands still while a request is worked on, and the answer goes out when nothing more happens at this
    instant: what the caller does next meets a world at rest.
    """

    def __init__(self, app: ASGIApp, loop: VirtualLoop, requests: list[Asked], controls: ASGIApp | None = None) -> None:
        self._app, self._loop, self._requests, self._controls = app, loop, requests, controls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._controls is not None and scope["path"].startswith("/testing/"):
            await self._controls(scope, receive, send)
            return
        nested = self._loop.asked
        waiting: list[Message] = []
        body = bytearray()

        async def listen() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def hold(message: Message) -> None:
            waiting.append(message)

        with self._loop.inside():
            await self._app(scope, listen, hold)
        status = next((message["status"] for message in waiting if message["type"] == "http.response.start"), 0)
        text = body.decode("utf-8", "replace")
        self._requests.append(Asked(self._loop.clock.wall, scope["method"], scope["path"], text, status))
        await self._loop.at_rest(but_asked=nested)
        with self._loop.inside():
            for message in waiting:
                await send(message)


class GatedClient(OutboundClient):
    """One request to the application at a time, in order; the clock stands still until it is answered."""

    def __init__(self, loop: VirtualLoop, exchanges: list[Exchange], *, allow_private: bool) -> None:
        super().__init__(allow_private=allow_private)
        self._loop, self._exchanges = loop, exchanges
        self._turn = asyncio.Lock()
        self.down: dict[str, str] = {}
        """Begins of URLs that cannot be reached, and why."""

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        with self._loop.outside():
            if self._loop.working:  # the application waits for the answer of a request that waits for this one
                return await self._fetch(request)
            async with self._turn:
                return await self._fetch(request)

    async def _fetch(self, request: OutboundRequest) -> OutboundResponse:
        status, answer = 0, ""
        at = self._loop.clock.wall
        try:
            reason = next((why for begin, why in self.down.items() if why and request.url.startswith(begin)), "")
            if reason:
                raise OutboundError("connect", f"{request.url}: {reason}")
            response = await super().fetch(request)
            status, answer = response.status, response.body.decode("utf-8", "replace")
            return response
        except OutboundError as error:
            answer = str(error)
            raise
        finally:
            body = (request.body or b"").decode("utf-8", "replace")
            event_id = request.headers.get("X-Mixminus-Event-Id", "")
            self._exchanges.append(Exchange(at, request.method, request.url, body, status, answer, event_id))


class InlineFinisher(Finisher):
    """The finisher's desk in this process: a file is made when it is asked for."""

    def __init__(self) -> None:
        super().__init__(processes=0)
        self.member = InlineMember()
        self._members = [self.member]


class InlineMember(_Member):
    def __init__(self) -> None:
        super().__init__((), (0.0,))
        self._answers: deque[FromFinisher] = deque()
        self._desk = Desk(self._answers.append)
        self.trouble = ""
        """Why no file can be made; empty if it can."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def send(self, command: ToFinisher) -> None:
        self._desk.receive(command)

    async def ask(self, command: Finish | Discard) -> Finished | Discarded:
        if self.trouble and isinstance(command, Finish):
            raise StorageError(self.trouble)
        self._desk.receive(command)
        while not self._answers:
            self._desk.turn()
        answer = self._answers.popleft()
        if isinstance(answer, Failed):
            follow: Follow | None = self._follows.get(command.recording_id)
            if isinstance(command, Finish) and follow is not None:
                self._desk.receive(follow)
            raise NoAudio(answer.reason) if answer.empty else StorageError(answer.reason)
        return answer


def without_bases(exchange: Exchange, bases: dict[str, str]) -> Exchange:
    """With addresses of this run replaced: ``bases`` says by what."""

    def told(text: str) -> str:
        for base, name in bases.items():
            text = text.replace(base, name).replace(quote_plus(base), quote_plus(name))
        return text

    return replace(exchange, url=told(exchange.url), body=told(exchange.body), answer=told(exchange.answer))
