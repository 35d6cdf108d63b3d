"""Delivery: order, independence, retries over a virtual day, restarts, signatures."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec
import plivo.utils
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mixminus.errors import OutboundError, StorageError
from mixminus.outbound.client import OutboundClient
from mixminus.outbound.request import OutboundRequest
from mixminus.store.transaction import Transaction
from mixminus.webhooks.deliver import EVENT_ID_HEADER
from mixminus.webhooks.fairness import Limits
from webhooks.harness import (
    MAIN_TOKEN,
    START,
    SUB,
    SUB_TOKEN,
    Bench,
    FakeReceivers,
    number_of,
    opened,
    owe,
    owed,
)


async def test_a_lane_goes_out_in_order_and_ends_delivered(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        receivers = FakeReceivers()
        await owe(store, owed(1, "http://a/"), owed(2, "http://a/"))
        bench = Bench(store, receivers)
        await bench.until_idle()
        bench.idle.clear()
        await owe(store, *(owed(number, "http://a/") for number in range(3, 60)))
        await bench.until_idle()
        assert receivers.sequence() == list(range(1, 60))
        row = await store.outbox_row("http://a/ 59")
        assert row is not None and (row.state, row.attempts, row.done_at) == ("delivered", 1, START)
        (attempt,) = await store.attempts("http://a/ 59")
        assert (attempt.status, attempt.response, attempt.error) == (200, "body", "")
        assert receivers.seen[-1].headers[EVENT_ID_HEADER] == "http://a/ 59"
        assert bench.deliverer.counts.delivered == 59
        await bench.stop()


async def test_a_failing_head_holds_its_lane_only(tmp_path: Path) -> None:
    failures = iter([500, 404, 302])
    good_is_through = asyncio.Event()

    async def answer(request: OutboundRequest) -> int:
        if request.url == "http://good/":
            if number_of(request) == 2:
                good_is_through.set()
            return 200
        status = next(failures, 200)
        if status == 302:
            await asyncio.wait_for(good_is_through.wait(), 30)
        return status

    async with opened(tmp_path) as store:
        receivers = FakeReceivers(answer)
        await owe(store, *(owed(number, url) for number in (1, 2) for url in ("http://bad/", "http://good/")))
        bench = Bench(store, receivers)
        await bench.until_idle()
        assert receivers.sequence("http://bad/") == [1, 1, 1, 1, 2]
        assert receivers.sequence("http://good/") == [1, 2]
        assert [attempt.status for attempt in await store.attempts("http://bad/ 1")] == [500, 404, 302, 200]
        await bench.stop()


async def test_a_dead_receiver_is_given_up_after_a_day(tmp_path: Path) -> None:
    async def answer(request: OutboundRequest) -> int:
        raise OutboundError("connect", f"{request.url}: refused")

    async with opened(tmp_path) as store:
        receivers = FakeReceivers(answer)
        await owe(store, owed(1, "http://dead/"), owed(2, "http://dead/"))
        bench = Bench(store, receivers)
        await bench.until_idle()
        first, second = await store.outbox_row("http://dead/ 1"), await store.outbox_row("http://dead/ 2")
        assert first is not None and second is not None
        assert (first.state, second.state) == ("gave_up", "gave_up")
        assert first.done_at is not None and 23.5 < (first.done_at - START).total_seconds() / 3600 <= 24
        assert 2 <= second.attempts <= 4, "a row that was held up gets its quick retry"
        moments = [attempt.started_at for attempt in await store.attempts("http://dead/ 1")]
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
        assert gaps[0] == 1 and max(gaps) <= 720
        assert len(moments) == first.attempts == len(receivers.seen) - second.attempts
        assert bench.deliverer.counts.gave_up == 2
        await bench.stop()


async def test_stalled_receivers_delay_nobody(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def answer(request: OutboundRequest) -> int:
        if "slow" in request.url:
            await release.wait()
        return 200

    async with opened(tmp_path) as store:
        receivers = FakeReceivers(answer)
        slow = [owed(1, f"http://h/slow?{i}") for i in range(300)]
        other_host = [owed(1, f"http://dead{i}/slow") for i in range(100)]
        await owe(store, *slow, *other_host)
        bench = Bench(store, receivers)
        for _ in range(132):
            await receivers.arrived.get()
        await owe(store, *(owed(number, "http://h/ok") for number in range(5)))
        for number in range(5):
            request = await receivers.arrived.get()
            assert (request.url, number_of(request)) == ("http://h/ok", number)
        release.set()
        await bench.until_idle()
        assert len(receivers.seen) == 405
        await bench.stop()


async def test_restarts_lose_and_overtake_nothing(tmp_path: Path) -> None:
    """Random answers, a stop in the middle of things again and again: every lane arrives whole and in order."""
    source = random.Random(7)
    arrived: dict[str, list[int]] = {}

    async def answer(request: OutboundRequest) -> int:
        fate = source.random()
        if fate < 0.2:
            raise OutboundError(source.choice(("connect", "read", "address")), "no")
        if fate < 0.4:
            return source.choice((302, 404, 503))
        await asyncio.sleep(0)
        arrived.setdefault(request.url, []).append(number_of(request))
        return 200

    urls = [f"http://h{i % 3}/{i}" for i in range(12)]
    async with opened(tmp_path) as store:
        await owe(store, *(owed(number, url) for number in range(15) for url in urls))
    idle = False
    rounds = 0
    while not idle:
        rounds += 1
        async with opened(tmp_path) as store:
            receivers = FakeReceivers(answer)
            bench = Bench(store, receivers)
            finished = asyncio.create_task(bench.until_idle())
            for _ in range(25):
                arrival = asyncio.create_task(receivers.arrived.get())
                await asyncio.wait({arrival, finished}, return_when=asyncio.FIRST_COMPLETED)
                arrival.cancel()
            idle = finished.done()
            finished.cancel()
            await bench.stop()
    assert rounds > 5
    for url in urls:
        firsts = list(dict.fromkeys(arrived[url]))
        assert firsts == list(range(15))
        assert arrived[url] == sorted(arrived[url]), "a duplicate comes before anything newer"


async def test_a_full_disk_neither_loses_nor_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as store:
        receivers = FakeReceivers()
        await owe(store, owed(1, "http://a/"), owed(2, "http://a/"))
        commit = store.commit
        failures = iter([True] * 5)

        async def full(transaction: Transaction) -> None:
            if next(failures, False):
                raise StorageError("disk full")
            await commit(transaction)

        monkeypatch.setattr(store, "commit", full)
        bench = Bench(store, receivers)
        await bench.until_idle()
        assert receivers.sequence() == [1, 2]
        await bench.stop()


async def test_what_can_never_be_sent_is_given_up_and_says_why(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        receivers = FakeReceivers()
        no_account = msgspec.structs.replace(owed(1, "http://a/"), account="MB")
        garbled = msgspec.structs.replace(owed(2, "http://a/"), event=b'{"type": "Unheard"}')
        await owe(store, no_account, garbled, owed(3, "http://a/"))
        bench = Bench(store, receivers)
        await bench.until_idle()
        assert receivers.sequence() == [3]
        for row, reason in ((no_account, "MB does not exist"), (garbled, "Unheard")):
            found = await store.outbox_row(row.id)
            assert found is not None and (found.state, found.attempts) == ("gave_up", 1)
            (attempt,) = await store.attempts(row.id)
            assert reason in attempt.error and attempt.status is None
        await bench.stop()


async def test_an_impossible_url_is_tried_and_recorded(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        receivers = FakeReceivers()
        await owe(store, owed(1, "gopher://a/"))
        bench = Bench(store, receivers, hours=1)
        await bench.until_idle()
        attempts = await store.attempts("gopher://a/ 1")
        assert len(attempts) > 5 and "http://" in attempts[0].error
        assert receivers.seen == []
        await bench.stop()


async def test_draining_lets_what_is_under_way_end(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def answer(_: OutboundRequest) -> int:
        await release.wait()
        return 200

    async with opened(tmp_path) as store:
        receivers = FakeReceivers(answer)
        await owe(store, owed(1, "http://a/"), owed(2, "http://a/"))
        bench = Bench(store, receivers)
        await receivers.arrived.get()
        draining = asyncio.create_task(bench.stop(seconds=30))
        await asyncio.sleep(0)
        release.set()
        await draining
        assert receivers.sequence() == [1]
        states = [await store.outbox_row(f"http://a/ {number}") for number in (1, 2)]
        assert [row.state for row in states if row is not None] == ["delivered", "pending"]


async def test_drained_before_it_began(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        receivers = FakeReceivers()
        await owe(store, owed(1, "http://a/"))
        await Bench(store, receivers).stop()
    assert receivers.seen == []


async def test_what_does_not_end_in_time_is_sent_again_after_the_restart(tmp_path: Path) -> None:
    async def never(_: OutboundRequest) -> int:
        await asyncio.Event().wait()
        raise AssertionError

    async with opened(tmp_path) as store:
        receivers = FakeReceivers(never)
        await owe(store, owed(1, "http://a/"))
        bench = Bench(store, receivers)
        await receivers.arrived.get()
        await bench.stop(seconds=0)
    async with opened(tmp_path) as store:
        receivers = FakeReceivers()
        bench = Bench(store, receivers)
        await bench.until_idle()
        assert receivers.sequence() == [1]
        await bench.stop()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("sub_account", ["", SUB])
async def test_over_http_signed_for_whom_it_concerns(tmp_path: Path, method: str, sub_account: str) -> None:
    seen: list[tuple[str, str, dict[str, str], dict[str, str]]] = []

    async def handler(request: web.Request) -> web.Response:
        form = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        seen.append((request.method, str(request.url), form, dict(request.headers)))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_route("*", "/hook", handler)
    async with opened(tmp_path) as store, TestServer(app) as server, OutboundClient(allow_private=True) as client:
        url = f"http://127.0.0.1:{server.port}/hook?own=1"
        await owe(store, owed(1, url + "#rc=3", method=method, sub_account=sub_account))
        bench = Bench(store, client)
        await bench.until_idle()
        await bench.stop()
    ((verb, requested, form, headers),) = seen
    assert verb == method
    if method == "GET":
        assert requested.startswith(url + "&EventName=MPCStart") and not form
        bare, parameters = requested.partition("?")[0], dict(parse_qsl(requested.partition("?")[2], True))
    else:
        assert requested == url and "Content-Type" in headers
        bare, parameters = requested, form
    assert parameters["MPCName"] == "conf é" and parameters["MemberID"] == ""
    own = SUB_TOKEN if sub_account else MAIN_TOKEN
    for infix, token in (("", own), ("Ma-", MAIN_TOKEN)):
        v2, v3 = headers[f"X-Plivo-Signature-{infix}V2"], headers[f"X-Plivo-Signature-{infix}V3"]
        nonce = headers["X-Plivo-Signature-V3-Nonce"]
        assert plivo.utils.validate_signature(requested, headers["X-Plivo-Signature-V2-Nonce"], v2, token)
        assert plivo.utils.validate_v3_signature(verb, bare, nonce, token, v3, dict(parameters))


async def test_the_limits_are_those_given(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def answer(_: OutboundRequest) -> int:
        await release.wait()
        return 200

    async with opened(tmp_path) as store:
        receivers = FakeReceivers(answer)
        await owe(store, *(owed(1, f"http://h{i}/") for i in range(10)))
        bench = Bench(store, receivers, limits=Limits(total=3))
        for _ in range(3):
            await receivers.arrived.get()
        assert bench.deliverer.under_way == 3
        release.set()
        await bench.until_idle()
        assert len(receivers.seen) == 10
        await bench.stop()
