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
    Done,
    EndMpc,
    KickParticipants,
    PauseRecording,
    ResumeRecording,
    StartRecording,
    StartSound,
    StopRecording,
    StopSound,
    UpdateParticipants,
)
from mixminus.calls.decision import billed_seconds, whole_seconds
from mixminus.calls.effects import Admit, ArmTimer, ArmWait, CancelDials, Forget, RelayKey, Release
from mixminus.calls.events import MemberLeftForAction
from mixminus.calls.inputs import (
    DialEnded,
    DialRang,
    Enter,
    Entered,
    KeyPressed,
    Leave,
    MaxDurationReached,
    PromptEnded,
    PromptReady,
    RecordingBroke,
    ShutDown,
    Speaking,
    WaitedLongEnough,
)
from mixminus.calls.model import ExitCause, HangupCause, HangupSource, Termination
from mixminus.calls.mpc import music, prompts
from mixminus.calls.mpc import recording as mpc_recording
from mixminus.calls.mpc.dial import add_participant
from mixminus.calls.mpc.draft import AGENTS, DEFAULT_MAX_DURATION, Context, Draft, MpcDecision, MultiPartyCall, given
from mixminus.calls.mpc.participant import Participant, enter, leave, seconds_in, snapshot, with_flags
from mixminus.errors import InvalidParameter, NotFound
from mixminus.store.rows import MpcRow


def decide(state: MultiPartyCall | None, command: Any, context: Context) -> MpcDecision:
    """What follows from ``command``.

    Raises:
        RequestError: the command cannot be done; nothing has changed.
    """
    handler = _HANDLERS[type(command)]
    if state is None:
        if not isinstance(command, Enter | AddParticipant):
            raise NotFound("no such live multiparty call")
        return handler(_create(command, context), command)
    return handler(Draft.of(state, context), command)


def _create(command: Enter | AddParticipant, context: Context) -> Draft:
    name = command.name if isinstance(command, Enter) else command.mpc.name or command.mpc.either
    uuid = command.mpc_uuid if isinstance(command, Enter) else command.mpc.uuid
    row = MpcRow(
        id=uuid,
        account=command.by.account,
        sub_account=command.by.sub_account,
        friendly_name=name,
        status="Initialized",
        created_at=context.now,
        stay_alone=bool(command.parameters.stay_alone),
        settings=given(command.parameters),
    )
    draft = Draft(context, row, command.parameters, {})
    first = enter("", uuid, command, context.now) if isinstance(command, Enter) else None
    draft.emit("MPCInitialized", first)
    draft.do(ArmTimer(float(command.parameters.max_duration or DEFAULT_MAX_DURATION)))
    return draft


def _enter(draft: Draft, command: Enter) -> MpcDecision:
    request = command.request_uuid
    if request and command.call_uuid not in draft.dials.get(request, ()):
        return draft.finish(Entered(False, reason="another destination of the request answered first"))
    draft.take_parameters(command.parameters)
    limit = draft.max_participants
    if len(draft.members) >= limit:
        return draft.finish(Entered(False, reason=f"the multiparty call is full: max_participants is {limit}"))
    member = enter(draft.context.new_member_id(), draft.row.id, command, draft.context.now)
    draft.put(member)
    draft.emit("ParticipantJoin", member)
    if not draft.active and _may_start(draft):
        _activate_draft(draft)
    if member.row.role in AGENTS:
        _rehear_those_waiting_for_an_agent(draft)
    draft.rehear.discard(member.id)
    draft.do(Admit(member.call_uuid, draft.room, draft.masks(member)))
    if member.parameters.wait_time is not None and draft.waits(member):
        draft.do(ArmWait(member.id, float(member.parameters.wait_time)))
    music.sound(draft, command.participant.enter_sound, command.participant.enter_sound_method, member)
    if request:
        _settle_request(draft, request, command.call_uuid)
    music.tune(draft)
    mpc_recording.begin_when_due(draft)
    return draft.finish(Entered(True, member.id))


def _may_start(draft: Draft) -> bool:
    """Somebody who starts the call is in it, and it is not one person's call that waits for a second."""
    enough = len(draft.members) > 1 or draft.parameters.create_mpc_with_single_participant is not False
    return enough and any(member.row.start_mpc_on_enter for member in draft.members.values())


def _rehear_those_waiting_for_an_agent(draft: Draft) -> None:
    draft.rehear.update(member.id for member in draft.members.values() if member.parameters.wait_for_agent)


