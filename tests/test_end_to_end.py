"""The whole server with real phones and the official SDK: who hears whom, what is recorded, what is told."""

from __future__ import annotations

import asyncio
import io
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from mixminus.testing import ear, sources
from mixminus.testing.multiparty import MultiPartyCall, eventually, hears
from mixminus.testing.phone import CallFailed, VirtualPhone
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink, Received

pytestmark = pytest.mark.asyncio(loop_scope="module")

AGENT, CUSTOMER, COACH, SECRET = 440, 620, 880, 1300
TONES = (AGENT, CUSTOMER, COACH, SECRET)
LEAK = -30
"""dBFS: one leaked frame of a tone measures -18 in a 40 ms window, a cut through other tones at most -35."""
_names = (f"call-{number}" for number in itertools.count(1))


class World:
    """One server, one sink, and phones for the asking."""

    def __init__(self, server: ServerProcess, sink: CallbackSink) -> None:
        self.server = server
        self.sink = sink
        self.client = server.plivo_client()
        self.phones = AsyncExitStack()

    async def phone(self, name: str, hz: float, **options: Any) -> VirtualPhone:
        """A new phone that hums a tone."""
        phone = await self.phones.enter_async_context(VirtualPhone(name, **options))
        phone.says(sources.tone(hz), loop=True)
        return phone

    def call(self) -> MultiPartyCall:
        """A multiparty call of its own, everything received so far forgotten."""
        self.sink.received.clear()
        return MultiPartyCall(self.client, self.sink, next(_names))

    async def download(self, recording: Received) -> sources.Samples:
        """The samples of an announced recording, got from where it was announced."""
        return sources.from_file(io.BytesIO(await self.server.fetch(recording.parameters["RecordingURL"])))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with CallbackSink() as sink:
        environment = {"MIXMINUS_DEFAULT_ANSWER_URL": sink.url("/answer")}
        async with ServerProcess(tmp_path_factory.mktemp("server"), environment=environment) as server:
            sink.auth_token = server.address.auth_token
            yield World(server, sink)


@pytest_asyncio.fixture(loop_scope="module")
async def world(running: World) -> AsyncIterator[World]:
    yield running
    await running.phones.aclose()


async def test_a_coached_call_is_heard_recorded_and_told_as_it_should_be(world: World) -> None:
    agent, customer, coach = [
        await world.phone(name, hz) for name, hz in (("agent", AGENT), ("customer", CUSTOMER), ("coach", COACH))
    ]
    call = world.call()
    await call.add("agent", agent)
    await call.add("customer", customer)
    await call.add("supervisor", coach, coach_mode=True)
    started = await call.record("wav")

    await hears(agent, {CUSTOMER, COACH}, TONES)
    await hears(customer, {AGENT}, TONES)
    await hears(coach, {AGENT, CUSTOMER}, TONES)

    await call("pause_recording")
    customer.says(sources.tone(SECRET), loop=True)
    await hears(agent, {SECRET, COACH}, TONES)
    customer.says(sources.tone(CUSTOMER), loop=True)
    await hears(agent, {CUSTOMER, COACH}, TONES)
    await call("resume_recording")
    await hears(agent, {CUSTOMER, COACH}, TONES)
    await call("stop_recording")
    done = await world.sink.wait_for("MPCRecordingCompleted", timeout=5)
    await call("stop")
    await world.sink.wait_for("MPCEnd")
    for phone in (agent, customer, coach):
        await phone.call_over()

    assert not ear.tone_spans(customer.heard.all(), COACH, above=LEAK), "the customer heard the coach"

    samples = await world.download(done)
    assert ear.tones(samples, TONES) == {AGENT, CUSTOMER, COACH}
    assert not ear.tone_spans(samples, SECRET, above=LEAK), "the paused time is in the file"
    assert done.parameters["RecordingUUID"] == started.recording_id
    listed = await asyncio.to_thread(world.client.recordings.get, started.recording_id)
    assert float(listed.recording_duration_ms) == len(samples) / sources.RATE * 1000

    assert call.status_events() == [
        "MPCInitialized",
        "ParticipantJoin",
        "MPCStart",
        "ParticipantJoin",
        "ParticipantJoin",
        "ParticipantExit",
        "ParticipantExit",
        "ParticipantExit",
        "MPCEnd",
    ]
    assert world.sink.events("/recording") == [
        "MPCRecordingInitiated",
        "MPCRecordingPaused",
        "MPCRecordingResumed",
        "MPCRecordingCompleted",
    ]
    for path in ("/status", "/recording"):
        sequence = [one.sequence for one in world.sink.received if one.path == path]
        assert sequence == list(range(sequence[0] or 0, (sequence[0] or 0) + len(sequence)))
    assert [str(one.signature) for one in world.sink.received] == ["valid"] * len(world.sink.received)


