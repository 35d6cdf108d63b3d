"""What the server stands on: its listener."""

from __future__ import annotations

import asyncio
import socket

from mixminus.server.ground import address, listen, wide_rates


async def test_an_answer_in_pieces_is_not_held_back() -> None:
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    listener = listen("127.0.0.1:0")
    host, _, port = address(listener).rpartition(":")
    async with await asyncio.get_running_loop().create_server(Connection, sock=listener):
        _, writer = await asyncio.open_connection(host, int(port))
        assert await accepted, "TCP_NODELAY is off: the body of each answer waits 40 ms behind its headers"
        writer.close()
        await writer.wait_closed()


def test_sounds_are_kept_at_the_rates_that_the_codecs_can_use() -> None:
    assert wide_rates(("opus", "PCMU")) == [48_000]
    assert wide_rates(("PCMA", "opus", "G722")) == [16_000, 48_000]
    assert wide_rates(("PCMU", "PCMA")) == []