def _waited_long_enough(draft: Draft, command: WaitedLongEnough) -> MpcDecision:
    """``wait_time`` is over and the call, or the agent, still not there: the member is let go."""
    member = draft.members.get(command.member_id)
    if member is not None and draft.waits(member):
        _exit(draft, member, ExitCause.MPC_ENDED, HangupCause.MPC_ENDED, HangupSource.PLIVO)
        _after_exit(draft, [member])
    return draft.finish()


def _settle_request(draft: Draft, request: str, winner: str) -> None:
    losers = tuple(uuid for uuid in draft.dials.pop(request) if uuid != winner)
    music.end_dialling(draft, request)
    if losers:
        draft.do(CancelDials(losers, HangupCause.LOST_RACE))
    draft.emit("AddParticipantByAPIActionCompleted", request_uuid=request, outcome="success")


def _activate_draft(draft: Draft) -> None:
    draft.change(status="Active", started_at=draft.context.now)
    draft.emit("MPCStart")
    draft.rehear.update(draft.members)


def _activate(draft: Draft, command: ActivateMpc) -> MpcDecision:
    if draft.active:
        raise NotFound("the multiparty call is already Active; only an Initialized one can be activated")
    _activate_draft(draft)
    music.tune(draft)
    mpc_recording.begin_when_due(draft)
    return draft.finish(_done(draft))


def _done(draft: Draft) -> Done:
    return Done(draft.row.id, draft.row.friendly_name)


def _end(draft: Draft, command: EndMpc) -> MpcDecision:
    end(draft, Termination.HANGUP_API_TRIGGERED, HangupSource.API_REQUEST)
    return draft.finish(_done(draft))


def _max_duration(draft: Draft, command: MaxDurationReached) -> MpcDecision:
    end(draft, Termination.MAX_DURATION_REACHED, HangupSource.PLIVO)
    return draft.finish()


def _shut_down(draft: Draft, command: ShutDown) -> MpcDecision:
    end(draft, Termination.NO_ACTIVE_PARTICIPANTS, HangupSource.PLIVO)
    return draft.finish()


def end(draft: Draft, termination: Termination, source: HangupSource) -> None:
    """Everybody out, recording stopped, dials cancelled, MPCEnd."""
    mpc_recording.stop_if_running(draft)
    for member in list(draft.members.values()):
        _exit(draft, member, ExitCause.MPC_ENDED, HangupCause.MPC_ENDED, source)
    pending = tuple(uuid for uuids in draft.dials.values() for uuid in uuids)
    if pending:
        draft.do(CancelDials(pending, HangupCause.MPC_ENDED))
    for request in draft.dials:
        draft.emit("AddParticipantByAPIActionCompleted", request_uuid=request, outcome="failed")
    draft.dials = {}
    draft.dial_music = {}
    prompts.stop_all(draft)
    music.tune(draft)
    now = draft.context.now
    draft.change(
        status="Ended",
        ended_at=now,
        termination_cause_code=int(termination),
        billed_duration=draft.billed,
        recording="not-recording",
    )
    draft.emit(
        "MPCEnd",
        duration=whole_seconds(draft.row.started_at, now),
        billed_duration=draft.billed,
        billed_amount="0.00000",
        termination_cause=termination.text,
        termination_cause_code=int(termination),
    )
    draft.do(Forget(draft.room))
    draft.over = True


def _exit(draft: Draft, member: Participant, cause: ExitCause, hangup: HangupCause, source: HangupSource) -> None:
    """One member out by our hand: row, event, and its leg let go."""
    gone = _drop(draft, member, cause)
    action = MemberLeftForAction(
        mpc_uuid=draft.row.id,
        mpc_name=draft.row.friendly_name,
        member=snapshot(gone),
        joined_at=gone.row.joined_at,
        left_at=draft.context.now,
        callback=member.parameters.on_exit_action,
    )
    draft.do(
        Release(call_uuid=member.call_uuid, exit_cause=cause, hangup_cause=hangup, hangup_source=source, action=action)
    )


def _drop(draft: Draft, member: Participant, cause: ExitCause) -> Participant:
    gone = leave(member, cause, draft.context.now)
    del draft.members[member.id]
    draft.rehear.discard(member.id)
    prompts.member_left(draft, member.id)
    if member.row.role in AGENTS and not draft.has_agent:
        _rehear_those_waiting_for_an_agent(draft)
    draft.ledger.save(gone.row)
    draft.billed += billed_seconds([seconds_in(gone)])
    if member.id in draft.speaking:
        draft.speaking -= {member.id}
        draft.emit("ParticipantSpeakStop", gone)
    draft.emit("ParticipantExit", gone)
    return gone


