"""Async tests: the application runs in the test's own loop, and answers while virtual time moves."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import mixminus as package
from mixminus.testing.sources import tone
from mixminus.testing.virtual.world import NotReached, World

pytest_plugins = ["pytester"]


class Ivr:
    """An ASGI application that lets callers choose, and knows what they chose."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        self.loop = asyncio.get_running_loop()
        self.asked.append(scope["path"])
        host = dict(scope["headers"])[b"host"].decode()
        menu = (
            f'<GetDigits action="http://{host}/chosen" numDigits="1"/>' if scope["path"] == "/answer" else "<Hangup/>"
        )
        body = f"<Response>{menu}</Response>".encode()
        headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def drive(mixminus: World) -> Ivr:
    """A caller, an IVR in this loop, a key."""
    app, aio = Ivr(), mixminus.aio
    async with aio.serving(app) as base:
        made = await aio.client.applications.create("ivr", answer_url=f"{base}/answer", answer_method="POST")
        caller = await aio.phone("caller")
        await caller.calls(made.app_id)
        assert caller.in_call
        await caller.presses("2")
        await aio.until(lambda: "/chosen" in app.asked)
        await aio.until(lambda: not caller.in_call)
        assert 0 < mixminus.seconds < 30
    return app


async def test_the_application_may_live_in_the_loop_of_the_test(mixminus: World) -> None:
    app = await drive(mixminus)
    assert app.asked[:2] == ["/answer", "/chosen"]
    assert app.loop is asyncio.get_running_loop()


async def test_the_loop_goes_on_while_virtual_time_moves(mixminus: World) -> None:
    """The world stops in the middle of its way until this loop has gone on."""
    waits, went_on = threading.Event(), threading.Event()

    async def go_on() -> None:
        while not waits.is_set():  # noqa: ASYNC110 - it is another thread's
            await asyncio.sleep(0.001)
        went_on.set()

    def condition() -> bool:
        waits.set()
        return went_on.wait(40)

    going = asyncio.ensure_future(go_on())
    await mixminus.aio.until(condition)
    await going
    await mixminus.aio.advance(minutes=30)
    assert mixminus.seconds == 1800


async def test_phones_speak_and_flowing_is_awaited(mixminus: World) -> None:
    aio = mixminus.aio
    agent, customer = await aio.phone("agent"), await aio.phone("customer")
    for role, phone in (("agent", agent), ("customer", customer)):
        await aio.client.multi_party_calls.add_participant(
            friendly_name="room", role=role, from_="14155550100", to_=phone.address
        )
    await customer.holds()
    await customer.resumes()
    await customer.offers(["PCMA"])
    assert (customer.refusal, customer.codec) == (0, "PCMA")
    await customer.says(tone(440), seconds=2)
    async with aio.flowing():
        while mixminus.seconds < 3:  # noqa: ASYNC110 - time flows by itself
            await asyncio.sleep(0.002)
    assert agent.heard(customer.phone)
    with pytest.raises(NotReached, match="MPCEnd"):
        await aio.until("MPCEnd", seconds=1)


_PATH = os.pathsep.join((str(Path(__file__).parents[2]), str(Path(package.__file__).parents[1])))
ANYIO = """
import pytest
from testing.virtual.test_aio import drive

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
@pytest.mark.parametrize("number", range(2))
async def test_it(mixminus, number):
    assert (await drive(mixminus)).asked[:2] == ["/answer", "/chosen"]
"""


@pytest.mark.timeout(180)
def test_anyio_runs_it_too(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", _PATH)
    pytester.makepyfile(ANYIO)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:asyncio")
    result.assert_outcomes(passed=2)


@pytest.mark.slow
def test_async_worlds_run_side_by_side(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", _PATH)
    pytester.makepyfile(ANYIO)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "2", "-p", "no:asyncio")
    result.assert_outcomes(passed=2)
