from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator

import aiohttp
import pytest

from mixminus.testing.sink import CallbackSink, Received

TOKEN = "Y2Q2ZDgxZmY5YWRiOTI5YmQ1Njg0MTAxZWIyOTc4"


@pytest.fixture
async def sink() -> AsyncIterator[CallbackSink]:
    async with CallbackSink(TOKEN) as running:
        yield running


def _sign(message: str) -> str:
    return base64.b64encode(hmac.new(TOKEN.encode(), message.encode(), hashlib.sha256).digest()).decode()


async def _post(url: str, form: dict[str, str], headers: dict[str, str] | None = None) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.post(url, data=form, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_requests_are_kept_in_order_with_query_and_form_merged(sink: CallbackSink) -> None:
    await _post(sink.url("/status?app=7"), {"EventName": "MPCStart", "SequenceNumber": "2"})
    async with aiohttp.ClientSession() as session, session.get(sink.url("/hang?CallStatus=busy")) as answer:
        assert answer.status == 200
    first, second = sink.received
    assert (first.method, first.path, first.event, first.sequence) == ("POST", "/status", "MPCStart", 2)
    assert first.parameters["app"] == "7"
    assert (second.method, second.event, second.sequence) == ("GET", "busy", None)
    assert sink.events("/status") == ["MPCStart"]


async def test_a_right_signature_is_valid_and_a_wrong_one_is_not(sink: CallbackSink) -> None:
    url = sink.url("/status")
    headers = {
        "X-Plivo-Signature-V2": _sign(url + "123"),
        "X-Plivo-Signature-V2-Nonce": "123",
        "X-Plivo-Signature-V3": _sign(f"{url}?EventNameMPCStart.456"),
        "X-Plivo-Signature-V3-Nonce": "456",
    }
    await _post(url, {"EventName": "MPCStart"}, headers)
    await _post(url, {"EventName": "MPCEnd"}, headers)
    await _post(url, {"EventName": "MPCEnd"})
    right, tampered, unsigned = [one.signature for one in sink.received]
    assert right.valid
    assert (tampered.v2, tampered.v3, tampered.valid) == ("valid", "invalid", False)
    assert (unsigned.v2, unsigned.v3, unsigned.valid) == ("missing", "missing", False)


async def test_answers_and_failures_are_programmable(sink: CallbackSink) -> None:
    sink.answer("/answer", "<Response/>")
    sink.fail("/answer", status=500, times=2)
    answers = [await _post(sink.url("/answer"), {"Event": "StartApp"}) for _ in range(3)]
    assert answers == [(500, ""), (500, ""), (200, "<Response/>")]
    assert sink.events() == ["StartApp"]
    assert len(sink.received) == 3


async def test_waiting_finds_past_and_future_requests(sink: CallbackSink) -> None:
    await _post(sink.url(), {"EventName": "MPCStart"})
    assert (await sink.wait_for("MPCStart", timeout=1)).event == "MPCStart"
    seen: list[Received] = []
    sink._on_received = seen.append
    await _post(sink.url(), {"EventName": "MPCEnd"})
    assert (await sink.wait_for(lambda one: one.event == "MPCEnd", timeout=1)) is seen[0]


async def test_waiting_in_vain_says_what_came_instead(sink: CallbackSink) -> None:
    await _post(sink.url(), {"EventName": "MPCStart"})
    with pytest.raises(TimeoutError, match=r"no MPCEnd within 0\.01 s; came: MPCStart"):
        await sink.wait_for("MPCEnd", timeout=0.01)
