"""The whole server with two media workers: who is answered on one can join a call on the other.

Real: it is about processes that share sockets, and about how busy they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import plivo
import pytest
import pytest_asyncio

from mixminus.testing import ear
from mixminus.testing.multiparty import MultiPartyCall, hears
from mixminus.testing.phone import CallFailed
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink
from test_end_to_end import World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

ANN, BOB, CAT = 440, 620, 880
TONES = (ANN, BOB, CAT)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with CallbackSink() as sink:
        environment = {"MIXMINUS_DEFAULT_ANSWER_URL": sink.url("/answer")}
        folder = tmp_path_factory.mktemp("server")
        async with ServerProcess(folder, "--workers", "2", environment=environment) as server:
            sink.auth_token = server.address.auth_token
            made = World(server, sink)
            yield made
            await made.phones.aclose()


async def metric(world: World, name: str) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"{world.server.address.api}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def test_callers_who_were_answered_on_different_workers_meet_in_one_call(world: World) -> None:
    """Each hears something of its own first, so none is known to go to the call when its worker is chosen."""
    sink = world.sink
    sink.answer(
        "/answer",
        f'<Response><GetDigits timeout="1"/><MultiPartyCall role="agent" record="true" recordFileFormat="wav" '
        f'enterSound="none" exitSound="none" statusCallbackUrl="{sink.url("/status")}" '
        f'recordingCallbackUrl="{sink.url("/recording")}" startMpcOnEnter="true">meeting</MultiPartyCall></Response>',
    )
    phones = [await world.phone(name, hz) for name, hz in (("ann", ANN), ("bob", BOB), ("cat", CAT))]
    await asyncio.gather(*(phone.calls(f"sip:5000@{world.server.address.sip}") for phone in phones))
    assert await metric(world, "mixminus_media_leg_crossings_total") == 0
    for phone, hz in zip(phones, TONES, strict=True):
        await hears(phone, {*TONES} - {hz}, TONES)
    crossed = await metric(world, "mixminus_media_leg_crossings_total")
    assert crossed in (1, 2)

    ann, bob, cat = phones
    bob.hangs_up()
    await bob.call_over()
    await hears(ann, {CAT}, TONES)
    await hears(cat, {ANN}, TONES)
    for phone in (ann, cat):
        phone.hangs_up()
        await phone.call_over()
    samples = await world.download(await sink.wait_for("MPCRecordingCompleted", timeout=10))
    assert ear.tones(samples, TONES) == {*TONES}

    for _ in range(100):
        if not await metric(world, "mixminus_media_legs{"):
            break
        await asyncio.sleep(0.1)
    assert not await metric(world, "mixminus_media_legs{")


async def test_a_full_server_refuses_callers_with_503_and_the_api_says_why(tmp_path: Path) -> None:
    """The mark is below what a worker needs for ticking."""
    environment = {"MIXMINUS_MEDIA_HIGH_WATER": "0.0001"}
    async with CallbackSink() as sink, ServerProcess(tmp_path, environment=environment) as server:
        world = World(server, sink)
        for _ in range(100):
            if await metric(world, "mixminus_media_load{") > 0.0001:
                break
            await asyncio.sleep(0.1)
        ann = await world.phone("ann", ANN)
        with pytest.raises(CallFailed, match="503"):
            await ann.calls(f"sip:5000@{server.address.sip}")
        with pytest.raises(plivo.exceptions.PlivoRestError, match="all media workers are at their limit: try again"):
            await MultiPartyCall(world.client, sink, "full").dial("agent", ann.address)
        await world.phones.aclose()
