"""Lines against a SIP endpoint and media ports that only remember what they were told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from mixminus.calls.lines import SipLines
from mixminus.calls.model import HangupCause
from mixminus.calls.routing import NoRoute
from mixminus.ids import Mint
from mixminus.sdp.answer import make_offer
from mixminus.sip import events as sip

OFFER = make_offer(host="127.0.0.1", port=4000, session_id=1, version=1)
VIDEO_ONLY = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 4000 RTP/AVP 96\r\n"


class Endpoint:
    def __init__(self) -> None:
        self.rejected: list[int] = []

    def reject(self, call: str, status: int, reason: str = "", headers: object = ()) -> None:
        self.rejected.append(status)


def make_lines() -> tuple[SipLines, Endpoint]:
    endpoint, tasks = Endpoint(), set[asyncio.Task[Any]]()
    nowhere = NoRoute(HangupCause.ROUTING_ERROR, "nowhere")
    ports: Any = None
    sip_endpoint: Any = endpoint
    lines = SipLines(
        endpoint=sip_endpoint, ports=ports, mint=Mint(seed=1), domain="test", find_route=lambda to: nowhere
    )

    def spawn(work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    lines.spawn = spawn
    return lines, endpoint


def invite(sdp: bytes) -> sip.IncomingCall:
    return sip.IncomingCall(
        call="1",
        from_uri="sip:100@test",
        from_display="",
        to_uri="sip:200@test",
        request_uri="sip:200@test",
        call_id="x",
        headers=(),
        sdp=sdp,
        source=("127.0.0.1", 5060),
        account=None,
        transport="udp",
    )


async def answer_to(sdp: bytes, *, accepting: bool = True) -> list[int]:
    lines, endpoint = make_lines()
    lines.accepting = lambda: accepting
    lines.on_event(invite(sdp))
    await asyncio.sleep(0)
    return endpoint.rejected


async def test_an_offer_without_a_codec_of_ours_gets_488() -> None:
    assert await answer_to(VIDEO_ONLY) == [488]
    assert await answer_to(OFFER.replace(b"RTP/AVP 0 8 101", b"RTP/AVP 18")) == [488]


async def test_an_offer_that_cannot_be_read_gets_400() -> None:
    assert await answer_to(b"nonsense") == [400]


async def test_a_call_that_nobody_answers_gets_404_and_a_draining_server_503() -> None:
    assert await answer_to(OFFER) == [404]
    assert await answer_to(OFFER, accepting=False) == [503]
