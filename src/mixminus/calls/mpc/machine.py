"""The multiparty call's state machine: ``decide(state, command, context)`` → decision. Pure.

::

    (none) ──first Enter / Add Participant──▶ Initialized ──start_mpc_on_enter, Activate──▶ Active
    Initialized, Active ──last one leaves, end_mpc_on_exit: 1000 · one left alone: 1010 · max_duration: 2000 · End:
    3000──▶ Ended

Order of events (API reference, "status callbacks"): MPCInitialized, ParticipantJoin, MPCStart; at the end every
ParticipantExit, then MPCEnd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mixminus.calls import hearing
from mixminus.calls.commands import (
    ActivateMpc,
    AddParticipant,
    EndMpc,
    KickParticipants,
    PauseParticipantRecording,
    PauseRecording,
    ResumeParticipantRecording,
    ResumeRecording,
    StartParticipantRecording,
    StartRecording,
    StartSound,
    StopParticipantRecording,
    StopRecording,
    StopSound,
    UpdateParticipants,
)
from mixminus.calls.effects import LevelVoice, RelayKey
from mixminus.calls.inputs import (
    DialEnded,
    DialRang,
    Enter,
    KeyPressed,
    Leave,
    MaxDurationReached,
    PromptEnded,
    PromptReady,
    RecordingAnnounced,
    RecordingBroke,
    ShutDown,
    Speaking,
    WaitedLongEnough,
)
from mixminus.calls.mpc import member_recording, music, prompts
from mixminus.calls.mpc import recording as mpc_recording
from mixminus.calls.mpc.dial import add_participant
from mixminus.calls.mpc.draft import Context, Draft, MpcDecision, MultiPartyCall
from mixminus.calls.mpc.entries import activate, create, enter_asked
from mixminus.calls.mpc.exits import (
    dial_ended,
    end_asked,
    kick,
    leave_asked,
    max_duration_reached,
    shut_down,
    waited_long_enough,
)
from mixminus.calls.mpc.members import done, member_of, selected
from mixminus.calls.mpc.participant import Participant, with_flags
from mixminus.errors import InvalidParameter, NotFound


def decide(state: MultiPartyCall | None, command: Any, context: Context) -> MpcDecision:
    """What follows from ``command``.

    Raises:
        RequestError: the command cannot be done; nothing has changed.
    """
    handler = _HANDLERS[type(command)]
    if state is None:
        if not isinstance(command, Enter | AddParticipant):
            raise NotFound("no such live multiparty call")
        return handler(create(command, context), command)
    return handler(Draft.of(state, context), command)


def _update(draft: Draft, command: UpdateParticipants) -> MpcDecision:
    flags = (command.mute, command.hold, command.coach_mode, command.agc)
    if all(flag is None for flag in flags):
        raise InvalidParameter("mute, hold, coach_mode, agc", "at least one of them is needed")
    if command.coach_mode is not None and not command.members:
        raise InvalidParameter("coach_mode", "can be changed for named members only, not for all")
    coach_changed = False
    for member in selected(draft, command.members):
        changed, names = with_flags(member, mute=command.mute, hold=command.hold, coach_mode=command.coach_mode)
        if names:
            draft.put(changed)
            draft.rehear.add(changed.id)
        for name in names:
            draft.emit(name, changed)
            coach_changed |= name.startswith("ParticipantCoachMode")
        if command.agc is not None:
            draft.do(LevelVoice(member.call_uuid, command.agc))
    if coach_changed and command.sound:
        music.sound(draft, "beep:1")
    music.tune(draft)
    return draft.finish(done(draft))


def _key(draft: Draft, command: KeyPressed) -> MpcDecision:
    member = member_of(draft, command.call_uuid)
    if member is not None:
        draft.emit("ParticipantDigitInput", member, digit=command.key)
        _relay(draft, member, command.key)
    return draft.finish()


def _relay(draft: Draft, member: Participant, key: str) -> None:
    """``relay_dtmf_inputs``: to those who hear the member, so that no rule of hearing is gone round by keys."""
    if member.parameters.relay_dtmf_inputs:
        source = draft.masks(member)
        others = (other for other in draft.members.values() if other.id != member.id)
        heard_by = tuple(other.call_uuid for other in others if hearing.hears(draft.masks(other), source))
        if heard_by:
            draft.do(RelayKey(heard_by, key))


def _speaking(draft: Draft, command: Speaking) -> MpcDecision:
    member = member_of(draft, command.call_uuid)
    if member is not None and command.on is not (member.id in draft.speaking):
        draft.speaking = draft.speaking | {member.id} if command.on else draft.speaking - {member.id}
        draft.emit("ParticipantSpeakStart" if command.on else "ParticipantSpeakStop", member)
    return draft.finish()


_HANDLERS: dict[type, Callable[[Draft, Any], MpcDecision]] = {
    Enter: enter_asked,
    Leave: leave_asked,
    DialEnded: dial_ended,
    MaxDurationReached: max_duration_reached,
    ShutDown: shut_down,
    KeyPressed: _key,
    Speaking: _speaking,
    AddParticipant: add_participant,
    ActivateMpc: activate,
    EndMpc: end_asked,
    UpdateParticipants: _update,
    KickParticipants: kick,
    StartSound: prompts.start,
    StopSound: prompts.stop,
    PromptReady: prompts.ready,
    PromptEnded: prompts.ended,
    DialRang: music.rang,
    WaitedLongEnough: waited_long_enough,
    StartRecording: mpc_recording.start,
    StopRecording: mpc_recording.stop,
    PauseRecording: mpc_recording.pause,
    ResumeRecording: mpc_recording.resume,
    RecordingBroke: mpc_recording.broke,
    RecordingAnnounced: mpc_recording.announced,
    StartParticipantRecording: member_recording.start,
    StopParticipantRecording: member_recording.stop,
    PauseParticipantRecording: member_recording.pause,
    ResumeParticipantRecording: member_recording.resume,
}
