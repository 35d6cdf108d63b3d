"""The whole server, its processes and sockets, with phones of real SIP and RTP, through one call of everything.

What calls do otherwise is tested in virtual time (``tests/flows``); here is what that replaces.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from mixminus.clock import SystemClock
from mixminus.ids import Mint
from mixminus.sdp.answer import Codec, make_offer
from mixminus.sip.endpoint import SipEndpoint
from mixminus.sip.events import Answered, Ended, Rejected, SipEvent
from mixminus.testing import ear, sources
from mixminus.testing.multiparty import MultiPartyCall, hears
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink, Received
from testing.virtual.kit import wav

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

AGENT, CUSTOMER, COACH, SECRET, PROMPT = 440, 620, 880, 1300, 1900
TONES = (AGENT, CUSTOMER, COACH, SECRET, PROMPT)
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
        environment = {"MIXMINUS_DEFAULT_ANSWER_URL": sink.url("/answer"), "MIXMINUS_SIP_TLS": "127.0.0.1:0"}
        async with ServerProcess(tmp_path_factory.mktemp("server"), environment=environment) as server:
            sink.auth_token = server.address.auth_token
            yield World(server, sink)


@pytest_asyncio.fixture(loop_scope="module")
async def world(running: World) -> AsyncIterator[World]:
    yield running
    await running.phones.aclose()


async def test_a_coached_call_is_heard_recorded_and_told_as_it_should_be(world: World) -> None:
    """Real: HTTP, SIP, RTP, media worker, finisher, the program that decodes, database and callbacks, all at once."""
    speak: list[tuple[str, float, Codec]] = [
        ("agent", AGENT, "PCMA"),
        ("customer", CUSTOMER, "PCMU"),
        ("coach", COACH, "opus"),
    ]
    agent, customer, coach = [await world.phone(name, hz, codecs=(codec,)) for name, hz, codec in speak]
    call = world.call()
    await call.add("agent", agent)
    await call.add("customer", customer)
    await call.add("supervisor", coach, coach_mode=True)
    started = await call.record("wav")

    await hears(agent, {CUSTOMER, COACH}, TONES)
    await hears(customer, {AGENT}, TONES)
    await hears(coach, {AGENT, CUSTOMER}, TONES)

    world.sink.answer("/prompt.wav", wav(PROMPT, 8))
    await call("start_play_audio", participant_id="all", url=world.sink.url("/prompt.wav"))
    await hears(customer, {AGENT, PROMPT}, TONES)
    await call("stop_play_audio", participant_id="all")
    await hears(customer, {AGENT}, TONES)

    await call("pause_recording")
    customer.says(sources.tone(SECRET), loop=True)
    await hears(agent, {SECRET, COACH}, TONES)
    customer.says(sources.tone(CUSTOMER), loop=True)
    await hears(agent, {CUSTOMER, COACH}, TONES)
    await call("resume_recording")
    await hears(agent, {CUSTOMER, COACH}, TONES)
    await call("stop_recording")
    done = await world.sink.wait_for("MPCRecordingCompleted", timeout=20)
    await call("stop")
    await world.sink.wait_for("MPCEnd")
    for phone in (agent, customer, coach):
        await phone.call_over()

    assert not ear.tone_spans(customer.heard.all(), COACH, above=LEAK), "the customer heard the coach"

    samples = await world.download(done)
    assert ear.tones(samples, TONES) == {AGENT, CUSTOMER, COACH, PROMPT}
    assert not ear.tone_spans(samples, SECRET, above=LEAK), "the paused time is in the file"
    assert done.parameters["RecordingUUID"] == started.recording_id
    listed = await asyncio.to_thread(world.client.recordings.get, started.recording_id)
    assert float(listed.recording_duration_ms) == pytest.approx(len(samples) / sources.RATE * 1000, abs=1)

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
    signed = [str(one.signature) for one in world.sink.received if one.path != "/prompt.wav"]
    assert signed == ["valid"] * len(signed)


async def test_a_call_over_tls_with_a_certificate_of_the_servers_own(world: World) -> None:
    """Real: it is about sockets with TLS."""
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
        asked = await world.sink.wait_for(lambda one: one.path == "/answer" and one.parameters.get("To") == "5000")
        assert asked.parameters["Direction"] == "inbound"
        async with asyncio.timeout(10):
            while not isinstance(event := await happened.get(), Ended | Rejected):
                assert not isinstance(event, Answered) or b"m=audio" in event.sdp
    finally:
        await phone.stop()


async def test_sigterm_ends_an_idle_server_cleanly(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Real: it is about a process."""
    server = ServerProcess(tmp_path_factory.mktemp("idle"))
    await server.start()
    server.terminate()
    assert await server.wait(timeout=40) == 0
