"""Codecs in a real call: which is taken, and what is heard and recorded when it changes in the middle."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
import soundfile

from mixminus.sdp.answer import Codec
from mixminus.testing import ear, sources
from mixminus.testing.multiparty import MultiPartyCall, hears
from mixminus.testing.phone import CallFailed, VirtualPhone
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEADY, CHANGING = 620, 440
TONES = (STEADY, CHANGING)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sink() -> AsyncIterator[CallbackSink]:
    async with CallbackSink() as sink:
        yield sink


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, sink: CallbackSink) -> AsyncIterator[ServerProcess]:
    """Likes G.722 best, then Opus, and knows no A-law."""
    environment = {"MIXMINUS_CODECS": "g722,opus,pcmu", "MIXMINUS_DEFAULT_ANSWER_URL": sink.url("/answer")}
    async with ServerProcess(tmp_path_factory.mktemp("server"), environment=environment) as server:
        sink.auth_token = server.address.auth_token
        yield server


async def test_a_call_goes_on_whatever_a_phone_changes_to_and_all_of_it_is_recorded(
    server: ServerProcess, sink: CallbackSink
) -> None:
    codecs: tuple[Codec, ...] = ("opus", "G722", "PCMU", "G722", "opus", "PCMU")
    async with VirtualPhone("steady", codecs=("opus",)) as steady, VirtualPhone("changing", codecs=("PCMU",)) as phone:
        steady.says(sources.tone(STEADY), loop=True)
        phone.says(sources.tone(CHANGING), loop=True)
        call = MultiPartyCall(server.plivo_client(), sink, "changes")
        await call.add("agent", steady)
        await call.add("customer", phone)
        started = await call.record()
        await hears(phone, {STEADY}, TONES)
        for codec in codecs:
            await phone.speaks(codec)
            assert phone.codec == codec
            await hears(phone, {STEADY}, TONES)
            await hears(steady, {CHANGING}, TONES)
        with pytest.raises(CallFailed, match="488"):
            await phone.speaks("PCMA")
        await hears(steady, {CHANGING}, TONES)
        await call("stop_recording")
        done = await sink.wait_for("MPCRecordingCompleted", timeout=5)
        await call("stop")
        for one in (steady, phone):
            await one.call_over()
    pcm, rate = soundfile.read(io.BytesIO(await server.fetch(done.parameters["RecordingURL"])), dtype="int16")
    assert rate == 48000
    listed = await asyncio.to_thread(server.plivo_client().recordings.get, started.recording_id)
    assert float(listed.recording_duration_ms) == pytest.approx(len(pcm) / 48, abs=1)
    narrow = np.ascontiguousarray(pcm[3::6])
    for hz in TONES:
        spans = ear.tone_spans(narrow, hz, above=-20)
        missed = len(narrow) / sources.RATE - sum(span.seconds for span in spans)
        assert missed < 0.25 * (len(codecs) + 1), f"{hz} Hz was away for {missed:.2f} s"


async def test_the_servers_order_of_codecs_decides_in_answers_and_offers(
    server: ServerProcess, sink: CallbackSink
) -> None:
    everything: tuple[Codec, ...] = ("PCMA", "PCMU", "opus", "G722")
    async with VirtualPhone("called", codecs=everything) as called, VirtualPhone("caller", codecs=everything) as caller:
        call = MultiPartyCall(server.plivo_client(), sink, "order")
        await call.add("agent", called)
        assert called.incoming is not None
        offered = next(line for line in called.incoming.sdp.decode().splitlines() if line.startswith("m=audio"))
        assert offered.split()[3:6] == ["9", "111", "0"]
        sink.answer("/answer", f"<Response><MultiPartyCall role='customer'>{call.name}</MultiPartyCall></Response>")
        await caller.calls(f"sip:order@{server.address.sip}")
        taken = [called.codec, caller.codec]
        await caller.speaks("PCMU", "opus")
        assert [*taken, caller.codec] == ["PCMU", "G722", "opus"], "who is asked chooses"
        await call("stop")
        await asyncio.gather(called.call_over(), caller.call_over())
