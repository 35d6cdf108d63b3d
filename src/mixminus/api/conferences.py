"""The Conference resource (API reference 6.6)."""

from __future__ import annotations

import re

from mixminus.api import call_bodies as bodies
from mixminus.api import call_parameters as c
from mixminus.api import parameters as p
from mixminus.api.calls import read_speech, recording_begun
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.ports import Ports
from mixminus.api.reading import read_callback
from mixminus.calls.commands import Callback, SoundKind
from mixminus.calls.conference.commands import (
    EndConference,
    PlayToMembers,
    RecordConference,
    RemoveMembers,
    SetMembers,
    StopPlayToMembers,
    StopRecordConference,
)
from mixminus.calls.conference.machine import Conference
from mixminus.calls.leg.door import EndConferences
from mixminus.calls.leg.inputs import CallRecordingStarted
from mixminus.calls.sounds.program import PlayItem, Program
from mixminus.errors import NotFound

READS_NO_LIST = "plivo-dotnet/"
"""How the ``User-Agent`` of the SDK begins that takes ``member_id`` as a text only."""


async def list_conferences(ports: Ports, request: ApiRequest) -> Answer:
    names = [conference.name for conference in ports.conferences(request.requester)]
    return Answer(200, bodies.Conferences(conferences=names))


def _find(ports: Ports, request: ApiRequest) -> Conference:
    name = request.segments["conference"]
    found = next((state for state in ports.conferences(request.requester) if state.name == name), None)
    if found is None:
        raise NotFound("no such conference")
    return found


async def get_conference(ports: Ports, request: ApiRequest) -> Answer:
    return Answer(200, bodies.conference(_find(ports, request), request.now))


async def end_conference(ports: Ports, request: ApiRequest) -> Answer:
    await ports.apply(EndConference(by=request.requester, name=request.segments["conference"]))
    return Answer(204)


async def end_conferences(ports: Ports, request: ApiRequest) -> Answer:
    await ports.apply(EndConferences(by=request.requester))
    return Answer(204)


def _members(request: ApiRequest) -> tuple[str, ...]:
    """Comma-joined member ids; ``all`` is the empty tuple."""
    segment = request.segments["member"]
    if segment.strip().lower() == "all":
        return ()
    members = tuple(dict.fromkeys(part.strip() for part in segment.split(",")))
    if not all(re.fullmatch(r"\d{1,20}", member, re.ASCII) for member in members):
        raise NotFound(f"no member {segment[:100]!r}: use member ids joined by commas, or all")
    return members


def _changed(request: ApiRequest, message: str, members: object) -> Answer:
    assert isinstance(members, tuple)
    ids = [str(member) for member in members]
    plain = request.headers.get("user-agent", "").startswith(READS_NO_LIST)
    return Answer(202, bodies.MembersChanged(message=message, member_id=",".join(ids) if plain else ids))


async def hang_up_members(ports: Ports, request: ApiRequest) -> Answer:
    await ports.apply(
        RemoveMembers(by=request.requester, name=request.segments["conference"], members=_members(request), hangup=True)
    )
    return Answer(204)


async def kick_members(ports: Ports, request: ApiRequest) -> Answer:
    command = RemoveMembers(by=request.requester, name=request.segments["conference"], members=_members(request))
    return _changed(request, "kicked", await ports.apply(command))


async def _set(ports: Ports, request: ApiRequest, *, muted: bool | None = None, deaf: bool | None = None) -> object:
    return await ports.apply(
        SetMembers(
            by=request.requester,
            name=request.segments["conference"],
            members=_members(request),
            muted=muted,
            deaf=deaf,
        )
    )


async def mute_members(ports: Ports, request: ApiRequest) -> Answer:
    return _changed(request, "muted", await _set(ports, request, muted=True))


async def unmute_members(ports: Ports, request: ApiRequest) -> Answer:
    await _set(ports, request, muted=False)
    return Answer(204)


async def deafen_members(ports: Ports, request: ApiRequest) -> Answer:
    return _changed(request, "deaf", await _set(ports, request, deaf=True))


async def undeafen_members(ports: Ports, request: ApiRequest) -> Answer:
    await _set(ports, request, deaf=False)
    return Answer(204)


