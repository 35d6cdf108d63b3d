"""The HTTPS proxy on loopback: tunnels for the vendor's hosts end here and go on to a running server.

Two listeners: the proxy itself, and one that ends the TLS of what was tunnelled to the vendor's hosts. Behind the TLS
bytes are passed on as they are, so that what a client sends is what the server sees.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mixminus.errors import ProtocolError
from mixminus.intercept.request import END_OF_HEAD, MAX_HEAD, ProxyRequest, read_request, refusal

HOSTS = ("api.plivo.com", "media.plivo.com")
_CHUNK = 64 * 1024
_HEAD_SECONDS = 30.0


@dataclass(frozen=True)
class Upstream:
    """The running server. With ``tls`` it is spoken to over TLS, as ``name``."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    name: str = ""


class Gateway:
    """``context`` ends the TLS of :data:`HOSTS`. Other hosts are refused, and told to ``refused``, unless allowed."""

    def __init__(
        self,
        upstream: Upstream,
        context: ssl.SSLContext,
        *,
        allow_other_hosts: bool = False,
        refused: Callable[[str], None] = lambda host: None,
    ) -> None:
        self._upstream = upstream
        self._context = context
        self._allow_other_hosts = allow_other_hosts
        self._refused = refused
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._inner_port = 0

    async def start(self) -> str:
        """Listen on free ports of 127.0.0.1; returns the proxy's HOST:PORT."""
        inner = await asyncio.start_server(self._served(self._to_server), "127.0.0.1", 0, ssl=self._context)
        outer = await asyncio.start_server(self._served(self._proxied), "127.0.0.1", 0, limit=MAX_HEAD)
        self._servers = [outer, inner]
        self._inner_port = inner.sockets[0].getsockname()[1]
        return f"127.0.0.1:{outer.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close the listeners and whatever is still open."""
        for server in self._servers:
            server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _served(
        self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        """A connection handler whose task is ours to end, and whose peer's mistakes stay with it."""

        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                    await serve(reader, writer)
            finally:
                writer.close()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(run(reader, writer))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

        return accept

    async def _proxied(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                request = read_request(await reader.readuntil(END_OF_HEAD))
        except asyncio.LimitOverrunError:
            writer.write(refusal("431 Request Header Fields Too Large", "the request's head is too large"))
            return
        except ProtocolError as error:
            writer.write(refusal("400 Bad Request", str(error)))
            return
        if request.host not in HOSTS and not self._allow_other_hosts:
            self._refused(f"{request.host}:{request.port}")
            text = f"mixminus exec passes on {' and '.join(HOSTS)} only; allow others with --allow-other-hosts"
            writer.write(refusal("403 Forbidden", text))
            return
        try:
            there = await self._open(request)
        except OSError as error:
            writer.write(refusal("502 Bad Gateway", f"{request.host}:{request.port} cannot be reached: {error}"))
            return
        if request.form == "connect":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            there[1].write(request.head)
        await _splice((reader, writer), there)

    async def _open(self, request: ProxyRequest) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if request.host in HOSTS:
            if request.form == "connect":
                return await asyncio.open_connection("127.0.0.1", self._inner_port)
            return await self._open_server()
        tls = ssl.create_default_context() if request.form == "absolute" and request.secure else None
        return await asyncio.open_connection(request.host, request.port, ssl=tls)

    async def _open_server(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        to = self._upstream
        name = to.name if to.tls is not None else None
        return await asyncio.open_connection(to.host, to.port, ssl=to.tls, server_hostname=name)

    async def _to_server(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await self._open_server()
        except OSError as error:
            writer.write(refusal("502 Bad Gateway", f"the mixminus server cannot be reached: {error}"))
            return
        await _splice((reader, writer), there)


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _splice(one: _Stream, other: _Stream) -> None:
    """Carry bytes both ways until both sides have ended."""
    try:
        await asyncio.gather(_carry(one[0], other[1]), _carry(other[0], one[1]))
    finally:
        other[1].close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()
