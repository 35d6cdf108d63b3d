from __future__ import annotations

import pytest

from api.world import MAIN, PUBLIC_URL, Browser, World
from mixminus.calls.commands import (
    Callback,
    MpcRef,
    PauseParticipantRecording,
    RecordingWishes,
    Requester,
    ResumeParticipantRecording,
    StartParticipantRecording,
    StopParticipantRecording,
)

BY, ROOM = Requester(MAIN), MpcRef(name="room")
ONE = "MultiPartyCall/name_room/Participant/1001/Record/"


async def test_start_with_the_defaults(world: World, ask: Browser) -> None:
    world.mpc_row("room")
    reply = await ask("POST", ONE, {"record_track_type": ""})
    assert reply.status == 202
    assert reply.json["message"] == "MPC: room participant record started"
    assert reply.json["recording_url"] == f"{PUBLIC_URL}/v1/Account/{MAIN}/Recording/{reply.json['recording_id']}.mp3"
    assert "participant_recording_id" not in reply.json
    assert world.commands == [StartParticipantRecording(by=BY, mpc=ROOM, member="1001")]


async def test_both_names_two_recordings(world: World, ask: Browser) -> None:
    world.mpc_row("room")
    fields = {
        "record_track_type": "both",
        "file_format": "wav",
        "recording_callback_url": "http://localhost:9/r",
        "recording_callback_method": "GET",
        "pause_as": "silence",
    }
    reply = await ask("POST", ONE, fields)
    assert reply.json["participant_recording_id"] != reply.json["recording_id"]
    assert reply.json["participant_recording_url"].endswith(f"{reply.json['participant_recording_id']}.wav")
    assert world.commands == [
        StartParticipantRecording(
            by=BY,
            mpc=ROOM,
            member="1001",
            track_type="both",
            file_format="wav",
            callback=Callback("http://localhost:9/r", "GET"),
            wishes=RecordingWishes(pause_as="silence"),
        )
    ]


@pytest.mark.parametrize(
    ("method", "path", "command"),
    [
        ("DELETE", ONE, StopParticipantRecording),
        ("POST", ONE + "Pause/", PauseParticipantRecording),
        ("POST", ONE + "Resume/", ResumeParticipantRecording),
    ],
)
async def test_change(world: World, ask: Browser, method: str, path: str, command: type) -> None:
    world.mpc_row("room")
    assert (await ask(method, path)).status == 204
    assert world.commands == [command(by=BY, mpc=ROOM, member="1001", track_type="all")]


async def test_one_participant_only(world: World, ask: Browser) -> None:
    world.mpc_row("room")
    reply = await ask("POST", "MultiPartyCall/name_room/Participant/1,2/Record/")
    assert reply.status == 404 and "one member id" in reply.json["error"]


@pytest.mark.parametrize("path", [ONE, "MultiPartyCall/name_room/Record/"])
async def test_what_is_wrong_is_named(world: World, ask: Browser, path: str) -> None:
    world.mpc_row("room")
    fields = {"file_format": "ogg", "pause_as": "beep", "record_track_type": "mine", "transcript": "true"}
    reply = await ask("POST", path, fields)
    assert reply.status == 400
    for name in ("file_format", "pause_as", "transcript"):
        assert name in reply.json["error"]
    assert "transcribe_model" in reply.json["error"]
