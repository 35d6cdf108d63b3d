"""The one way out over HTTP: time limits, a size cap, and no way into private networks."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from mixminus import __version__
from mixminus.errors import OutboundError
from mixminus.outbound.address import is_public
from mixminus.outbound.request import OutboundRequest, OutboundResponse
from mixminus.outbound.url import request_url

MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REFUSED = "is not a public address"
AddressInfo: TypeAlias = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]


class OutboundClient:
    """Fetches customers' URLs. To be made and closed in a running event loop.

    Addresses are checked as each socket is made, after names are resolved, so neither a name that changes its mind
    nor a redirect leads inside. ``allow_private`` (``--dev``) turns the check off. Proxies, cookies and compression
    are not used. How many requests run at a time is the caller's to limit.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, socket_factory=_any_socket if allow_private else _public_socket, keepalive_timeout=30
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": f"mixminus/{__version__}", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> OutboundClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        """One request and its answer, whatever the status. GET follows up to 3 redirects, POST none.

        Raises :class:`~mixminus.errors.OutboundError`; its stage says how far it came.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.total_timeout
        response = await self._once(request, request.total_timeout)
        if request.method != "GET":
            return response
        for _ in range(MAX_REDIRECTS):
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                return response
            target = request_url(urljoin(response.url, location))
            remaining = max(deadline - loop.time(), 0.001)
            response = await self._once(replace(request, url=target), remaining)
        if response.status in _REDIRECTS:
            raise OutboundError("status", f"{request.url}: more than {MAX_REDIRECTS} redirects", status=response.status)
        return response

    async def _once(self, request: OutboundRequest, seconds: float) -> OutboundResponse:
        signature = request.sign(request.url) if request.sign is not None else {}
        timeout = aiohttp.ClientTimeout(
            total=seconds, connect=request.connect_timeout, sock_read=request.read_timeout, ceil_threshold=3600
        )
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                data=request.body or None,
                headers={**request.headers, **signature},
                allow_redirects=False,
                timeout=timeout,
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                body = await _read(response, request)
                return OutboundResponse(response.status, headers, body, request.url)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _explain(error, request.url) from error


async def _read(response: aiohttp.ClientResponse, request: OutboundRequest) -> bytes:
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity" and not request.cut:
        raise OutboundError("read", f"{request.url}: answered with Content-Encoding {encoding}, which was not offered")
    body = bytearray()
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > request.limit:
                break
    except (aiohttp.ClientError, TimeoutError):
        if not request.cut:
            raise
        # Only the status matters to this caller, and that has arrived.
    if len(body) > request.limit and not request.cut:
        raise OutboundError("size", f"{request.url}: the answer is longer than {request.limit} bytes")
    return bytes(body[: request.limit])


def _explain(error: Exception, url: str) -> OutboundError:
    reason = str(error) or type(error).__name__
    if _REFUSED in reason:
        return OutboundError("address", f"{url}: {reason}")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return OutboundError("connect", f"{url}: no connection in time")
    if isinstance(error, aiohttp.ClientConnectorError):
        return OutboundError("connect", f"{url}: {reason}")
    if isinstance(error, TimeoutError):
        return OutboundError("read", f"{url}: no answer in time")
    if isinstance(error, aiohttp.InvalidURL) or not isinstance(error, (aiohttp.ClientError, OSError)):
        return OutboundError("address", f"{url}: {reason}")
    return OutboundError("read", f"{url}: {reason}")


def _any_socket(info: AddressInfo) -> socket.socket:
    return socket.socket(family=info[0], type=info[1], proto=info[2])


def _public_socket(info: AddressInfo) -> socket.socket:
    address = str(info[4][0])
    if not is_public(address):
        raise OSError(errno.EACCES, f"{address} {_REFUSED}; the operator may allow those with --dev")
    return _any_socket(info)
