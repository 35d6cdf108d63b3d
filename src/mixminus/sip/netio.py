"""Connections of the endpoint, TCP and TLS: accepted and opened, by number. They differ in how they are made only."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Callable
from typing import cast

import structlog

from mixminus.sip.transport import Flow

MAX_CONNECTIONS = 5000
CONNECT_SECONDS = 4.0
MAX_UNSENT = 1024 * 1024
"""Bytes a peer may leave unread before its connection is dropped."""

log = structlog.get_logger(__name__)


class Connections:
    """Numbers connections from 1 and hands their life on to three callables."""

    def __init__(
        self,
        on_opened: Callable[[Flow], None],
        on_data: Callable[[bytes, Flow], None],
        on_closed: Callable[[Flow], None],
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """``trust``: what certificates of TLS peers that we call are verified with; ``None``: the system's authorities,
        read when they are first needed.
        """
        self._trust = trust
        self.on_opened = on_opened
        self.on_data = on_data
        self.on_closed = on_closed
        self._numbers = itertools.count(1)
        self._open: dict[int, _Connection] = {}
        self._by_address: dict[tuple[str, str, int], int] = {}
        self._waiting: dict[tuple[str, str, int], list[bytes]] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    def __len__(self) -> int:
        return len(self._open)

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> tuple[str, int]:
        """Take connections of plain TCP, or of ``tls``; the address bound to. Raises OSError."""
        transport = "tcp" if tls is None else "tls"
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self, transport),
            host,
            port,
            backlog=512,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else CONNECT_SECONDS,
        )
        self._servers.append(server)
        bound: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return bound

    async def close(self) -> None:
        for task in self._connecting:
            task.cancel()
        for connection in list(self._open.values()):
            connection.abort()
        for server in self._servers:
            server.close()
            await server.wait_closed()

    def send(self, data: bytes, flow: Flow) -> None:
        """On the connection that ``flow`` names; with 0 on any to that address, opened if there is none."""
        address = (flow.transport, flow.host, flow.port)
        number = flow.connection or self._by_address.get(address, 0)
        connection = self._open.get(number)
        if connection is not None:
            connection.send(data)
        elif flow.connection:
            asyncio.get_running_loop().call_soon(self.on_closed, flow)
        elif address in self._waiting:
            self._waiting[address].append(data)
        else:
            self._waiting[address] = [data]
            task = asyncio.get_running_loop().create_task(self._connect(flow))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    def drop(self, number: int) -> None:
        connection = self._open.get(number)
        if connection is not None:
            connection.abort()

    async def _connect(self, flow: Flow) -> None:
        address = (flow.transport, flow.host, flow.port)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await self._open_connection(flow)
        except (OSError, TimeoutError, ValueError) as error:  # ValueError: a host that is no name (IDNA)
            reason = str(error) or f"no answer within {CONNECT_SECONDS:g} s"
            log.info("no connection", transport=flow.transport, host=flow.host, port=flow.port, error=reason)
            self._waiting.pop(address, None)
            self.on_closed(flow)
            return
        self._by_address[address] = connection.flow.connection
        connection.addresses.append(address)
        for data in self._waiting.pop(address, ()):
            connection.send(data)

    async def _open_connection(self, flow: Flow) -> _Connection:
        loop = asyncio.get_running_loop()
        if flow.transport != "tls":
            _, connection = await loop.create_connection(lambda: _Connection(self, "tcp"), flow.host, flow.port)
            return connection
        if self._trust is None:
            self._trust = await asyncio.to_thread(ssl.create_default_context)
        _, connection = await loop.create_connection(
            lambda: _Connection(self, "tls"), flow.host, flow.port, ssl=self._trust, server_hostname=flow.host
        )
        return connection

    def add(self, connection: _Connection, transport: str, host: str, port: int) -> Flow | None:
        """A number for a new connection, or ``None``: there are too many."""
        if len(self._open) >= MAX_CONNECTIONS:
            return None
        flow = Flow(transport, host, port, next(self._numbers))
        self._open[flow.connection] = connection
        if transport == "tcp":  # over TLS nobody is sent to by an address but who has proved its name
            self._by_address[(transport, host, port)] = flow.connection
            connection.addresses.append((transport, host, port))
        self.on_opened(flow)
        return flow

    def remove(self, flow: Flow) -> None:
        connection = self._open.pop(flow.connection, None)
        for address in connection.addresses if connection else ():
            if self._by_address.get(address) == flow.connection:
                del self._by_address[address]
        self.on_closed(flow)


class _Connection(asyncio.Protocol):
    def __init__(self, connections: Connections, kind: str) -> None:
        """``kind``: ``tcp`` or ``tls``."""
        self._connections = connections
        self._kind = kind
        self._transport: asyncio.Transport | None = None
        self.flow = Flow(kind, "", 0)
        self.addresses: list[tuple[str, str, int]] = []
        """Under which it is found: the peer's, and the name it was opened by."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's in all but name, so not to be asked for by isinstance.
        transport = cast(asyncio.Transport, transport)
        host, port = transport.get_extra_info("peername")[:2]
        flow = self._connections.add(self, self._kind, host, port)
        if flow is None:
            transport.abort()
            return
        self._transport = transport
        self.flow = flow

    def data_received(self, data: bytes) -> None:
        self._connections.on_data(data, self.flow)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.flow.connection:
            self._connections.remove(self.flow)

    def send(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self._transport.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
