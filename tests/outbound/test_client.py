"""The client against a real server on loopback: redirects, caps, time limits, refused addresses."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mixminus.errors import OutboundError
from mixminus.outbound.client import OutboundClient
from mixminus.outbound.request import OutboundRequest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def client() -> AsyncIterator[OutboundClient]:
    async with OutboundClient(allow_private=True) as opened:
        yield opened


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[str]]]:
    servers: list[TestServer] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handler)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server in servers:
        await server.close()


Serve = Callable[[Handler], Awaitable[str]]


async def stage_of(client: OutboundClient, request: OutboundRequest) -> str:
    with pytest.raises(OutboundError) as caught:
        await client.fetch(request)
    return caught.value.stage


async def test_the_request_is_what_was_asked_for(client: OutboundClient, serve: Serve) -> None:
    seen: list[tuple[str, str, bytes, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.raw_path, await request.read(), request.headers["X-Own"]))
        return web.Response(status=418, body=b"tea", headers={"X-Kind": "pot"})

    base = await serve(handler)
    response = await client.fetch(OutboundRequest("POST", f"{base}/a%2Fb?x=%7E&y=+", b"k=v", {"X-Own": "1"}))
    assert seen == [("POST", "/a%2Fb?x=%7E&y=+", b"k=v", "1")]
    assert (response.status, response.body, response.headers["x-kind"], response.ok) == (418, b"tea", "pot", False)


async def test_get_follows_three_redirects_and_signs_each(client: OutboundClient, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        left = int(request.query["left"])
        if left:
            return web.Response(status=302, headers={"Location": f"/next?left={left - 1}"})
        return web.Response(text=request.headers["X-Signed"])

    base = await serve(handler)

    def get(left: int) -> OutboundRequest:
        return OutboundRequest("GET", f"{base}/?left={left}", sign=lambda url: {"X-Signed": url})

    response = await client.fetch(get(3))
    assert response.body.decode() == response.url == f"{base}/next?left=0"
    assert await stage_of(client, get(4)) == "status"


async def test_post_follows_no_redirect(client: OutboundClient, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.path == "/"
        return web.Response(status=307, headers={"Location": "/next"})

    assert (await client.fetch(OutboundRequest("POST", await serve(handler)))).status == 307


async def test_a_redirect_elsewhere_than_http_is_refused(client: OutboundClient, serve: Serve) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "file:///etc/passwd"})

    assert await stage_of(client, OutboundRequest("GET", await serve(handler))) == "address"


async def test_too_long_an_answer_is_refused_or_cut(client: OutboundClient, serve: Serve) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 5001)

    base = await serve(handler)
    assert await stage_of(client, OutboundRequest("GET", base, limit=5000)) == "size"
    assert len((await client.fetch(OutboundRequest("GET", base, limit=5001))).body) == 5001
    assert len((await client.fetch(OutboundRequest("GET", base, limit=10, cut=True))).body) == 10


async def test_endless_answers_are_cut(client: OutboundClient, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 10_000)
        except ConnectionError:
            return response

    base = await serve(handler)
    assert await stage_of(client, OutboundRequest("GET", base)) == "size"
    assert len((await client.fetch(OutboundRequest("GET", base, cut=True))).body) == 100_000


async def test_no_answer_in_time(client: OutboundClient, serve: Serve) -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    base = await serve(handler)
    assert await stage_of(client, OutboundRequest("GET", base, read_timeout=0.05)) == "read"
    assert await stage_of(client, OutboundRequest("GET", base, total_timeout=0.05)) == "read"


async def test_a_body_that_stalls_counts_only_when_it_is_wanted(client: OutboundClient, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begin")
        await asyncio.Event().wait()
        raise AssertionError

    base = await serve(handler)
    assert await stage_of(client, OutboundRequest("GET", base, read_timeout=0.05)) == "read"
    response = await client.fetch(OutboundRequest("GET", base, read_timeout=0.05, cut=True))
    assert (response.status, response.body) == (200, b"begin")


async def test_nobody_listens(client: OutboundClient, unused_tcp_port: int) -> None:
    assert await stage_of(client, OutboundRequest("GET", f"http://127.0.0.1:{unused_tcp_port}/")) == "connect"


async def test_what_is_no_http_is_a_failed_read(client: OutboundClient) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SIP/2.0 200 OK\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await stage_of(client, OutboundRequest("GET", f"http://127.0.0.1:{port}/")) == "read"
    server.close()
    await server.wait_closed()


async def test_compression_was_not_offered(client: OutboundClient, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=gzip.compress(b"x" * 10**7), headers={"Content-Encoding": "gzip"})

    assert await stage_of(client, OutboundRequest("GET", await serve(handler))) == "read"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"])
async def test_private_addresses_are_refused(serve: Serve, host: str) -> None:
    async def handler(_: web.Request) -> web.Response:
        raise AssertionError("reached")

    port = (await serve(handler)).rpartition(":")[2]
    async with OutboundClient(allow_private=False) as guarded:
        assert await stage_of(guarded, OutboundRequest("GET", f"http://{host}:{port}/")) == "address"