def _leave(draft: Draft, command: Leave) -> MpcDecision:
    member = member_of(draft, command.call_uuid)
    if member is not None:
        _drop(draft, member, command.cause)
        _after_exit(draft, [member])
    return draft.finish()


def member_of(draft: Draft, call_uuid: str) -> Participant | None:
    return next((member for member in draft.members.values() if member.call_uuid == call_uuid), None)


def _after_exit(draft: Draft, left: list[Participant]) -> None:
    """The rules that an exit can trigger, in the order in which they matter."""
    if not draft.members or any(member.row.end_mpc_on_exit for member in left):
        end(draft, Termination.NO_ACTIVE_PARTICIPANTS, HangupSource.PLIVO)
    elif draft.active and len(draft.members) == 1 and not draft.row.stay_alone:
        end(draft, Termination.STAY_ALONE_NOT_PERMITTED, HangupSource.PLIVO)
    else:
        parameters = left[-1].parameters
        music.sound(draft, parameters.exit_sound, parameters.exit_sound_method, left[-1])
        music.tune(draft)


def _dial_ended(draft: Draft, command: DialEnded) -> MpcDecision:
    rest = tuple(uuid for uuid in draft.dials.get(command.request_uuid, ()) if uuid != command.call_uuid)
    if command.request_uuid not in draft.dials:
        return draft.finish()
    if rest:
        draft.dials[command.request_uuid] = rest
        music.tune(draft)
        return draft.finish()
    del draft.dials[command.request_uuid]
    music.end_dialling(draft, command.request_uuid)
    draft.emit("AddParticipantByAPIActionCompleted", request_uuid=command.request_uuid, outcome="failed")
    if not draft.members and not draft.dials:
        end(draft, Termination.NO_ACTIVE_PARTICIPANTS, HangupSource.PLIVO)
    else:
        music.tune(draft)
    return draft.finish()


def _selected(draft: Draft, members: tuple[str, ...]) -> list[Participant]:
    """The members meant; empty means all. NotFound names those who are not in."""
    missing = [member for member in members if member not in draft.members]
    if missing:
        raise NotFound(f"no such participant in {draft.row.friendly_name!r}: {', '.join(missing)}")
    return [draft.members[member] for member in members] if members else list(draft.members.values())


def _update(draft: Draft, command: UpdateParticipants) -> MpcDecision:
    flags = (command.mute, command.hold, command.coach_mode)
    if all(flag is None for flag in flags):
        raise InvalidParameter("mute, hold, coach_mode", "at least one of them is needed")
    if command.coach_mode is not None and not command.members:
        raise InvalidParameter("coach_mode", "can be changed for named members only, not for all")
    coach_changed = False
    for member in _selected(draft, command.members):
        changed, names = with_flags(member, mute=command.mute, hold=command.hold, coach_mode=command.coach_mode)
        if names:
            draft.put(changed)
            draft.rehear.add(changed.id)
        for name in names:
            draft.emit(name, changed)
            coach_changed |= name.startswith("ParticipantCoachMode")
    if coach_changed and command.sound:
        music.sound(draft, "beep:1")
    music.tune(draft)
    return draft.finish(_done(draft))


def _kick(draft: Draft, command: KickParticipants) -> MpcDecision:
    left = _selected(draft, command.members)
    for member in left:
        _exit(draft, member, ExitCause.KICKED, HangupCause.KICKED, HangupSource.API_REQUEST)
    done = _done(draft)
    if left:
        _after_exit(draft, left)
    return draft.finish(done)


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
    Enter: _enter,
    Leave: _leave,
    DialEnded: _dial_ended,
    MaxDurationReached: _max_duration,
    ShutDown: _shut_down,
    KeyPressed: _key,
    Speaking: _speaking,
    AddParticipant: add_participant,
    ActivateMpc: _activate,
    EndMpc: _end,
    UpdateParticipants: _update,
    KickParticipants: _kick,
    StartSound: prompts.start,
    StopSound: prompts.stop,
    PromptReady: prompts.ready,
    PromptEnded: prompts.ended,
    DialRang: music.rang,
    WaitedLongEnough: _waited_long_enough,
    StartRecording: mpc_recording.start,
    StopRecording: mpc_recording.stop,
    PauseRecording: mpc_recording.pause,
    ResumeRecording: mpc_recording.resume,
    RecordingBroke: mpc_recording.broke,
}
