"""Calls outside of multiparty calls: the whole server with real phones, documents, conferences and the official SDK."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import soundfile
from aiohttp import web

from mixminus.clock import SystemClock
from mixminus.ids import Mint
from mixminus.sdp.answer import make_offer
from mixminus.sip.endpoint import SipEndpoint
from mixminus.sip.events import Answered, Ended, Rejected, SipEvent
from mixminus.testing import ear, sources
from mixminus.testing.multiparty import eventually, hears
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink, Received
from test_end_to_end import LEAK, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANN, BOB, CAT, MUSIC = 440, 620, 880, 1300
TONES = (ANN, BOB, CAT, MUSIC)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with CallbackSink() as sink:
        environment = {"MIXMINUS_DEFAULT_ANSWER_URL": sink.url("/answer"), "MIXMINUS_SIP_TLS": "127.0.0.1:0"}
        async with ServerProcess(tmp_path_factory.mktemp("server"), environment=environment) as server:
            sink.auth_token = server.address.auth_token
            yield World(server, sink)


@pytest_asyncio.fixture(loop_scope="module")
async def world(running: World) -> AsyncIterator[World]:
    running.sink.received.clear()
    yield running
    await running.phones.aclose()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def music() -> AsyncIterator[str]:
    """URL of an audio file that hums ``MUSIC`` for three seconds."""
    content = io.BytesIO()
    soundfile.write(content, sources.tone(MUSIC, seconds=3.0), sources.RATE, format="WAV", subtype="PCM_16")

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=content.getvalue(), content_type="audio/wav")

    application = web.Application()
    application.router.add_get("/music.wav", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/music.wav"
    await runner.cleanup()


async def call_in(world: World, phone: VirtualPhone, document: str) -> None:
    """Let a phone call the server; its application answers ``document``."""
    world.sink.answer("/answer", f"<Response>{document}</Response>")
    await phone.calls(f"sip:5000@{world.server.address.sip}")


async def at(world: World, path: str, **wanted: str) -> Received:
    """The first request to ``path`` with these parameters."""
    return await world.sink.wait_for(
        lambda one: one.path == path and all(one.parameters.get(name) == value for name, value in wanted.items())
    )


async def sdk(call: Any, *arguments: Any, **parameters: Any) -> Any:
    return await asyncio.to_thread(call, *arguments, **parameters)


async def test_dial_connects_two_phones_and_its_action_goes_on(world: World) -> None:
    ann, bob = await world.phone("ann", ANN), await world.phone("bob", BOB)
    world.sink.answer("/dialled", "<Response><Hangup/></Response>")
    await call_in(
        world,
        ann,
        f'<Dial action="{world.sink.url("/dialled")}" callbackUrl="{world.sink.url("/dial")}" callerName="Shop" '
        f'sipHeaders="Order=77"><User>{bob.address}</User><User>sip:nobody@127.0.0.1:9</User></Dial>',
    )
    await hears(ann, {BOB}, TONES)
    await hears(bob, {ANN}, TONES)
    assert bob.incoming is not None
    assert ("X-PH-Order", "77") in bob.incoming.headers
    assert bob.incoming.from_display == "Shop"
    bob.hangs_up()
    done = await at(world, "/dialled", DialStatus="completed")
    assert done.signature.valid
    assert done.parameters["DialALegUUID"] == done.parameters["CallUUID"]
    await ann.call_over()
    told = [one.parameters["DialAction"] for one in world.sink.received if one.path == "/dial"]
    assert told == ["answer", "connected", "hangup"]


async def test_a_callee_presses_the_key_before_it_is_connected(world: World) -> None:
    ann, bob = await world.phone("ann", ANN), await world.phone("bob", BOB)
    calling = asyncio.create_task(call_in(world, ann, f'<Dial confirmKey="5"><User>{bob.address}</User></Dial>'))
    await bob.in_call()
    await asyncio.sleep(0.3)
    assert not calling.done(), "the caller was answered before the key was pressed"
    bob.presses("5")
    await calling
    await hears(ann, {BOB}, TONES)
    ann.hangs_up()
    await bob.call_over()


async def test_digits_a_prompt_and_a_recording(world: World, music: str) -> None:
    ann = await world.phone("ann", ANN)
    world.sink.answer(
        "/digits",
        f'<Response><Record action="{world.sink.url("/recorded")}" callbackUrl="{world.sink.url("/file")}" '
        'maxLength="2" playBeep="false" fileFormat="wav"/></Response>',
    )
    world.sink.answer("/recorded", "<Response><Hangup/></Response>")
    await call_in(
        world,
        ann,
        f'<GetDigits action="{world.sink.url("/digits")}" numDigits="2"><Play>{music}</Play></GetDigits>',
    )
    await hears(ann, {MUSIC}, TONES)
    ann.presses("42")
    assert (await at(world, "/digits")).parameters["Digits"] == "42"
    recorded = await at(world, "/recorded")
    assert recorded.parameters["RecordingDuration"] == "2"
    await ann.call_over()
    ready = await at(world, "/file")
    assert ready.parameters["RecordUrl"] == recorded.parameters["RecordUrl"]
    samples = sources.from_file(io.BytesIO(await world.server.fetch(ready.parameters["RecordUrl"])))
    assert 1.5 * sources.RATE < len(samples) < 2.5 * sources.RATE
    assert ear.tones(samples, TONES) == {ANN}


async def test_a_conference_and_what_the_api_does_to_it(world: World, music: str) -> None:
    phones = [await world.phone(name, hz) for name, hz in (("ann", ANN), ("bob", BOB), ("cat", CAT))]
    ann, bob, cat = phones
    for phone in phones:
        await call_in(
            world, phone, f'<Conference callbackUrl="{world.sink.url("/conference")}">den</Conference><Hangup/>'
        )
    for phone, others in ((ann, {BOB, CAT}), (bob, {ANN, CAT}), (cat, {ANN, BOB})):
        await hears(phone, others, TONES)
    conferences = world.client.conferences
    assert (await sdk(conferences.list)).conferences == ["den"]
    started = await sdk(conferences.record, "den", file_format="wav", callback_url=world.sink.url("/file"))
    found = await sdk(conferences.get, "den")
    assert found.conference_member_count == "3"
    member = {one["from"].partition("@")[0]: one["member_id"] for one in found.members}
    await sdk(conferences.member_mute, "den", member["sip:cat"])
    await hears(ann, {BOB}, TONES)
    await sdk(conferences.member_play, "den", member["sip:ann"], music)
    await hears(ann, {BOB, MUSIC}, TONES)
    await hears(bob, {ANN}, TONES)
    await sdk(conferences.member_play_stop, "den", member["sip:ann"])
    await sdk(conferences.member_kick, "den", member["sip:cat"])
    await cat.call_over()
    await sdk(conferences.delete, "den")
    await ann.call_over()
    await bob.call_over()
    assert not ear.tone_spans(bob.heard.all(), MUSIC, above=LEAK), "what was played to one was heard by another"
    ready = await at(world, "/file")
    assert ready.parameters["recording_id"] == started.recording_id
    samples = sources.from_file(io.BytesIO(await world.server.fetch(ready.parameters["record_url"])))
    assert {ANN, BOB} <= ear.tones(samples, TONES) <= {ANN, BOB, CAT}, "the mix, without what was played to one"
    told = [one.parameters["ConferenceAction"] for one in world.sink.received if one.path == "/conference"]
    assert told == ["enter"] * 3 + ["exit"] * 3


async def test_a_call_over_the_api_from_ring_to_hang_up(world: World, music: str) -> None:
    ann = await world.phone("ann", ANN)
    world.sink.answer("/answer", '<Response><Wait length="60"/></Response>')
    world.sink.answer("/transfer", '<Response><Wait length="60"/></Response>')
    calls = world.client.calls
    ann.answers(after=0.2)
    created = await sdk(
        calls.create,
        from_="14155550100",
        to_=ann.address,
        answer_url=world.sink.url("/answer"),
        ring_url=world.sink.url("/ring"),
        hangup_url=world.sink.url("/hangup"),
    )
    await ann.in_call()
    answered = await at(world, "/answer", Event="StartApp")
    uuid = answered.parameters["CallUUID"]
    assert (await at(world, "/ring")).parameters["CallStatus"] == "ringing"
    assert answered.parameters["RequestUUID"] == created.request_uuid
    assert (await sdk(world.client.live_calls.list_ids)).calls == [uuid]
    live = await sdk(world.client.live_calls.get, uuid)
    assert (live.call_status, live.direction) == ("in-progress", "outbound")
    recording = await sdk(calls.record, uuid, file_format="wav", callback_url=world.sink.url("/file"))
    await sdk(calls.play, uuid, music)
    await hears(ann, {MUSIC}, TONES)
    await sdk(calls.play_stop, uuid)
    await hears(ann, set(), TONES)
    await sdk(calls.transfer, uuid, legs="aleg", aleg_url=world.sink.url("/transfer"))
    await at(world, "/transfer")
    await sdk(calls.record_stop, uuid)
    ready = await at(world, "/file")
    assert ready.parameters["recording_id"] == recording.recording_id
    samples = sources.from_file(io.BytesIO(await world.server.fetch(ready.parameters["record_url"])))
    assert ear.tones(samples, TONES) == {ANN, MUSIC}
    await sdk(calls.hangup, uuid)
    await ann.call_over()
    ended = await at(world, "/hangup", Event="Hangup")
    assert (ended.parameters["HangupCauseCode"], ended.parameters["HangupSource"]) == ("4000", "API Request")
    found = await sdk(calls.get, uuid)
    assert (found.call_state, found.hangup_cause_code) == ("ANSWER", 4000)
    assert not (await sdk(world.client.live_calls.list_ids)).calls


async def test_a_request_is_cancelled_while_it_rings(world: World) -> None:
    ann = await world.phone("ann", ANN)
    ann.rings_out()
    created = await sdk(
        world.client.calls.create,
        from_="14155550100",
        to_=ann.address,
        answer_url=world.sink.url("/answer"),
        hangup_url=world.sink.url("/hangup"),
    )
    await eventually(lambda: ann.state == "ringing", what="ringing")
    await sdk(world.client.calls.cancel, created.request_uuid)
    ended = await at(world, "/hangup", Event="Hangup")
    assert (ended.parameters["CallStatus"], ended.parameters["HangupCauseCode"]) == ("cancel", "4000")
    await ann.call_over()


async def test_a_call_over_tls_with_a_certificate_of_the_servers_own(world: World) -> None:
    happened: asyncio.Queue[SipEvent] = asyncio.Queue()
    authority = world.server.data / "authority" / "ca.pem"
    phone = SipEndpoint(
        mint=Mint(1),
        clock=SystemClock(),
        handler=happened.put_nowait,
        credentials=lambda username: None,
        realm="phone",
        trust=ssl.create_default_context(cafile=authority),
    )
    _, port = await phone.start("127.0.0.1", 0)
    try:
        world.sink.answer("/answer", "<Response><Hangup/></Response>")
        offer = make_offer(host="127.0.0.1", port=port, session_id=1, version=1)
        phone.invite(f"sips:5000@{world.server.address.sip_tls}", from_="100", sdp=offer)
        asked = await at(world, "/answer", To="5000")
        assert asked.parameters["Direction"] == "inbound"
        async with asyncio.timeout(10):
            while not isinstance(event := await happened.get(), Ended | Rejected):
                assert not isinstance(event, Answered) or b"m=audio" in event.sdp
    finally:
        await phone.stop()
