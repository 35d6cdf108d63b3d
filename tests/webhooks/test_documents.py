"""Fetching call-control documents: attempts, time, fallback, size."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from mixminus.calls.commands import Callback
from mixminus.calls.events import CallEvent
from mixminus.clock import ManualClock
from mixminus.errors import OutboundError
from mixminus.ids import Mint
from mixminus.outbound.request import OutboundRequest, OutboundResponse
from mixminus.store.rows import AccountRow
from mixminus.webhooks.documents import Documents
from mixminus.webhooks.signing import TokenBook

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANSWER = Callback("http://app/answer", "POST")
NONE = Callback()
REQUEST = CallEvent(
    name="StartApp",
    at=AT,
    call_uuid="c",
    account="MA",
    from_number="1",
    to_number="2",
    status="ringing",
    direction="inbound",
)


class Accounts:
    async def account(self, account_id: str) -> AccountRow | None:
        return AccountRow(id="MA", token="t", created_at=AT) if account_id == "MA" else None


class App:
    """Answers each URL from its list of statuses and errors; the last one stays."""

    def __init__(self, clock: ManualClock, takes: float = 0.1, **answers: list[int | OutboundError]) -> None:
        self.clock = clock
        self.takes = takes
        self.answers = answers
        self.seen: list[OutboundRequest] = []

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        self.seen.append(request)
        self.clock.advance(self.takes)
        queue = self.answers[request.url.partition("?")[0].rpartition("/")[2]]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, OutboundError):
            raise answer
        return OutboundResponse(answer, {}, b"<Response/>", request.url)

    @property
    def paths(self) -> list[str]:
        return [request.url.partition("?")[0].rpartition("/")[2] for request in self.seen]


def connect_failed() -> OutboundError:
    return OutboundError("connect", "refused")


def documents(app: App) -> Documents:
    def sleep() -> Callable[[float], Awaitable[None]]:
        async def pause(seconds: float) -> None:
            app.clock.advance(seconds)

        return pause

    tokens = TokenBook(Accounts())
    return Documents(app, tokens, clock=app.clock, mint=Mint(1), public_url="http://pbx", sleep=sleep())


async def fetch(app: App, callback: Callback = ANSWER, fallback: Callback = NONE, account: str = "MA") -> bytes:
    return await documents(app).fetch(callback, REQUEST, account=account, sub_account="", fallback=fallback)


async def test_the_first_good_answer_counts() -> None:
    app = App(ManualClock(), answer=[connect_failed(), 503, 200])
    assert await fetch(app) == b"<Response/>"
    assert app.paths == ["answer"] * 3
    assert b"CallUUID=c" in app.seen[0].body and app.seen[0].sign is not None
    assert app.seen[0].limit == 100_000 and not app.seen[0].cut
    signatures = [request.sign("http://app/answer") for request in app.seen if request.sign]
    assert len({signature["X-Plivo-Signature-V3-Nonce"] for signature in signatures}) == 3


async def test_three_attempts_then_the_fallback() -> None:
    app = App(ManualClock(), answer=[connect_failed()], fallback=[200])
    assert await fetch(app, fallback=Callback("http://app/fallback", "GET")) == b"<Response/>"
    assert app.paths == ["answer"] * 3 + ["fallback"]
    assert app.seen[-1].method == "GET" and "CallUUID=c" in app.seen[-1].url and not app.seen[-1].body


async def test_without_a_fallback_the_last_failure_is_told() -> None:
    app = App(ManualClock(), answer=[connect_failed(), 500])
    with pytest.raises(OutboundError) as caught:
        await fetch(app)
    assert (caught.value.stage, caught.value.status) == ("status", 500)
    assert len(app.seen) == 3


@pytest.mark.parametrize("answer", [404, 302, OutboundError("size", "too long"), OutboundError("address", "private")])
async def test_what_will_not_get_better_is_not_repeated(answer: int | OutboundError) -> None:
    app = App(ManualClock(), answer=[answer])
    with pytest.raises(OutboundError):
        await fetch(app)
    assert len(app.seen) == 1


async def test_a_minute_is_enough() -> None:
    app = App(ManualClock(), takes=35, answer=[connect_failed()])
    with pytest.raises(OutboundError):
        await fetch(app)
    assert len(app.seen) == 2


async def test_the_fragment_decides() -> None:
    app = App(ManualClock(), answer=[404])
    with pytest.raises(OutboundError):
        await fetch(app, Callback("http://app/answer#rc=4&rp=4xx&ct=300&rt=700", "POST"))
    assert len(app.seen) == 5
    assert (app.seen[0].connect_timeout, app.seen[0].read_timeout, app.seen[0].url) == (0.3, 0.7, "http://app/answer")


async def test_nobody_to_sign_for_is_a_failed_fetch() -> None:
    app = App(ManualClock(), answer=[200])
    with pytest.raises(OutboundError, match="MB does not exist"):
        await fetch(app, account="MB")
    assert app.seen == []


async def test_tokens_are_read_again_after_a_while() -> None:
    clock = ManualClock()
    reads = 0

    class Counting(Accounts):
        async def account(self, account_id: str) -> AccountRow | None:
            nonlocal reads
            reads += 1
            return AccountRow(id="MA", token=f"t{reads}", created_at=AT)

    book = TokenBook(Counting())
    assert (await book.tokens("MA", "", clock.wall)).own == "t1"
    assert (await book.tokens("MA", "", clock.advance(29).wall)).own == "t1"
    assert (await book.tokens("MA", "", clock.advance(2).wall)).own == "t2"
