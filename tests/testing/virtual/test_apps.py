"""Applications mounted in process, and the plugin as a user's test run sees it."""

from __future__ import annotations

from typing import Any

import pytest

from mixminus.testing.virtual.apps import is_asgi
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add

pytest_plugins = ["pytester"]


def test_a_wsgi_application_calls_back_within_the_same_instant(mixminus: World) -> None:
    from flask import Flask, Response, request

    flask = Flask("app")
    agent, boss = mixminus.phone("agent"), mixminus.phone("boss")
    seen: list[str] = []

    @flask.post("/status")
    def status() -> Response:
        seen.append(request.form["EventName"])
        if seen[-1] == "MPCInitialized":
            add(mixminus, "supervisor", boss, status_callback_url=base + "/status")
        return Response("")

    base = mixminus.mount(flask)
    add(mixminus, "agent", agent, status_callback_url=base + "/status")
    assert boss.in_call
    assert mixminus.seconds == 0
    assert seen.count("ParticipantJoin") == 2


def test_an_asgi_application_answers_a_call(mixminus: World) -> None:
    asked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        asked.append(scope["path"])
        body = b"<Response><Hangup/></Response>"
        headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    assert is_asgi(app)
    base = mixminus.mount(app)
    caller = mixminus.phone("caller")
    made = mixminus.client.applications.create("ivr", answer_url=base + "/ivr", answer_method="POST")
    caller.calls(made.app_id)
    mixminus.until(lambda: caller.line.ended is not None)
    assert asked[0] == "/ivr"


FAILING = """
from mixminus.testing.sources import tone

def test_it(mixminus):
    agent, customer = mixminus.phone("agent"), mixminus.phone("customer")
    for role, phone in (("agent", agent), ("customer", customer)):
        mixminus.client.multi_party_calls.add_participant(
            friendly_name="room", role=role, from_="14155550100", to_=phone.address)
    customer.says(tone(440), seconds=2)
    mixminus.advance(3)
    assert not agent.heard(customer)
"""


def test_a_failed_test_shows_its_timeline(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILING)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:asyncio")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*mixminus timeline*", "virtual time 0.00 to 3.00 s*", "customer said*##*"])
    picture = next((pytester.path / ".mixminus").glob("*.svg"))
    assert picture.read_text().startswith("<svg")
    assert picture.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
