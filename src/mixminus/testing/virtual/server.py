"""The server of :mod:`mixminus.server` with its world replaced: clock, network, media processes, disk threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mixminus.errors import StorageError
from mixminus.ids import Mint
from mixminus.outbound.client import OutboundClient
from mixminus.recording.archive import Archive
from mixminus.recording.client import Finisher, _Member
from mixminus.recording.encryption import KeyRing
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
from mixminus.recording.storage.objects import ObjectStorage
from mixminus.server import Server
from mixminus.settings import Settings
from mixminus.sounds.decode import write_wavs
from mixminus.store.db import Store
from mixminus.testing.virtual.bank import Bank
from mixminus.testing.virtual.exchanges import Exchange, GatedClient, ReplayClient
from mixminus.testing.virtual.frozen import Answer, Entry, Frozen
from mixminus.testing.virtual.loop import VirtualLoop
from mixminus.testing.virtual.media import HOST, VirtualMedia, VirtualWorker
from mixminus.testing.virtual.store import MemoryStore

PUBLIC, APP = "http://mixminus", "http://app"
"""Stand in logs for the server's own address and the application's, whose ports are others at each run."""


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

    def __init__(
        self,
        settings: Settings,
        loop: VirtualLoop,
        *,
        seed: int,
        journal: list[Entry],
        frozen: Frozen | None = None,
    ) -> None:
        super().__init__(settings)
        self.clock, self.mint = loop.clock, Mint(seed)
        self.bank = Bank()
        self.exchanges: list[Exchange] = []
        """Every request to the application, in order."""
        self.requests: list[Asked] = []
        """Every request to the API, in the order of their answers."""
        self.controls: ASGIApp | None = None
        """What answers under ``/testing/``, if anything does."""
        self.answers: list[Answer] = []
        """The application's, in the order in which it was asked."""
        self._virtual, self._seed = loop, seed
        self._journal, self._frozen = journal, frozen

    async def _open_store(self) -> Store:
        self.memory = MemoryStore()
        return self.memory

    def _open_archive(self) -> Archive:
        archive, table = super()._open_archive(), self.settings.storage
        if archive.remote is None:
            return archive
        return Archive(archive.local, AwaitedStorage(self._virtual, table.url, table.options), archive.ring)

    def file_of(self, key: str) -> Path:
        """A finished file as it was heard: unsealed, and got from the store if it is only there."""
        path = self.archive.local.path(key)
        if not path.exists():
            path = self.settings.data / "heard" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(self.archive.read(key)))
        return path

    def _make_media(self, host: str) -> VirtualMedia:
        return VirtualMedia(
            self._virtual, self.bank, seed=self._seed, on_event=self._media_event, keep_up=self._keep_up
        )

    def _keep_up(self) -> None:
        assert isinstance(self.finisher, InlineFinisher)
        self.finisher.member.keep_up()

    def _make_finisher(self) -> Finisher:
        return InlineFinisher(self.archive.ring)

    def _make_outbound(self) -> OutboundClient:
        if self._frozen is not None:
            return ReplayClient(self._virtual, self, self._frozen)
        return GatedClient(self._virtual, self, allow_private=self.settings.dev)

    async def _decode(self, source: Path, target: Path, rates: Sequence[int], longest_seconds: float) -> None:
        """In this process: starting one takes longer than the rest of a test."""
        write_wavs(source, target, rates=rates, longest_seconds=longest_seconds)

    def _make_http(self, config: uvicorn.Config) -> uvicorn.Server:
        self._door = StoppedClock(config.app, self)  # type: ignore[arg-type]
        config.app = self._door
        config.timeout_keep_alive = 10**6
        return _QuietHttpServer(config)

    @property
    def loop(self) -> VirtualLoop:
        return self._virtual

    def journal_request(self, scope: Scope, body: bytes) -> None:
        """Take down a request to the API as something from outside."""
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        given = {
            "method": scope["method"],
            "path": scope["path"],
            "raw_path": (scope.get("raw_path") or scope["path"].encode()).decode(),
            "query": scope["query_string"].decode(),
            "headers": {name: headers[name] for name in ("authorization", "content-type") if name in headers},
            "body": body.decode("utf-8", "surrogateescape"),
        }
        within = len(self.answers) - 1 if self._virtual.asked else -1
        self._journal.append(Entry(self._virtual.clock.monotonic_ns, "api", given=given, within=within))

    async def ask_again(self, entry: Entry) -> None:
        """Carry out a request of a journal."""
        given = entry.given
        body = given["body"].encode("utf-8", "surrogateescape")
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": given["method"],
            "path": given["path"],
            "raw_path": given["raw_path"].encode(),
            "query_string": given["query"].encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given["headers"].items()],
            "client": (HOST, 1),
            "server": (HOST, 80),
        }

        async def send(message: Message) -> None: ...

        await self._door(scope, _receiving(body, asyncio.Event().wait), send)

    def make_recordings_fail(self, reason: str) -> None:
        assert isinstance(self.finisher, InlineFinisher)
        self.finisher.member.trouble = reason

    def make_unreachable(self, url_begin: str, reason: str) -> None:
        assert isinstance(self.outbound, GatedClient)
        self.outbound.down[url_begin] = reason

    def make_slow(self, url_begin: str, seconds: float) -> None:
        assert isinstance(self.outbound, GatedClient)
        self.outbound.late[url_begin] = seconds

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

    def __init__(self, app: ASGIApp, server: VirtualServer) -> None:
        self._app, self._server, self._loop, self._controls = app, server, server.loop, server.controls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._controls is not None and scope["path"].startswith("/testing/"):
            await self._controls(scope, receive, send)
            return
        nested = self._loop.asked
        waiting: list[Message] = []
        body = await _whole_body(receive)
        await self._loop.at_rest(but_asked=nested)
        self._server.journal_request(scope, body)

        async def hold(message: Message) -> None:
            waiting.append(message)

        with self._loop.inside():
            await self._app(scope, _receiving(body, receive), hold)
        status = next((message["status"] for message in waiting if message["type"] == "http.response.start"), 0)
        text = body.decode("utf-8", "replace")
        self._server.requests.append(Asked(self._loop.clock.wall, scope["method"], scope["path"], text, status))
        await self._loop.at_rest(but_asked=nested)
        with self._loop.inside():
            for message in waiting:
                await send(message)


