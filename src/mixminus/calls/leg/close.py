"""The end of a leg, and what is still to be done for what it was doing. Pure."""

from __future__ import annotations

import msgspec

from mixminus.calls.decision import whole_seconds
from mixminus.calls.effects import CloseMedia, HangUpLine, LeaveMpc, Refuse, ReportDial, Wake
from mixminus.calls.inputs import HangUp
from mixminus.calls.leg import tapes
from mixminus.calls.leg.effects import LeaveConference, StopPrompt, Tell
from mixminus.calls.leg.hangup import Outcome
from mixminus.calls.leg.inputs import CalleeEnded
from mixminus.calls.leg.state import Collecting, Dialling, Draft, Meeting, Prompting, Taking, Timer
from mixminus.calls.model import CallStatus, ExitCause, HangupCause, HangupSource

TIMERS: tuple[Timer, ...] = (
    "ring", "delay", "hangup", "element", "silence", "limit", "on_ring", "record", "play", "speak"
)  # fmt: skip


class OurRefusal(msgspec.Struct, frozen=True):
    sip_status: int
    status: CallStatus


def refusal_of_ours(cause: HangupCause) -> OurRefusal:
    """How an unanswered caller is told: busy, declined, or temporarily unavailable."""
    if cause is HangupCause.BUSY_LINE:
        return OurRefusal(486, CallStatus.BUSY)
    if cause in (HangupCause.REJECTED, HangupCause.NORMAL_HANGUP, HangupCause.END_OF_XML):
        return OurRefusal(603, CallStatus.FAILED)
    return OurRefusal(480, CallStatus.FAILED)


def hang_up(draft: Draft, cause: HangupCause, source: HangupSource) -> None:
    """End the line from here, answered or not."""
    status = CallStatus.COMPLETED if draft.leg.answered else CallStatus.CANCEL
    if draft.leg.row.direction == "inbound" and not draft.leg.answered:
        outcome = refusal_of_ours(cause)
        draft.do(Refuse(outcome.sip_status))
        status = outcome.status
    elif draft.leg.phase != "delayed":
        draft.do(HangUpLine(cause))
    close(draft, Outcome(status, cause, source))


def close(draft: Draft, outcome: Outcome) -> None:
    """The line is down: row, callbacks, and everybody who deals with this leg."""
    draft.change_row(
        status=outcome.status,
        ended_at=draft.now,
        hangup_cause_code=outcome.cause.code,
        hangup_cause_name=outcome.cause.text,
        hangup_source=outcome.source,
    )
    interrupt(draft, final=True)
    leg = draft.leg
    for callback in {leg.hangup_callback, leg.status_callback}:
        draft.report(callback, "Hangup")
    _tell_those_who_dialled(draft, outcome)
    for _, player, _ in leg.plays:
        draft.do(StopPrompt(player))
    for row in leg.recordings:
        tapes.stop(draft, row)
    draft.do(*(Wake(timer, None) for timer in TIMERS), CloseMedia())
    draft.over, draft.proceed = True, False


def _tell_those_who_dialled(draft: Draft, outcome: Outcome) -> None:
    leg = draft.leg
    if leg.phase in ("joining", "in_mpc"):
        draft.do(LeaveMpc(ExitCause.HANGUP))
    elif leg.join is not None and leg.join.request_uuid and leg.join.uuid:
        draft.do(ReportDial(leg.join.uuid, leg.join.request_uuid))
    if leg.origin is not None and leg.is_callee:
        ended = CalleeEnded(
            call_uuid=leg.row.id,
            status=outcome.status,
            cause=outcome.cause,
            source=outcome.source,
            talked=whole_seconds(leg.row.answered_at, draft.now),
        )
        draft.do(Tell(leg.origin.parent, ended))


def interrupt(draft: Draft, *, final: bool = False, keep: str = "") -> None:
    """Stop what the present element does. ``final``: the leg ends, and actions that are owed are reported. ``keep``:
    the connected leg that is not hung up.
    """
    task = draft.leg.task
    match task:
        case Prompting() | Collecting():
            draft.hush(task.player)
        case Taking():
            draft.hush(task.player)
            if task.row is not None:
                sound = tapes.stop(draft, task.row)
                if final:
                    draft.report(task.element.action, "Redirect", {"Digits": ""}, sound)
        case Dialling():
            draft.hush(task.player)
            for callee in task.callees:
                if callee != keep:
                    draft.do(Tell(callee, HangUp(HangupCause.NORMAL_HANGUP, HangupSource.PLIVO)))
            if final:
                own = dial_parameters(draft, task, "completed" if task.winner else "cancel", HangupCause.NORMAL_HANGUP)
                draft.report(task.element.action, "Redirect", own)
        case Meeting():
            draft.do(LeaveConference())
            own = meeting_parameters(task)
            if task.uuid:
                draft.report(task.element.callback, "StatusChange", {"ConferenceAction": "exit", **own}, task.sound)
            if final:
                draft.report(task.element.action, "Redirect", own, task.sound)
        case _:
            pass
    draft.change(task=None, peer="")
    if not final:
        draft.wake("element", None)
        draft.wake("silence", None)
        if isinstance(task, Meeting):
            draft.seat()


def dial_parameters(draft: Draft, task: Dialling, status: str, cause: HangupCause) -> dict[str, str]:
    """Of a ``Dial``'s action (API reference 5.6)."""
    return {
        "DialStatus": status,
        "DialRingStatus": "true" if task.rang else "false",
        "DialHangupCause": cause.text,
        "DialALegUUID": draft.leg.row.id,
        "DialBLegUUID": task.winner or task.dialled[0],
    }


def meeting_parameters(task: Meeting) -> dict[str, str]:
    """Of a ``Conference``'s action and callbacks."""
    return {
        "ConferenceName": task.element.name,
        "ConferenceUUID": task.uuid,
        "ConferenceMemberID": task.member_id,
    }
