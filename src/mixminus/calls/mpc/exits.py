"""Leaving a multiparty call: who goes, why, and when the call itself is over. Part of its machine. Pure."""

from __future__ import annotations

from mixminus.calls.commands import (
    EndMpc,
    KickParticipants,
)
from mixminus.calls.decision import billed_seconds, whole_seconds
from mixminus.calls.effects import CancelDials, Forget, Release
from mixminus.calls.events import MemberLeftForAction
from mixminus.calls.inputs import (
    DialEnded,
    Leave,
    MaxDurationReached,
    ShutDown,
    WaitedLongEnough,
)
from mixminus.calls.model import ExitCause, HangupCause, HangupSource, Termination
from mixminus.calls.mpc import member_recording, music, prompts
from mixminus.calls.mpc import recording as mpc_recording
from mixminus.calls.mpc.draft import AGENTS, Draft, MpcDecision
from mixminus.calls.mpc.members import done, member_of, rehear_those_waiting_for_an_agent, selected
from mixminus.calls.mpc.participant import Participant, leave, seconds_in, snapshot


def leave_asked(draft: Draft, command: Leave) -> MpcDecision:
    member = member_of(draft, command.call_uuid)
    if member is not None:
        _drop(draft, member, command.cause)
        _after_exit(draft, [member])
    return draft.finish()


def kick(draft: Draft, command: KickParticipants) -> MpcDecision:
    left = selected(draft, command.members)
    for member in left:
        _exit(draft, member, ExitCause.KICKED, HangupCause.KICKED, HangupSource.API_REQUEST)
    answer = done(draft)
    if left:
        _after_exit(draft, left)
    return draft.finish(answer)


def waited_long_enough(draft: Draft, command: WaitedLongEnough) -> MpcDecision:
    """``wait_time`` is over and the call, or the agent, still not there: the member is let go."""
    member = draft.members.get(command.member_id)
    if member is not None and draft.waits(member):
        _exit(draft, member, ExitCause.MPC_ENDED, HangupCause.MPC_ENDED, HangupSource.PLIVO)
        _after_exit(draft, [member])
    return draft.finish()


def dial_ended(draft: Draft, command: DialEnded) -> MpcDecision:
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


def end_asked(draft: Draft, command: EndMpc) -> MpcDecision:
    end(draft, Termination.HANGUP_API_TRIGGERED, HangupSource.API_REQUEST)
    return draft.finish(done(draft))


def max_duration_reached(draft: Draft, command: MaxDurationReached) -> MpcDecision:
    end(draft, Termination.MAX_DURATION_REACHED, HangupSource.PLIVO)
    return draft.finish()


def shut_down(draft: Draft, command: ShutDown) -> MpcDecision:
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
        rehear_those_waiting_for_an_agent(draft)
    draft.ledger.save(gone.row)
    draft.billed += billed_seconds([seconds_in(gone)])
    if member.id in draft.speaking:
        draft.speaking -= {member.id}
        draft.emit("ParticipantSpeakStop", gone)
    draft.emit("ParticipantExit", gone)
    member_recording.stop_of(draft, member.id)
    return gone


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