async def _whole_body(receive: Receive) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _receiving(body: bytes, then: Callable[[], Awaitable[Any]]) -> Receive:
    """A whole body once, then what ``then`` gives: whoever streams an answer waits there for the client to leave."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            message: Message = await then()
            return message
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


class AwaitedStorage(ObjectStorage):
    """The clock stands still while a file is on its way to the store, and while it is read back."""

    def __init__(self, loop: VirtualLoop, url: str, options: Mapping[str, str]) -> None:
        super().__init__(url, options)
        self._loop = loop

    async def upload(self, key: str, path: Path) -> None:
        with self._loop.inside():
            await super().upload(key, path)

    async def digest(self, key: str) -> tuple[int, str] | None:
        with self._loop.inside():
            return await super().digest(key)


class InlineFinisher(Finisher):
    """The finisher's desk in this process: a file is made as time goes on, and finished when it is asked for."""

    def __init__(self, ring: KeyRing) -> None:
        super().__init__(processes=0)
        self.member = InlineMember(ring)
        self._members = [self.member]


class InlineMember(_Member):
    def __init__(self, ring: KeyRing) -> None:
        super().__init__((), (0.0,))
        self._answers: deque[FromFinisher] = deque()
        self._desk = Desk(self._answers.append, ring=ring)
        self.trouble = ""
        """Why no file can be made; empty if it can."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def send(self, command: ToFinisher) -> None:
        self._desk.receive(command)

    def keep_up(self) -> None:
        """Encode what has been recorded, so that little is left to do while somebody waits for a file."""
        self._desk.wake()
        while self._desk.busy:
            self._desk.turn()

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
