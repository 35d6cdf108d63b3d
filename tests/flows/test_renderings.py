"""One call, recorded as a whole and member by member, rendered in many ways."""

from __future__ import annotations

import io
import json
import urllib.error
from typing import Any

import pytest
import soundfile

from mixminus.testing import ear, sources
from mixminus.testing.sink import Received
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add, at, fetch, hears, humming, members, record

AGENT, CUSTOMER, COACH = 440, 620, 880
TONES = (AGENT, CUSTOMER, COACH)


def channels(data: bytes) -> list[set[float]]:
    """Tones of each channel."""
    samples, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
    assert rate == sources.RATE
    return [ear.tones(samples[:, channel], TONES) for channel in range(samples.shape[1])]


@pytest.mark.mixminus(record_tracks="all", renderings=["flac:stereo"])
def test_one_call_many_files(mixminus: World) -> None:
    calls = mixminus.client.multi_party_calls
    agent, customer = humming(mixminus, "agent", AGENT), humming(mixminus, "customer", CUSTOMER)
    coach = humming(mixminus, "coach", COACH)
    add(mixminus, "agent", agent)
    add(mixminus, "customer", customer)
    add(mixminus, "supervisor", coach, coach_mode=True)
    whole = record(mixminus)
    member = members(mixminus)["customer"]
    both = calls.start_participant_recording(
        member,
        friendly_name="room",
        record_track_type="both",
        file_format="mp3",
        recording_callback_url=mixminus.app.url("/one"),
    )
    hears(mixminus, agent, {CUSTOMER, COACH}, TONES)
    mixminus.advance(1)
    calls.stop_participant_recording(member, friendly_name="room", record_track_type="both")
    calls.stop_recording(friendly_name="room")
    done = at(mixminus, "/recording", EventName="MPCRecordingCompleted")
    mixminus.until("ParticipantRecordingCompleted", count=2)
    one = [received for received in mixminus.received if received.event == "ParticipantRecordingCompleted"]
    _judge_participants(mixminus, one, both, member)
    _judge_renderings(mixminus, done.parameters["RecordingURL"], whole.recording_id)
    assert list(mixminus.server.settings.data.rglob(f"{whole.recording_id}.stereo.flac"))


def _judge_participants(world: World, one: list[Received], both: Any, member: str) -> None:
    assert {received.parameters["MemberID"] for received in one} == {member}
    files = {received.parameters["RecordingUUID"]: received.parameters["RecordingURL"] for received in one}
    assert channels(fetch(world, files[both.participant_recording_id])) == [{CUSTOMER}]
    assert channels(fetch(world, files[both.recording_id])) == [{CUSTOMER}, {AGENT}]


def _judge_renderings(world: World, url: str, recording_id: str) -> None:
    stem = url.removesuffix(".wav")
    assert channels(fetch(world, url)) == [set(TONES)]
    for extension in ("wav", "mp3", "flac", "ogg"):
        assert channels(fetch(world, f"{stem}.{extension}?layout=stereo")) == [{CUSTOMER}, {AGENT, COACH}], extension
    assert channels(fetch(world, f"{stem}.flac?coach=false")) == [{AGENT, CUSTOMER}]
    assert sorted(map(min, channels(fetch(world, f"{stem}.wav?layout=stems")))) == sorted(TONES)
    for wrong, why in (
        ("mp3?layout=stems", "mp3 holds at most 2 channels, these are 3; ask for wav"),
        ("xyz", "format: must be one of mp3, wav, flac, ogg"),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetch(world, f"{stem}.{wrong}")
        with refused.value as answer:
            assert (answer.status, why in answer.read().decode()) == (400, True), wrong
    told = json.loads(fetch(world, f"{stem}/Timeline/"))
    assert told["recording_id"] == recording_id
    assert {span["role"] for span in told["speech"]} == {"agent", "customer", "supervisor"}
    assert [entry["type"] for entry in told["events"] if entry["type"] != "loss"] == ["present"] * 3
    assert len(told["tracks"]) == 3
    assert fetch(world, f"{stem}/Subtitles/").startswith(b"WEBVTT")
    assert json.loads(fetch(world, f"{stem}/Waveform/"))["length"] > 20
