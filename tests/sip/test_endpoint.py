"""Real sockets on loopback: the shell adds nothing but them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mixminus.clock import SystemClock
from mixminus.errors import ConfigurationError
from mixminus.ids import Mint
from mixminus.sip.auth import DigestCredentials
from mixminus.sip.endpoint import SipEndpoint
from mixminus.sip.events import Answered, Confirmed, Ended, IncomingCall, Registered, Rejected, SipEvent
from mixminus.sip.transport import Hop
from sip.kit import ACCOUNTS, ANSWER, OFFER, request


class Side:
    """An endpoint and a queue of what it was told."""

    def __init__(self, **options: Any) -> None:
        self.queue: asyncio.Queue[SipEvent] = asyncio.Queue()
        self.on_event: Callable[[SipEvent], None] = lambda event: None
        self.port = 0
        self.endpoint = SipEndpoint(
            mint=Mint(1), clock=SystemClock(), handler=self._handle, credentials=ACCOUNTS.get, realm="test", **options
        )

    def answer_all(self) -> None:
        self.on_event = lambda e: self.endpoint.answer(e.call, ANSWER) if isinstance(e, IncomingCall) else None

    def _handle(self, event: SipEvent) -> None:
        self.on_event(event)
        self.queue.put_nowait(event)

    async def next(self, kind: type[SipEvent]) -> SipEvent:
        async with asyncio.timeout(10):
            while True:
                event = await self.queue.get()
                if isinstance(event, kind):
                    return event


@asynccontextmanager
async def sides(count: int = 2, host: str = "127.0.0.1", **options: Any) -> AsyncIterator[list[Side]]:
    made = [Side(**options) for _ in range(count)]
    for side in made:
        _, side.port = await side.endpoint.start(host, 0)
    try:
        yield made
    finally:
        for side in made:
            await side.endpoint.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_call_over_sockets(transport: str, host: str) -> None:
    async with sides() as (caller, callee):
        callee.answer_all()
        call = caller.endpoint.invite(f"sip:7@{host}:{callee.port};transport={transport}", from_="555", sdp=OFFER)
        answered = await caller.next(Answered)
        assert isinstance(answered, Answered) and answered.sdp == ANSWER
        await callee.next(Confirmed)
        caller.endpoint.hangup(call)
        assert await caller.next(Ended) == Ended(call, "local")
        ended = await callee.next(Ended)
        assert isinstance(ended, Ended) and ended.by == "remote"


async def test_registration_and_a_call_to_the_binding_over_tcp() -> None:
    async with sides() as (phone, server):
        phone.answer_all()
        phone.endpoint.register(
            "sip:alice@test",
            credentials=DigestCredentials("alice", "open sesame"),
            route=Hop("tcp", "127.0.0.1", server.port),
        )
        await server.next(Registered)
        [binding] = server.endpoint.contacts("alice")
        assert binding.hop.connection
        server.endpoint.invite(binding.uri, from_="555", sdp=OFFER, route=binding.hop)
        await server.next(Answered)
        assert server.endpoint.counters()["connections"] == 1


async def test_a_closed_port_is_503_on_tcp() -> None:
    async with sides(1) as (caller,):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            caller.endpoint.invite(f"sip:7@127.0.0.1:{closed.getsockname()[1]};transport=tcp", from_="555", sdp=OFFER)
            rejected = await caller.next(Rejected)
            assert isinstance(rejected, Rejected) and rejected.status == 503


async def test_a_target_of_another_family_harms_nobody() -> None:
    async with sides() as (caller, callee):
        callee.answer_all()
        caller.endpoint.invite("sip:7@[::1]:5060", from_="555", sdp=OFFER)
        call = caller.endpoint.invite(f"sip:7@127.0.0.1:{callee.port}", from_="555", sdp=OFFER)
        answered = await caller.next(Answered)
        assert isinstance(answered, Answered) and answered.call == call


async def test_a_taken_port_is_named() -> None:
    async with sides(1) as (first,):
        with pytest.raises(ConfigurationError, match=str(first.port)):
            await Side().endpoint.start("127.0.0.1", first.port)


async def test_bound_to_all_addresses_the_contact_is_the_one_the_peer_sees() -> None:
    async with sides(1, "0.0.0.0") as (server,):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request("INVITE", via="SIP/2.0/TCP 127.0.0.1:9"))
        incoming = await server.next(IncomingCall)
        assert isinstance(incoming, IncomingCall)
        server.endpoint.ring(incoming.call)
        async with asyncio.timeout(10):
            text = await reader.readuntil(b"SIP/2.0 180 Ringing\r\n") + await reader.readuntil(b"\r\n\r\n")
        assert f"Contact: <sip:mixminus@127.0.0.1:{server.port};transport=tcp>".encode() in text
        writer.close()
        await writer.wait_closed()


async def test_garbage_on_a_stream_closes_it() -> None:
    async with sides(1) as (server,):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(10):
            assert await reader.read(1) == b""
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_host_that_is_no_name_fails_like_one_that_is_not_found(transport: str) -> None:
    async with sides(1) as (caller,):
        caller.endpoint.invite(f"sip:7@a..b;transport={transport}", from_="555", sdp=OFFER)
        rejected = await caller.next(Rejected)
        assert isinstance(rejected, Rejected) and rejected.status == 503