async def play_to_members(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    program = (PlayItem(reader.required(c.PLAY_URL, "")),)
    reader.check()
    return await _play(ports, request, "play", program)


async def speak_to_members(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    program = read_speech(ports, reader)
    reader.check()
    return await _play(ports, request, "speak", program)


async def _play(ports: Ports, request: ApiRequest, kind: SoundKind, program: Program) -> Answer:
    name, members = request.segments["conference"], _members(request)
    command = PlayToMembers(by=request.requester, name=name, members=members, kind=kind, program=program)
    return _changed(request, f"{kind} queued into conference", await ports.apply(command))


async def stop_play_to_members(ports: Ports, request: ApiRequest) -> Answer:
    return await _stop_play(ports, request, "play")


async def stop_speak_to_members(ports: Ports, request: ApiRequest) -> Answer:
    return await _stop_play(ports, request, "speak")


async def _stop_play(ports: Ports, request: ApiRequest, kind: SoundKind) -> Answer:
    name, members = request.segments["conference"], _members(request)
    await ports.apply(StopPlayToMembers(by=request.requester, name=name, members=members, kind=kind))
    return Answer(204)


async def record_conference(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    for ignored in c.TRANSCRIPTION:
        reader.optional(ignored)
    command = RecordConference(
        by=request.requester,
        name=request.segments["conference"],
        file_format=reader.take(p.FILE_FORMAT, "mp3"),
        callback=read_callback(reader, c.FILE_READY_URL, c.FILE_READY_METHOD, "POST") or Callback(),
    )
    reader.check()
    started = await ports.apply(command)
    assert isinstance(started, CallRecordingStarted)
    return Answer(202, recording_begun(ports, request, "conference recording started", started))


async def stop_record_conference(ports: Ports, request: ApiRequest) -> Answer:
    await ports.apply(StopRecordConference(by=request.requester, name=request.segments["conference"]))
    return Answer(204)


_ONE = "Conference/{conference}"
_MEMBER = f"{_ONE}/Member/{{member}}"


OPERATIONS = (
    Operation.get("Conference", list_conferences, "List the names of live conferences", bodies.Conferences),
    Operation.delete("Conference", end_conferences, "End all conferences"),
    Operation.get(_ONE, get_conference, "Get a live conference and its members", bodies.Conference),
    Operation.delete(_ONE, end_conference, "End a conference"),
    Operation.delete(_MEMBER, hang_up_members, "Hang up members of a conference"),
    Operation.post(
        f"{_MEMBER}/Kick", kick_members, "Kick members: they go on with their documents", bodies.MembersChanged
    ),
    Operation.post(f"{_MEMBER}/Mute", mute_members, "Mute members", bodies.MembersChanged),
    Operation.delete(f"{_MEMBER}/Mute", unmute_members, "Unmute members"),
    Operation.post(f"{_MEMBER}/Deaf", deafen_members, "Let members hear nothing", bodies.MembersChanged),
    Operation.delete(f"{_MEMBER}/Deaf", undeafen_members, "Let members hear again"),
    Operation.post(
        f"{_MEMBER}/Play",
        play_to_members,
        "Play an audio file to members",
        bodies.MembersChanged,
        parameters=(c.PLAY_URL,),
        required=("url",),
    ),
    Operation.delete(f"{_MEMBER}/Play", stop_play_to_members, "Stop playing to members"),
    Operation.post(
        f"{_MEMBER}/Speak",
        speak_to_members,
        "Speak to members",
        bodies.MembersChanged,
        parameters=(c.TEXT, c.VOICE, c.LANGUAGE),
        required=("text",),
    ),
    Operation.delete(f"{_MEMBER}/Speak", stop_speak_to_members, "Stop speaking to members"),
    Operation.post(
        f"{_ONE}/Record",
        record_conference,
        "Record a conference",
        bodies.CallRecordingBegun,
        parameters=c.CONFERENCE_RECORD_PARAMETERS,
        asynchronous=False,
    ),
    Operation.delete(f"{_ONE}/Record", stop_record_conference, "Stop recording a conference"),
)
