"""Sound before the answer, on lines whose endpoint and media ports only remember what they were told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from calls.test_lines import OFFER, invite
from mixminus.calls.applications import Destination
from mixminus.calls.commands import Callback, Requester
from mixminus.calls.effects import PlaceCall
from mixminus.calls.inputs import Answered, Gone, PickedUp, Rang
from mixminus.calls.leg.inputs import EarlyMediaUp
from mixminus.calls.leg.line import Incoming
from mixminus.calls.lines import SipLines
from mixminus.calls.routing import Route
from mixminus.ids import Mint
from mixminus.media import protocol as media
from mixminus.sdp.answer import make_offer
from mixminus.sip import events as sip
from mixminus.sip.auth import DigestCredentials

SDP = make_offer(host="127.0.0.1", port=5000, session_id=2, version=1)
"""As good as an answer: the offer's own codecs."""


class Endpoint:
    def __init__(self) -> None:
        self.rang: list[bytes | None] = []
        self.answered: list[bytes] = []
        self.credentials: DigestCredentials | None = None

    def ring(self, call: str, sdp: bytes | None = None) -> None:
        self.rang.append(sdp)

    def answer(self, call: str, sdp: bytes, headers: object = ()) -> None:
        self.answered.append(sdp)

    def reject(self, call: str, status: int, reason: str = "", headers: object = ()) -> None:
        raise AssertionError(f"rejected with {status}")

    def invite(self, target: str, *, credentials: DigestCredentials | None, **more: object) -> str:
        self.credentials = credentials
        return "out"


class Ports:
    def __init__(self) -> None:
        self.commands: list[media.Command] = []

    def reserve(
        self, room: str, leg: str, *, remote: media.Address | None, latchable: bool, peer_host: str | None = None
    ) -> tuple[str, int]:
        return "127.0.0.1", 20_000

    def release(self, leg: str) -> None: ...

    async def send(self, command: media.Command) -> object:
        self.commands.append(command)
        return None

    def kinds(self) -> list[str]:
        return [type(command).__name__ for command in self.commands]


class Bench:
    def __init__(self) -> None:
        self.endpoint, self.ports = Endpoint(), Ports()
        self.told: list[object] = []
        self.calls: list[Incoming] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        sip_endpoint: Any = self.endpoint
        self.lines = SipLines(
            endpoint=sip_endpoint,
            ports=self.ports,
            mint=Mint(seed=1),
            domain="test",
            find_route=lambda to: Route(to),
        )
        self.lines.spawn = self._spawn
        self.lines.tell = lambda call_uuid, event: self.told.append(event)
        self.lines.incoming = self.calls.append
        self.lines.find_destination = self._destination

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        self.tasks.add(asyncio.ensure_future(work))

    async def _destination(self, caller: str | None, called: str) -> Destination:
        return Destination(Requester("MA"), Callback("http://app.test/"), Callback())

    async def settle(self) -> None:
        await asyncio.gather(*self.tasks)

    async def caller(self, sdp: bytes = OFFER) -> str:
        self.lines.on_event(invite(sdp))
        await self.settle()
        return self.calls[0].call_uuid

    def place(self, credentials: tuple[str, str] | None = None) -> None:
        order = PlaceCall(
            room="r", to="sip:a@b.test", from_="100", caller_name="", sip_headers=(), credentials=credentials
        )
        self.lines.place("b", order, "r")


async def test_a_caller_hears_before_the_answer_and_the_answer_repeats_it() -> None:
    bench = Bench()
    call = await bench.caller()
    assert await bench.lines.pre_answer(call, "r") == EarlyMediaUp()
    (early,) = bench.endpoint.rang
    assert early and b"m=audio 20000" in early
    assert await bench.lines.pick_up(call, "r") == PickedUp()
    assert bench.endpoint.answered == [early]
    assert bench.ports.kinds() == ["OpenLeg"]


async def test_without_an_offer_there_is_nothing_early_but_the_call_goes_on() -> None:
    bench = Bench()
    call = await bench.caller(b"")
    assert await bench.lines.pre_answer(call, "r") == EarlyMediaUp()
    assert bench.endpoint.rang == []
    assert await bench.lines.pick_up(call, "r") == PickedUp()


async def test_a_caller_who_has_gone_hears_nothing() -> None:
    bench = Bench()
    assert await bench.lines.pre_answer("nobody", "r") == Gone()


async def test_a_callee_that_rings_with_sound_is_open_before_it_answers() -> None:
    bench = Bench()
    bench.place()
    bench.lines.on_event(sip.Ringing("out", 180, b""))
    bench.lines.on_event(sip.Ringing("out", 183, SDP))
    await bench.settle()
    assert bench.told == [Rang(), Rang(early=True)]
    bench.lines.on_event(sip.Answered("out", SDP, ()))
    await bench.settle()
    assert bench.told[-1] == Answered()
    assert bench.ports.kinds() == ["OpenLeg", "UpdateLeg"]


async def test_unusable_early_sound_is_just_ringing() -> None:
    bench = Bench()
    bench.place()
    bench.lines.on_event(sip.Ringing("out", 183, b"nonsense"))
    await bench.settle()
    assert bench.told == [Rang()]
    assert bench.ports.kinds() == []


async def test_the_orders_own_credentials_answer_the_challenge() -> None:
    bench = Bench()
    bench.place(("u", "p"))
    assert bench.endpoint.credentials == DigestCredentials("u", "p")
