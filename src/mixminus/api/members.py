"""M18-M21: audio and speech for members of a multiparty call (API reference, sections 2.15 and 2.16)."""

from __future__ import annotations

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paths import member_ids, mpc_ref
from mixminus.api.ports import Ports
from mixminus.calls.commands import SoundKind, SoundQueued, StartSound, StopSound
from mixminus.calls.sounds.program import PlayItem, Program, SpeakItem


async def play(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    urls, mix = reader.required(p.PLAY_URL, ()), reader.take(p.PLAY_MIX, True)
    reader.check()
    program = tuple(PlayItem(url) for url in urls)
    return await _start(ports, request, "play", program, mix=mix)


async def speak(ports: Ports, request: ApiRequest) -> Answer:
    """Refused at once when nothing on this machine can speak."""
    reader = request.reader()
    text, mix = reader.required(p.SPEAK_TEXT, ""), reader.take(p.SPEAK_MIX, False)
    voice, language = reader.take(p.SPEAK_VOICE, ""), reader.take(p.SPEAK_LANGUAGE, "")
    missing = ports.speech_missing()
    if missing:
        reader.note("text", missing)
    reader.check()
    return await _start(ports, request, "speak", (SpeakItem(text, voice, language),), mix=mix)


async def _start(ports: Ports, request: ApiRequest, kind: SoundKind, program: Program, *, mix: bool) -> Answer:
    queued = await ports.apply(
        StartSound(
            by=request.requester,
            mpc=mpc_ref(request.segments["mpc"]),
            members=member_ids(request.segments["member"]),
            kind=kind,
            program=program,
            mix=mix,
        )
    )
    assert isinstance(queued, SoundQueued)
    return Answer(
        202,
        render.SoundQueued(
            message=f"{kind} queued into MPC", mpcMemberId=list(queued.members), mpcName=queued.mpc_name
        ),
    )


async def stop_play(ports: Ports, request: ApiRequest) -> Answer:
    return await _stop(ports, request, "play")


async def stop_speak(ports: Ports, request: ApiRequest) -> Answer:
    return await _stop(ports, request, "speak")


async def _stop(ports: Ports, request: ApiRequest, kind: SoundKind) -> Answer:
    members = member_ids(request.segments["member"])
    mpc = mpc_ref(request.segments["mpc"])
    await ports.apply(StopSound(by=request.requester, mpc=mpc, members=members, kind=kind))
    return Answer(204)


_PLAY = "MultiPartyCall/{mpc}/Member/{member}/Play"
_SPEAK = "MultiPartyCall/{mpc}/Member/{member}/Speak"

OPERATIONS = (
    Operation.post(
        _PLAY,
        play,
        "Play audio to one member, several joined by commas, or all",
        render.SoundQueued,
        parameters=p.PLAY_PARAMETERS,
        required=("url",),
    ),
    Operation.delete(_PLAY, stop_play, "Stop audio, addressed as it was started"),
    Operation.post(
        _SPEAK,
        speak,
        "Speak text to one member, several joined by commas, or all",
        render.SoundQueued,
        parameters=p.SPEAK_PARAMETERS,
        required=("text",),
        asynchronous=False,  # callback_url is the speech's own there (API reference 1.9)
    ),
    Operation.delete(_SPEAK, stop_speak, "Stop speech, addressed as it was started"),
)