async def test_mute_hold_and_leaving_coach_mode_change_who_is_heard(world: World) -> None:
    agent, customer, coach = [
        await world.phone(name, hz) for name, hz in (("agent", AGENT), ("customer", CUSTOMER), ("coach", COACH))
    ]
    call = world.call()
    await call.add("agent", agent)
    await call.add("customer", customer)
    await call.add("supervisor", coach, coach_mode=True)
    members = {
        one.parameters["ParticipantRole"]: one.parameters["MemberID"]
        for one in world.sink.received
        if one.event == "ParticipantJoin"
    }
    await call("update_participant", participant_id=members["customer"], mute=True)
    await hears(agent, {COACH}, TONES)
    await hears(customer, {AGENT}, TONES)
    await call("update_participant", participant_id=members["customer"], mute=False)
    await hears(agent, {CUSTOMER, COACH}, TONES)
    await call("update_participant", participant_id=members["supervisor"], coach_mode=False)
    await hears(customer, {AGENT, COACH}, TONES)
    await call("update_participant", participant_id=members["customer"], hold=True)
    await hears(agent, {COACH}, TONES)
    await hears(customer, set(), TONES)
    await call("kick_participant", participant_id=members["customer"])
    await customer.call_over()
    await call("stop")
    await world.sink.wait_for("MPCEnd")
    told = [one for one in call.status_events() if one.startswith("Participant")][3:]
    assert told == [
        "ParticipantMute",
        "ParticipantUnmute",
        "ParticipantCoachModeStop",
        "ParticipantHold",
        "ParticipantExit",
        "ParticipantExit",
        "ParticipantExit",
    ]


async def test_an_inbound_call_is_put_in_by_its_answer_document(world: World) -> None:
    call = world.call()
    caller, agent = await world.phone("caller", CUSTOMER, codecs=("PCMA",)), await world.phone("agent", AGENT)
    world.sink.answer(
        "/answer",
        f'<Response><MultiPartyCall role="customer" enterSound="none" statusCallbackUrl="{world.sink.url("/status")}">'
        f"{call.name}</MultiPartyCall></Response>",
    )
    await caller.calls(f"sip:5000@{world.server.address.sip}")
    await world.sink.wait_for("ParticipantJoin")
    await call.add("agent", agent)
    await hears(caller, {AGENT}, TONES)
    await hears(agent, {CUSTOMER}, TONES)
    asked = next(one for one in world.sink.received if one.path == "/answer")
    assert (asked.parameters["Direction"], asked.signature.valid) == ("inbound", True)
    caller.hangs_up()
    await world.sink.wait_for("MPCEnd")
    await agent.call_over()


async def test_an_inbound_call_whose_document_is_broken_ends(world: World) -> None:
    world.call()
    world.sink.answer("/answer", "<Response><MultiParty")
    caller = await world.phone("caller", CUSTOMER)
    try:
        await caller.calls(f"sip:5000@{world.server.address.sip}")
    except CallFailed as refused:
        assert refused.status >= 400
    else:
        await caller.call_over()


async def test_a_registered_endpoint_is_reached_by_its_name(world: World) -> None:
    call = world.call()
    create = world.client.endpoints.create
    endpoint = await asyncio.to_thread(create, username="alice", password="secret-1", alias="Alice")
    phone, other = await world.phone("alice", AGENT), await world.phone("bob", CUSTOMER)
    sip = world.server.address.sip
    with pytest.raises(CallFailed):
        await phone.registers(sip, endpoint.username, "wrong")
    await phone.registers(sip, endpoint.username, "secret-1")
    await call.dial("agent", f"sip:{endpoint.username}@{sip}")
    await phone.in_call()
    await call.add("customer", other)
    await hears(phone, {CUSTOMER}, TONES)
    await call("stop")
    await phone.call_over()


async def test_a_phone_that_holds_and_resumes_is_heard_again(world: World) -> None:
    call = world.call()
    agent, customer = await world.phone("agent", AGENT), await world.phone("customer", CUSTOMER)
    await call.add("agent", agent)
    await call.add("customer", customer)
    await hears(customer, {AGENT}, TONES)
    await customer.holds()
    await eventually(lambda: _still(customer), what="the server's silence")
    await hears(agent, {CUSTOMER}, TONES)
    await customer.resumes()
    await hears(customer, {AGENT}, TONES)
    await hears(agent, {CUSTOMER}, TONES)
    await call("stop")
    await agent.call_over()


def _still(phone: VirtualPhone) -> bool:
    """Whether nothing came within the last 200 ms."""
    now = time.monotonic_ns()
    return not phone.heard.between(now - 200_000_000, now).any()


async def test_sigterm_ends_an_idle_server_cleanly(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = ServerProcess(tmp_path_factory.mktemp("idle"))
    await server.start()
    server.terminate()
    assert await server.wait(timeout=10) == 0
