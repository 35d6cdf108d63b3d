"""The proxy between a client and a server, all on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from mixminus.intercept.authority import Authority
from mixminus.intercept.gateway import HOSTS, Gateway, Upstream

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Server:
    """Keeps the heads of requests; answers each with ``ok``."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(ANSWER)
        await writer.drain()
        writer.close()


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[Server]:
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    listener.close()
    await listener.wait_closed()


class Proxy:
    def __init__(self, authority: Authority, gateway: Gateway, refused: list[str]) -> None:
        self.authority, self.gateway, self.refused = authority, gateway, refused
        self.port = 0

    async def ask(self, head: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head)
        return reader, writer


def proxy(tmp_path: Path, port: int, *, allow: bool = False) -> Proxy:
    now = datetime.now(UTC)
    authority, refused = Authority.open(tmp_path, now), list[str]()
    context = authority.server_context(HOSTS, now)
    gateway = Gateway(Upstream("127.0.0.1", port), context, allow_other_hosts=allow, refused=refused.append)
    return Proxy(authority, gateway, refused)


async def started(made: Proxy) -> Proxy:
    made.port = int((await made.gateway.start()).rpartition(":")[2])
    return made


async def end(made: Proxy, writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()
    await made.gateway.stop()


async def test_a_tunnel_to_the_vendor_ends_at_the_server(tmp_path: Path, upstream: Server) -> None:
    made = await started(proxy(tmp_path, upstream.port))
    reader, writer = await made.ask(b"CONNECT api.plivo.com:443 HTTP/1.1\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(cadata=made.authority.pem.decode())
    await writer.start_tls(trusting, server_hostname="api.plivo.com")
    writer.write(b"GET /v1/ HTTP/1.1\r\nHost: api.plivo.com\r\n\r\n")
    assert await reader.read() == ANSWER
    assert upstream.heads == [b"GET /v1/ HTTP/1.1\r\nHost: api.plivo.com\r\n\r\n"]
    await end(made, writer)


async def test_an_older_clients_whole_url_gets_there_too(tmp_path: Path, upstream: Server) -> None:
    made = await started(proxy(tmp_path, upstream.port))
    reader, writer = await made.ask(b"GET https://media.plivo.com/x HTTP/1.1\r\nHost: media.plivo.com\r\n\r\n")
    assert await reader.read() == ANSWER
    assert upstream.heads[0].startswith(b"GET /x HTTP/1.1\r\n")
    await end(made, writer)


async def test_other_hosts_are_refused_and_named(tmp_path: Path, upstream: Server) -> None:
    made = await started(proxy(tmp_path, upstream.port))
    reader, writer = await made.ask(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 403") and b"--allow-other-hosts" in answer
    assert made.refused == ["example.com:443"]
    await end(made, writer)


async def test_other_hosts_are_passed_through_when_allowed(tmp_path: Path, upstream: Server) -> None:
    made = await started(proxy(tmp_path, 1, allow=True))
    reader, writer = await made.ask(f"CONNECT 127.0.0.1:{upstream.port} HTTP/1.1\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.read() == ANSWER
    await end(made, writer)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT api.plivo.com:443 HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
        (b"GET http://api.plivo.com/ HTTP/1.1\r\n\r\n", b"502"),
    ],
)
async def test_what_cannot_be_done_is_said(tmp_path: Path, head: bytes, status: bytes) -> None:
    made = await started(proxy(tmp_path, 1))
    reader, writer = await made.ask(head)
    assert (await reader.readline()).split()[1] == status
    await end(made, writer)
