"""``MultiPartyCall`` and ``Conference`` as seen by the leg: in, and out again (API reference 5.2, 5.5). Pure."""

from __future__ import annotations

import msgspec

from mixminus.calls.document.elements import ConferenceElement
from mixminus.calls.effects import Join, JoinMpc, LeaveMpc, PickUp, ReportDial, SendDigits
from mixminus.calls.inputs import Admission, Released, Transfer
from mixminus.calls.leg.callee import leave_caller
from mixminus.calls.leg.close import hang_up, interrupt, meeting_parameters
from mixminus.calls.leg.effects import JoinConference, LeaveConference
from mixminus.calls.leg.inputs import ConferenceJoined, ConferenceLeft
from mixminus.calls.leg.state import Draft, Meeting, call_event
from mixminus.calls.model import ExitCause, HangupCause, HangupSource


def go_to(draft: Draft, join: Join) -> None:
    """Enter a multiparty call, answering the caller first if need be."""
    draft.change(join=join, phase="joining" if draft.leg.answered else "picking_up", seated=False, task=None)
    draft.do(JoinMpc(join) if draft.leg.answered else PickUp(join))


def admission(draft: Draft, command: Admission) -> None:
    if draft.leg.phase != "joining":
        return
    if command.entered.admitted:
        draft.change(phase="in_mpc")
    elif draft.leg.from_xml:
        _let_go(draft, HangupCause.MPC_ENDED, HangupSource.PLIVO)
    else:
        lost = draft.leg.origin is not None and draft.leg.origin.rivals
        draft.change(phase="dialling")
        hang_up(draft, HangupCause.LOST_RACE if lost else HangupCause.MPC_ENDED, HangupSource.PLIVO)


def released(draft: Draft, command: Released) -> None:
    if draft.leg.phase != "in_mpc" and draft.leg.phase != "joining":
        return
    action = command.action
    if action.callback.url:
        event = call_event(draft.leg, "StartApp", draft.now)
        draft.change(join=None)
        draft.fetch(action.callback, "action", msgspec.structs.replace(action, call=event))
    else:
        _let_go(draft, command.cause, command.source)


def _let_go(draft: Draft, cause: HangupCause, source: HangupSource) -> None:
    """Out of the multiparty call: on with the document if there is one, else hang up."""
    draft.change(phase="running", join=None)
    if draft.leg.from_xml:
        draft.next()
    else:
        hang_up(draft, cause, source)


def transfer(draft: Draft, command: Transfer) -> None:
    """Add Participant moves this leg into a multiparty call, whatever it does."""
    leg = draft.leg
    if leg.phase in ("delayed", "dialling", "picking_up", "confirming", "ready") or not leg.answered:
        draft.do(ReportDial(command.mpc_uuid, command.request_uuid))
        return
    if leg.phase in ("joining", "in_mpc"):
        draft.do(LeaveMpc(ExitCause.TRANSFERRED))
    interrupt(draft)
    leave_caller(draft)
    draft.change(elements=(), from_xml=False)
    join = Join(
        name=command.mpc_name,
        uuid=command.mpc_uuid,
        participant=command.participant,
        request_uuid=command.request_uuid,
    )
    go_to(draft, join)


def start(draft: Draft, element: ConferenceElement) -> None:
    draft.change(phase="running", task=Meeting(element), seated=False)
    draft.do(JoinConference(element))


def joined(draft: Draft, command: ConferenceJoined) -> None:
    task = draft.leg.task
    if not isinstance(task, Meeting):
        if command.admitted:  # it was sent elsewhere meanwhile
            draft.do(LeaveConference())
            draft.change(seated=False)
            if draft.leg.join is None:
                draft.seat()
        return
    if not command.admitted:
        _out(draft, task)
        return
    draft.change_row(conference_uuid=command.conference_uuid)
    task = msgspec.structs.replace(task, uuid=command.conference_uuid, member_id=command.member_id, sound=command.sound)
    draft.change(task=task)
    tell(draft, task, "enter")
    draft.wake("element", task.element.time_limit)
    if task.element.send_digits:
        draft.do(SendDigits(task.element.send_digits))


def tell(draft: Draft, task: Meeting, action: str) -> None:
    """Owe the element's ``callbackUrl`` what has happened."""
    own = {"ConferenceAction": action, **meeting_parameters(task)}
    draft.report(task.element.callback, "StatusChange", own, task.sound)


def _out(draft: Draft, task: Meeting) -> None:
    if task.uuid:
        tell(draft, task, "exit")
    draft.act(task.element.action, task.element.redirect, meeting_parameters(task), task.sound)


def speaking(draft: Draft, task: Meeting, on: bool) -> None:
    if on and task.uuid and task.element.floor_event:
        tell(draft, task, "floor")


def left(draft: Draft, command: ConferenceLeft) -> None:
    """The conference let it go."""
    task = draft.leg.task
    if not isinstance(task, Meeting):
        return
    draft.wake("element", None)
    if command.hangup:
        draft.change(task=None)
        tell(draft, task, "exit")
        draft.report(task.element.action, "Redirect", meeting_parameters(task), task.sound)
        hang_up(draft, HangupCause.NORMAL_HANGUP, HangupSource.API_REQUEST)
    else:
        _out(draft, task)


def walk_out(draft: Draft, task: Meeting) -> None:
    """The time limit is up, or ``*`` was pressed."""
    draft.wake("element", None)
    draft.do(LeaveConference())
    draft.seat()
    _out(draft, task)


def key_pressed(draft: Draft, task: Meeting, key: str) -> None:
    if not task.uuid:
        return
    if key == "*" and task.element.hangup_on_star:
        walk_out(draft, task)
        return
    pressed = (task.pressed + key)[-32:]
    found = next((pattern for pattern in task.element.digits_match if pressed.endswith(pattern)), "")
    draft.change(task=msgspec.structs.replace(task, pressed="" if found else pressed))
    if found:
        own = {**meeting_parameters(task), "ConferenceAction": "digits", "ConferenceDigitsMatch": found}
        draft.report(task.element.callback, "StatusChange", own)
