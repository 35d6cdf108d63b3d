"""The whole server with real phones: prompts, music and announcements reach those they are for, and nobody else."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
import soundfile

from mixminus.sdp.answer import Codec
from mixminus.testing import ear, sources
from mixminus.testing.multiparty import MultiPartyCall, hears
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink

pytestmark = pytest.mark.asyncio(loop_scope="module")

AGENT, CUSTOMER, PROMPT, MUSIC = 450, 620, 1500, 1900
TONES = (AGENT, CUSTOMER, PROMPT, MUSIC)
LEAK = -30
"""dBFS: as in the other end-to-end tests."""
_names = (f"sounds-{number}" for number in itertools.count(1))


def wav(hz: float, seconds: float, rate: int = 22_050, and_also: float | None = None) -> bytes:
    """A stereo file at a rate that is not ours."""
    tones = [hz] if and_also is None else [hz, and_also]
    mono = sum(0.25 / len(tones) * np.sin(2 * np.pi * one * np.arange(round(rate * seconds)) / rate) for one in tones)
    file = io.BytesIO()
    soundfile.write(file, np.stack([mono, mono], axis=1), rate, format="WAV")
    return file.getvalue()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class World:
    def __init__(self, server: ServerProcess, sink: CallbackSink) -> None:
        self.server, self.sink = server, sink
        self.client = server.plivo_client()
        self.phones = AsyncExitStack()

    async def phone(self, name: str, hz: float, codec: Codec = "PCMU") -> VirtualPhone:
        phone = await self.phones.enter_async_context(VirtualPhone(name, codecs=(codec,)))
        phone.says(sources.tone(hz), loop=True)
        return phone

    def call(self) -> MultiPartyCall:
        self.sink.received.clear()
        return MultiPartyCall(self.client, self.sink, next(_names))

    async def post(self, path: str, fields: dict[str, str]) -> tuple[int, Any]:
        """What the official package has no method for."""
        address = self.server.address
        url = f"http://{address.http}/v1/Account/{address.auth_id}/{path}"
        headers = {"Authorization": basic(address.auth_id, address.auth_token)}
        async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json=fields) as answer:
            return answer.status, await answer.json()

    def members(self) -> dict[str, str]:
        """Role → member id of those who have joined."""
        joined = [one.parameters for one in self.sink.received if one.event == "ParticipantJoin"]
        return {one["ParticipantRole"]: one["MemberID"] for one in joined}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with CallbackSink() as sink, ServerProcess(tmp_path_factory.mktemp("server")) as server:
        sink.auth_token = server.address.auth_token
        sink.answer("/prompt.wav", wav(PROMPT, 8))
        sink.answer("/music.wav", wav(MUSIC, 1))
        sink.answer("/hold", f"<Response><Play>{sink.url('/music.wav')}</Play><Hangup/></Response>")
        yield World(server, sink)


@pytest_asyncio.fixture(loop_scope="module")
async def world(running: World) -> AsyncIterator[World]:
    yield running
    await running.phones.aclose()


async def test_a_private_prompt_is_private_and_hold_music_is_the_customers(world: World) -> None:
    call = world.call()
    agent, customer = await world.phone("agent", AGENT), await world.phone("customer", CUSTOMER)
    hold: dict[str, Any] = {"customer_hold_music_url": world.sink.url("/hold"), "customer_hold_music_method": "GET"}
    await call.add("agent", agent, **hold)
    await call.add("customer", customer)
    started = await call.record("wav")
    member = world.members()["customer"]

    answer = await call("start_play_audio", participant_id=member, url=world.sink.url("/prompt.wav"))
    assert (answer.message, answer["mpcMemberId"], answer["mpcName"]) == ("play queued into MPC", [member], call.name)
    await hears(customer, {AGENT, PROMPT}, TONES)
    await hears(agent, {CUSTOMER}, TONES)
    await call("stop_play_audio", participant_id="all")
    await hears(customer, {AGENT, PROMPT}, TONES)
    await call("stop_play_audio", participant_id=member)
    await hears(customer, {AGENT}, TONES)

    await call("update_participant", participant_id=member, hold=True)
    await hears(customer, {MUSIC}, TONES)
    await hears(agent, set(), TONES)
    asked = next(one for one in world.sink.received if one.path == "/hold")
    assert asked.signature.valid
    assert (asked.parameters["MPCName"], asked.parameters["ParticipantRole"]) == (call.name, "customer")
    await call("update_participant", participant_id=member, hold=False)
    await hears(customer, {AGENT}, TONES)

    await call("stop_recording")
    done = await world.sink.wait_for("MPCRecordingCompleted", timeout=10)
    assert done.parameters["RecordingUUID"] == started.recording_id
    recorded = sources.from_file(io.BytesIO(await world.server.fetch(done.parameters["RecordingURL"])))
    for hz in (PROMPT, MUSIC):
        assert not ear.tone_spans(recorded, hz, above=LEAK), f"{hz} Hz is in the recording"
    assert not ear.tone_spans(agent.heard.all(), PROMPT, above=LEAK), "the agent heard the customer's prompt"
    await call("stop")
    await world.sink.wait_for("MPCEnd")
    assert [one.path for one in world.sink.received].count("/prompt.wav") == 1


async def test_who_must_confirm_hears_the_prompt_and_joins_with_the_key(world: World) -> None:
    call = world.call()
    agent = await world.phone("agent", AGENT)
    await call.dial("agent", agent.address, confirm_key="5", confirm_key_sound_url=world.sink.url("/prompt.wav"))
    await agent.in_call()
    await hears(agent, {PROMPT}, TONES)
    assert "ParticipantJoin" not in world.sink.events()
    agent.presses("5")
    await world.sink.wait_for("ParticipantJoin")
    await hears(agent, set(), TONES)
    await call("stop")
    await agent.call_over()


async def test_a_recording_begins_when_its_announcement_has_ended(world: World) -> None:
    world.sink.answer("/announce", wav(PROMPT, 0.6))
    call = world.call()
    agent, customer = await world.phone("agent", AGENT), await world.phone("customer", CUSTOMER)
    await call.add("agent", agent, start_recording_audio=world.sink.url("/announce"))
    await call.add("customer", customer)
    await call.record("wav")
    await world.sink.wait_for("MPCRecordingInitiated")
    for phone in (agent, customer):
        assert ear.tone_spans(phone.heard.all(), PROMPT, above=LEAK), f"{phone.name} heard no announcement"
    await hears(agent, {CUSTOMER}, TONES)
    await call("stop_recording")
    done = await world.sink.wait_for("MPCRecordingCompleted", timeout=10)
    recorded = sources.from_file(io.BytesIO(await world.server.fetch(done.parameters["RecordingURL"])))
    assert not ear.tone_spans(recorded, PROMPT, above=LEAK)
    assert ear.tones(recorded, TONES) == {AGENT, CUSTOMER}
    await call("stop")
    await agent.call_over()


async def test_a_prompt_is_as_wide_as_its_file_for_whom_can_hear_it(world: World) -> None:
    world.sink.answer("/wide.wav", wav(PROMPT, 8, 44_100, and_also=5500))
    call = world.call()
    agent, customer = await world.phone("agent", AGENT, "opus"), await world.phone("customer", CUSTOMER)
    await call.add("agent", agent)
    await call.add("customer", customer)
    await call.record("wav")
    await call("start_play_audio", participant_id="all", url=world.sink.url("/wide.wav"))
    await hears(agent, {CUSTOMER, PROMPT}, TONES)
    await hears(customer, {AGENT, PROMPT}, (*TONES, 2500))
    await call("stop_recording")
    done = await world.sink.wait_for("MPCRecordingCompleted", timeout=10)
    pcm, rate = soundfile.read(io.BytesIO(await world.server.fetch(done.parameters["RecordingURL"])))
    assert rate == 48_000
    wave = np.exp(-2j * np.pi / rate * np.outer([PROMPT, 5500], np.arange(4800)))
    levels = np.abs(pcm[: pcm.size // 4800 * 4800].reshape(-1, 4800) @ wave.T) / 2400
    assert levels[-3:] == pytest.approx(0.125, rel=0.01), "both tones, equally loud"
    await call("stop")
    for phone in (agent, customer):
        await phone.call_over()


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_speech_replaces_the_talk_for_its_listener_only(world: World) -> None:
    call = world.call()
    agent, customer = await world.phone("agent", AGENT), await world.phone("customer", CUSTOMER)
    await call.add("agent", agent)
    await call.add("customer", customer)
    member = world.members()["customer"]
    text = "Thank you for waiting. You are the next caller in line. We will be with you in a moment."
    status, answer = await world.post(f"MultiPartyCall/name_{call.name}/Member/{member}/Speak/", {"text": text})
    assert (status, answer["message"], answer["mpcMemberId"]) == (202, "speak queued into MPC", [member])
    await hears(customer, set(), (AGENT,))
    await hears(agent, {CUSTOMER}, TONES)
    now = time.monotonic_ns()
    assert np.abs(customer.heard.between(now - 400_000_000, now)).max() > 1000, "somebody speaks"
    await hears(customer, {AGENT}, (AGENT,), timeout=15)
    await call("stop")
    await agent.call_over()


async def test_a_sound_that_is_not_there_changes_nothing(world: World) -> None:
    call = world.call()
    agent, customer = await world.phone("agent", AGENT), await world.phone("customer", CUSTOMER)
    await call.add("agent", agent)
    await call.add("customer", customer)
    world.sink.fail("/gone.mp3", status=404, times=2)
    await call("start_play_audio", participant_id="all", url=world.sink.url("/gone.mp3"))
    await world.sink.wait_for(lambda one: one.path == "/gone.mp3", count=2)
    await asyncio.gather(hears(agent, {CUSTOMER}, TONES), hears(customer, {AGENT}, TONES))
    await call("stop")
    await agent.call_over()
