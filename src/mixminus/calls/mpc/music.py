"""Music and sounds of a multiparty call: what plays on which channel, and when. Pure."""

from __future__ import annotations

from mixminus.calls import hearing
from mixminus.calls.commands import Callback
from mixminus.calls.effects import PlaySound, Rehear, StartMusic, StopMusic
from mixminus.calls.events import MemberSnapshot, SoundRequest
from mixminus.calls.inputs import DialRang
from mixminus.calls.mpc.audible import DialMusic, MusicSource
from mixminus.calls.mpc.draft import Draft, MpcDecision
from mixminus.calls.mpc.participant import Participant, snapshot
from mixminus.calls.sounds.program import MUSIC, RINGBACK, BuiltIn
from mixminus.calls.sounds.request import AnyProgram, DocumentItem


def sound(draft: Draft, source: str, method: str = "GET", about: Participant | None = None) -> None:
    """Let everybody in the talk hear ``beep:1``, ``beep:2`` or what a URL answers; ``none`` is silence."""
    if not draft.active or not draft.members or source == "none":
        return
    if source.startswith("beep:"):
        draft.do(PlaySound(draft.room, (BuiltIn(source),)))
    else:
        callback = Callback(source, "POST" if method == "POST" else "GET")
        draft.do(PlaySound(draft.room, asked(draft, callback, about)))


def asked(draft: Draft, callback: Callback, about: Participant | None) -> AnyProgram:
    """What a URL of the customer's answers when it is asked for the sake of ``about``."""
    request = SoundRequest(
        mpc_uuid=draft.row.id,
        mpc_name=draft.row.friendly_name,
        member=snapshot(about) if about else MemberSnapshot(),
    )
    return (DocumentItem(callback, request, draft.row.account, draft.row.sub_account),)


def tune(draft: Draft) -> None:
    """Play music exactly on the channels that somebody listens to, and there what the call's parameters say."""
    listeners: dict[int, Participant] = {}
    for member in draft.members.values():
        listeners.setdefault(hearing.music_of(draft.standing(member)), member)
    wanted = {channel: _source(draft, channel) for channel in hearing.MUSIC if channel in listeners}
    ringing = _dialling(draft)
    if ringing is not None and 0 in listeners:
        wanted[hearing.DIALLING] = ringing
    for channel, source in wanted.items():
        if draft.music.get(channel) != source:
            about = listeners.get(channel)
            program = asked(draft, source, about) if isinstance(source, Callback) else source
            draft.do(StartMusic(draft.room, channel, program))
    for channel in sorted(draft.music.keys() - wanted.keys()):
        draft.do(StopMusic(draft.room, channel))
    draft.music = wanted


def _source(draft: Draft, channel: int) -> MusicSource:
    parameters = draft.parameters
    if channel == hearing.WAIT:
        return _given(parameters.wait_music)
    if channel == hearing.HOLD_CUSTOMER:
        return parameters.customer_hold_program or _given(parameters.customer_hold_music)
    return parameters.agent_hold_program or _given(parameters.agent_hold_music)


def _given(callback: Callback | None) -> MusicSource:
    return callback if callback is not None and callback.url else MUSIC


def _dialling(draft: Draft) -> MusicSource | None:
    """What is heard of the requests that dial: the first one's music, else ringing if something rings."""
    rings = False
    for request, heard in draft.dial_music.items():
        if request in draft.dials and heard.music.url:
            return heard.music
        rings = rings or bool(heard.ringing & set(draft.dials.get(request, ())))
    return RINGBACK if rings else None


def begin_dialling(draft: Draft, request: str, music: str, method: str) -> None:
    """A request begins to dial: ``music`` is ``real``, ``none`` or a URL."""
    if music.lower() == "none":
        return
    real = music.lower() == "real"
    draft.dial_music[request] = (
        DialMusic() if real else DialMusic(Callback(music, "POST" if method == "POST" else "GET"))
    )
    tune(draft)


def rang(draft: Draft, command: DialRang) -> MpcDecision:
    """``real``: the far end's own sound if it sends some, else the ringing tone. Neither once it has answered."""
    heard = draft.dial_music.get(command.request_uuid)
    call_uuid = command.call_uuid
    if heard is None or heard.music.url or call_uuid not in draft.dials.get(command.request_uuid, ()):
        return draft.finish()
    early = heard.early | {call_uuid} if command.sound == "early" else heard.early
    rings = command.sound == "tone" and call_uuid not in early
    if command.sound == "early":
        draft.do(Rehear(draft.room, ((call_uuid, hearing.Masks(hearing.DIALLING, 0)),)))
    ringing = heard.ringing | {call_uuid} if rings else heard.ringing - {call_uuid}
    draft.dial_music[command.request_uuid] = DialMusic(ringing=ringing, early=early)
    tune(draft)
    return draft.finish()


def end_dialling(draft: Draft, request: str) -> None:
    draft.dial_music.pop(request, None)
