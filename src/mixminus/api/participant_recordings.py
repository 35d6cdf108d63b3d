"""M14-M17: recording single participants (API reference, section 2.14)."""

from __future__ import annotations

from msgspec import UNSET

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.multi_party_calls import read_wishes
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paths import member_ids, mpc_ref
from mixminus.api.ports import Ports
from mixminus.api.reading import read_callback
from mixminus.calls.commands import (
    Callback,
    PauseParticipantRecording,
    RecordingStarted,
    ResumeParticipantRecording,
    StartParticipantRecording,
    StopParticipantRecording,
    TrackType,
)
from mixminus.errors import NotFound


def _member(request: ApiRequest) -> str:
    members = member_ids(request.segments["member"])
    if len(members) != 1:
        raise NotFound("a participant recording is of one participant: use one member id")
    return members[0]


async def start(ports: Ports, request: ApiRequest) -> Answer:
    by, reader, member = request.requester, request.reader(), _member(request)
    callback = read_callback(reader, p.RECORDING_CALLBACK_URL, p.RECORDING_CALLBACK_METHOD, "POST") or Callback()
    command = StartParticipantRecording(
        by=by,
        mpc=mpc_ref(request.segments["mpc"]),
        member=member,
        track_type=reader.take(p.RECORD_TRACK_TYPE, "all"),
        file_format=reader.take(p.FILE_FORMAT, "mp3"),
        callback=callback,
        wishes=read_wishes(ports, reader),
    )
    reader.check()
    started = await ports.apply(command)
    assert isinstance(started, RecordingStarted)

    def link(recording_id: str) -> str:
        url = render.recording_url(ports.public_url, by.account, recording_id, started.file_format)
        return ports.recording_urls.told(url, request.now)

    body = render.ParticipantRecordingBegun(
        message=f"MPC: {started.mpc_name} participant record started",
        recording_id=started.recording_id,
        recording_url=link(started.recording_id),
        participant_recording_id=started.also or UNSET,
        participant_recording_url=link(started.also) if started.also else UNSET,
    )
    return Answer(202, body)


async def _change(
    ports: Ports,
    request: ApiRequest,
    command: type[StopParticipantRecording] | type[PauseParticipantRecording] | type[ResumeParticipantRecording],
) -> Answer:
    reader, member = request.reader(), _member(request)
    track_type: TrackType = reader.take(p.RECORD_TRACK_TYPE, "all")
    reader.check()
    mpc = mpc_ref(request.segments["mpc"])
    await ports.apply(command(by=request.requester, mpc=mpc, member=member, track_type=track_type))
    return Answer(204)


async def stop(ports: Ports, request: ApiRequest) -> Answer:
    return await _change(ports, request, StopParticipantRecording)


async def pause(ports: Ports, request: ApiRequest) -> Answer:
    return await _change(ports, request, PauseParticipantRecording)


async def resume(ports: Ports, request: ApiRequest) -> Answer:
    return await _change(ports, request, ResumeParticipantRecording)


_ONE = "MultiPartyCall/{mpc}/Participant/{member}/Record"

OPERATIONS = (
    Operation.post(
        _ONE,
        start,
        "Start recording a participant",
        render.ParticipantRecordingBegun,
        parameters=p.START_PARTICIPANT_RECORDING_PARAMETERS,
    ),
    Operation.delete(_ONE, stop, "Stop recording a participant", parameters=(p.RECORD_TRACK_TYPE,)),
    Operation.post(
        f"{_ONE}/Pause", pause, "Pause the recording of a participant", status=204, parameters=(p.RECORD_TRACK_TYPE,)
    ),
    Operation.post(
        f"{_ONE}/Resume",
        resume,
        "Resume the paused recording of a participant",
        status=204,
        parameters=(p.RECORD_TRACK_TYPE,),
    ),
)
