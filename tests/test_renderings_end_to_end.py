"""One call, recorded as a whole and member by member, rendered in many ways by the real server."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest
import soundfile

from mixminus.testing import ear, sources
from mixminus.testing.multiparty import MultiPartyCall, eventually, hears
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerFailed, ServerProcess
from mixminus.testing.sink import CallbackSink, Received

AGENT, CUSTOMER, COACH = 440, 620, 880
TONES = (AGENT, CUSTOMER, COACH)


def channels(data: bytes) -> list[set[float]]:
    """Tones of each channel."""
    samples, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
    assert rate == sources.RATE
    return [ear.tones(samples[:, channel], TONES) for channel in range(samples.shape[1])]


def completed(sink: CallbackSink) -> list[Received]:
    return [one for one in sink.received if one.event == "ParticipantRecordingCompleted"]


async def get(server: ServerProcess, url: str) -> bytes:
    """A rendering, waited for."""
    for _ in range(20):
        body = await server.fetch(url)
        if not body.startswith(b"{"):
            return body
    raise AssertionError(f"{url} was never made: {body!r}")


async def test_one_call_many_files(tmp_path: Path) -> None:
    environment = {"MIXMINUS_RECORD_TRACKS": "all", "MIXMINUS_RENDERINGS": "flac:stereo"}
    async with CallbackSink() as sink, ServerProcess(tmp_path, environment=environment) as server:
        sink.auth_token = server.address.auth_token
        client = server.plivo_client()
        call = MultiPartyCall(client, sink, "many")
        async with VirtualPhone("agent") as agent, VirtualPhone("customer") as customer, VirtualPhone("coach") as coach:
            for phone, hertz in ((agent, AGENT), (customer, CUSTOMER), (coach, COACH)):
                phone.says(sources.tone(hertz), loop=True)
            await call.add("agent", agent)
            await call.add("customer", customer)
            await call.add("supervisor", coach, coach_mode=True)
            await hears(agent, {CUSTOMER, COACH}, TONES)
            whole = await call.record("wav")
            found = await asyncio.to_thread(client.multi_party_calls.list_participants, friendly_name="many")
            member = next(one.member_id for one in found.objects if one.role == "customer")
            of_one: dict[str, Any] = {"friendly_name": "many", "record_track_type": "both"}
            both = await asyncio.to_thread(
                client.multi_party_calls.start_participant_recording,
                member,
                file_format="mp3",
                recording_callback_url=sink.url("/one"),
                **of_one,
            )
            await hears(agent, {CUSTOMER, COACH}, TONES, seconds=1.5)
            await asyncio.to_thread(client.multi_party_calls.stop_participant_recording, member, **of_one)
            await call("stop_recording")
            done = await sink.wait_for("MPCRecordingCompleted", timeout=10)
            await eventually(lambda: len(completed(sink)) == 2, timeout=10, what="the second Completed")
            made = f"{whole.recording_id}.stereo.flac"
            await eventually(
                lambda: any(tmp_path.rglob(made)), timeout=10, what="the file that is made of every recording"
            )
            one = completed(sink)
            await _judge_participants(server, one, both, member)
            await _judge_renderings(server, done.parameters["RecordingURL"], whole.recording_id)
            await call("stop")
            await sink.wait_for("MPCEnd")


async def _judge_participants(server: ServerProcess, one: list[Received], both: Any, member: str) -> None:
    assert {received.parameters["MemberID"] for received in one} == {member}
    files = {received.parameters["RecordingUUID"]: received.parameters["RecordingURL"] for received in one}
    assert channels(await server.fetch(files[both.participant_recording_id])) == [{CUSTOMER}]
    assert channels(await server.fetch(files[both.recording_id])) == [{CUSTOMER}, {AGENT}]


async def _judge_renderings(server: ServerProcess, url: str, recording_id: str) -> None:
    stem = url.removesuffix(".wav")
    assert channels(await server.fetch(url)) == [set(TONES)]
    for extension in ("wav", "mp3", "flac", "ogg"):
        stereo = await get(server, f"{stem}.{extension}?layout=stereo")
        assert channels(stereo) == [{CUSTOMER}, {AGENT, COACH}], extension
    assert channels(await get(server, f"{stem}.flac?coach=false")) == [{AGENT, CUSTOMER}]
    assert sorted(map(min, channels(await get(server, f"{stem}.wav?layout=stems")))) == sorted(TONES)
    with pytest.raises(ServerFailed, match=r"answered 400.*mp3 holds at most 2 channels, these are 3; ask for wav"):
        await server.fetch(f"{stem}.mp3?layout=stems")
    with pytest.raises(ServerFailed, match=r"answered 400.*format: must be one of mp3, wav, flac, ogg"):
        await server.fetch(f"{stem}.xyz")
    told = json.loads(await server.fetch(f"{stem}/Timeline/"))
    assert told["recording_id"] == recording_id
    assert {span["role"] for span in told["speech"]} == {"agent", "customer", "supervisor"}
    assert [entry["type"] for entry in told["events"] if entry["type"] != "loss"] == ["present"] * 3
    assert len(told["tracks"]) == 3
    assert (await server.fetch(f"{stem}/Subtitles/")).startswith(b"WEBVTT")
    assert json.loads(await server.fetch(f"{stem}/Waveform/"))["length"] > 20
