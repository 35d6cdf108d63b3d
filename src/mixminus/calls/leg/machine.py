"""A call leg's state machine: ``decide(leg, input, context)`` → decision. Pure.

::

    inbound   (new) ──▶ fetching ──▶ picking_up ──▶ joining ──▶ in_mpc ──▶ fetching (exit action), next element or over
    outbound  (new) ──▶ delayed ──▶ dialling ──▶ joining ──▶ in_mpc ──▶ fetching (exit action) or over

A leg that is over has no state. Every end is reported to ``hangup_url`` and ``call_status_callback_url`` with its
cause.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from mixminus.calls.commands import Callback, Requester
from mixminus.calls.decision import Decision, Ledger
from mixminus.calls.document.elements import Element, HangupElement, MultiPartyCallElement
from mixminus.calls.effects import (
    CloseMedia,
    CreateLeg,
    Fetch,
    HangUpLine,
    Join,
    JoinMpc,
    LeaveMpc,
    LegEffect,
    PickUp,
    PlaceCall,
    Refuse,
    ReportDial,
    SendDigits,
    SignalRinging,
    Wake,
)
from mixminus.calls.events import CallEvent
from mixminus.calls.inputs import (
    Admission,
    Answered,
    Fetched,
    FetchFailed,
    Gone,
    HangUp,
    PickedUp,
    Rang,
    Refused,
    Released,
    TimedOut,
    Transfer,
)
from mixminus.calls.leg.hangup import Outcome, refusal
from mixminus.calls.model import CallStatus, ExitCause, HangupCause, HangupSource
from mixminus.ids import Mint
from mixminus.store.rows import CallRow

Phase: TypeAlias = Literal["fetching", "delayed", "dialling", "picking_up", "joining", "in_mpc"]


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One live call leg."""

    row: CallRow
    phase: Phase
    by: Requester
    elements: tuple[Element, ...] = ()
    """What is left of its document."""
    from_xml: bool = False
    """It joined through XML, and so goes on with its document when it is let go."""
    join: Join | None = None
    """The multiparty call it is in or on its way into."""
    dial: CreateLeg | None = None
    hangup_callback: Callback = Callback()
    status_callback: Callback = Callback()
    headers: dict[str, str] = {}

    @property
    def answered(self) -> bool:
        return self.row.answered_at is not None


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """An INVITE that some application answers."""

    call_uuid: str
    by: Requester
    from_number: str
    to_number: str
    caller_name: str
    sip_call_id: str
    headers: dict[str, str]
    answer: Callback
    fallback: Callback
    hangup: Callback


LegDecision: TypeAlias = Decision[Leg, LegEffect]


@dataclass
class _Draft:
    """The leg while one decision is made."""

    leg: Leg
    now: datetime
    mint: Mint
    effects: list[LegEffect] = field(default_factory=list)
    over: bool = False

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.mint, self.now)

    def change(self, **fields: object) -> None:
        self.leg = msgspec.structs.replace(self.leg, **fields)

    def change_row(self, **fields: object) -> None:
        self.change(row=msgspec.structs.replace(self.leg.row, **fields))
        self.ledger.save(self.leg.row)

    def do(self, *effects: LegEffect) -> None:
        self.effects.extend(effects)

    def report(self, callback: Callback, name: Literal["Ring", "StartApp", "Hangup"]) -> None:
        row = self.leg.row
        self.ledger.owe(
            callback,
            call_event(self.leg, name, self.now),
            subject=row.id,
            account=row.account,
            sub_account=row.sub_account,
        )

    def finish(self, result: object = None) -> LegDecision:
        state = None if self.over else self.leg
        return Decision(state, self.ledger.rows, self.ledger.outbox, tuple(self.effects), result)


def call_event(leg: Leg, name: Literal["Ring", "StartApp", "Hangup"], now: datetime) -> CallEvent:
    """The leg as it is now, for a callback or a document request."""
    row = leg.row
    return CallEvent(
        name=name,
        at=now,
        call_uuid=row.id,
        account=row.account,
        from_number=row.from_number,
        to_number=row.to_number,
        status=row.status,
        direction=row.direction,
        request_uuid=row.request_uuid,
        started_at=row.initiated_at,
        answered_at=row.answered_at,
        ended_at=row.ended_at,
        hangup_cause_code=row.hangup_cause_code,
        hangup_cause_name=row.hangup_cause_name,
        hangup_source=row.hangup_source,
        sip_headers=leg.headers,
    )


def decide(leg: Leg | None, command: Any, now: datetime, mint: Mint) -> LegDecision:
    """What follows from ``command``. Anything that comes after the end changes nothing."""
    if isinstance(command, Incoming):
        return _incoming(command, now, mint)
    if isinstance(command, CreateLeg):
        return _outgoing(command, now, mint)
    if leg is None:
        return Decision(None)
    draft = _Draft(leg, now, mint)
    _HANDLERS[type(command)](draft, command)
    return draft.finish()


def _incoming(command: Incoming, now: datetime, mint: Mint) -> LegDecision:
    row = CallRow(
        id=command.call_uuid,
        account=command.by.account,
        sub_account=command.by.sub_account,
        direction="inbound",
        from_number=command.from_number,
        to_number=command.to_number,
        caller_name=command.caller_name,
        status=CallStatus.RINGING,
        initiated_at=now,
        sip_call_id=command.sip_call_id,
    )
    leg = Leg(row=row, phase="fetching", by=command.by, hangup_callback=command.hangup, headers=command.headers)
    draft = _Draft(leg, now, mint)
    draft.ledger.save(row)
    draft.do(SignalRinging(), Fetch(command.answer, call_event(leg, "StartApp", now), "answer", command.fallback))
    return draft.finish()


def _outgoing(command: CreateLeg, now: datetime, mint: Mint) -> LegDecision:
    row = CallRow(
        id=command.call_uuid,
        account=command.by.account,
        sub_account=command.by.sub_account,
        request_uuid=command.request_uuid,
        direction="outbound",
        from_number=command.dial.from_,
        to_number=command.to,
        caller_name=command.dial.caller_name or command.dial.from_,
        status=CallStatus.QUEUED,
        initiated_at=now,
    )
    join = Join(
        name=command.mpc_name,
        uuid=command.mpc_uuid,
        participant=command.participant,
        request_uuid=command.request_uuid,
    )
    leg = Leg(
        row=row,
        phase="delayed",
        by=command.by,
        join=join,
        dial=command,
        status_callback=command.dial.call_status_callback,
    )
    draft = _Draft(leg, now, mint)
    draft.ledger.save(row)
    delay = _of(command.dial.delays, command.index)
    draft.do(Wake("delay", float(delay))) if delay else _place(draft)
    return draft.finish()


def _of(values: tuple[int, ...], index: int) -> int:
    """One value per destination; fewer values than destinations: the last repeats (ruling 38)."""
    return values[min(index, len(values) - 1)]


def _place(draft: _Draft) -> None:
    order = draft.leg.dial
    assert order is not None
    draft.change(phase="dialling")
    draft.do(
        PlaceCall(
            room=order.mpc_uuid,
            to=order.to,
            from_=order.dial.from_,
            caller_name=order.dial.caller_name or order.dial.from_,
            sip_headers=order.dial.sip_headers,
        ),
        Wake("ring", float(_of(order.dial.ring_timeouts, order.index))),
    )


def _rang(draft: _Draft, command: Rang) -> None:
    if draft.leg.phase == "dialling" and draft.leg.row.status == CallStatus.QUEUED:
        draft.change_row(status=CallStatus.RINGING)
        draft.report(draft.leg.status_callback, "Ring")


def _answered(draft: _Draft, command: Answered) -> None:
    if draft.leg.phase != "dialling":
        return
    order, join = draft.leg.dial, draft.leg.join
    assert order is not None and join is not None
    draft.change(phase="joining")
    draft.change_row(status=CallStatus.IN_PROGRESS, answered_at=draft.now)
    draft.report(draft.leg.status_callback, "StartApp")
    draft.do(Wake("ring", None), JoinMpc(join))
    if order.dial.send_digits:
        draft.do(SendDigits(order.dial.send_digits))


def _picked_up(draft: _Draft, command: PickedUp) -> None:
    if draft.leg.phase != "picking_up":
        return
    assert draft.leg.join is not None
    draft.change(phase="joining")
    draft.change_row(status=CallStatus.IN_PROGRESS, answered_at=draft.now)
    draft.do(JoinMpc(draft.leg.join))


def _refused(draft: _Draft, command: Refused) -> None:
    _close(draft, refusal(command.status))


def _gone(draft: _Draft, command: Gone) -> None:
    far_end = HangupSource.CALLER if draft.leg.row.direction == "inbound" else HangupSource.CALLEE
    source = far_end if command.source is HangupSource.UNKNOWN else command.source
    cause = command.cause
    if draft.leg.answered:
        status = CallStatus.COMPLETED
    elif cause is HangupCause.NORMAL_HANGUP:
        status, cause = CallStatus.CANCEL, HangupCause.CANCELED
    else:
        status = CallStatus.FAILED
    _close(draft, Outcome(status, cause, source))


def _timed_out(draft: _Draft, command: TimedOut) -> None:
    if command.timer == "delay" and draft.leg.phase == "delayed":
        _place(draft)
    elif command.timer == "ring" and draft.leg.phase == "dialling":
        draft.do(HangUpLine(HangupCause.RING_TIMEOUT))
        _close(draft, Outcome(CallStatus.TIMEOUT, HangupCause.RING_TIMEOUT, HangupSource.PLIVO))
    elif command.timer == "hangup":
        _hang_up(draft, HangupCause.SCHEDULED_HANGUP, HangupSource.ANSWER_XML)


def _hang_up_asked(draft: _Draft, command: HangUp) -> None:
    _hang_up(draft, command.cause, command.source)


def _hang_up(draft: _Draft, cause: HangupCause, source: HangupSource) -> None:
    """End the line from here, answered or not."""
    status = CallStatus.COMPLETED if draft.leg.answered else CallStatus.CANCEL
    if draft.leg.row.direction == "inbound" and not draft.leg.answered:
        outcome = refusal_of_ours(cause)
        draft.do(Refuse(outcome.sip_status))
        status = outcome.status
    elif draft.leg.phase != "delayed":
        draft.do(HangUpLine(cause))
    _close(draft, Outcome(status, cause, source))


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


def _close(draft: _Draft, outcome: Outcome) -> None:
    leg = draft.leg
    draft.change_row(
        status=outcome.status,
        ended_at=draft.now,
        hangup_cause_code=outcome.cause.code,
        hangup_cause_name=outcome.cause.text,
        hangup_source=outcome.source,
    )
    for callback in {leg.hangup_callback, leg.status_callback}:
        draft.report(callback, "Hangup")
    if leg.phase in ("joining", "in_mpc"):
        draft.do(LeaveMpc(ExitCause.HANGUP))
    elif leg.join is not None and leg.join.request_uuid and leg.join.uuid:
        draft.do(ReportDial(leg.join.uuid, leg.join.request_uuid))
    draft.do(Wake("ring", None), Wake("delay", None), Wake("hangup", None), CloseMedia())
    draft.over = True


def _fetched(draft: _Draft, command: Fetched) -> None:
    if draft.leg.phase == "fetching":
        draft.change(elements=command.elements, from_xml=True)
        _run(draft)


def _fetch_failed(draft: _Draft, command: FetchFailed) -> None:
    if draft.leg.phase == "fetching":
        _hang_up(draft, _FETCH_CAUSES[command.kind][0 if command.reaching else 1], HangupSource.ERROR)


_FETCH_CAUSES = {
    "answer": (HangupCause.ERROR_REACHING_ANSWER_URL, HangupCause.INVALID_ANSWER_XML),
    "action": (HangupCause.ERROR_REACHING_ACTION_URL, HangupCause.INVALID_ACTION_XML),
    "transfer": (HangupCause.ERROR_REACHING_TRANSFER_URL, HangupCause.INVALID_TRANSFER_XML),
    "redirect": (HangupCause.ERROR_REACHING_REDIRECT_URL, HangupCause.INVALID_REDIRECT_XML),
}


def _run(draft: _Draft) -> None:
    """Run the document up to the next element that waits for something."""
    while draft.leg.elements:
        element, rest = draft.leg.elements[0], draft.leg.elements[1:]
        draft.change(elements=rest)
        if isinstance(element, MultiPartyCallElement):
            join = Join(name=element.name, participant=element.participant, parameters=element.parameters)
            return _go_to(draft, join)
        if isinstance(element, HangupElement) and _hangup_element(draft, element):
            return None
    return _hang_up(draft, HangupCause.END_OF_XML, HangupSource.PLIVO)


def _hangup_element(draft: _Draft, element: HangupElement) -> bool:
    """Run ``<Hangup>``; a scheduled one lets the document go on. True when the leg is over."""
    if element.schedule:
        draft.do(Wake("hangup", float(element.schedule)))
        return False
    cause = {"busy": HangupCause.BUSY_LINE, "rejected": HangupCause.REJECTED}.get(element.reason)
    _hang_up(draft, cause or HangupCause.NORMAL_HANGUP, HangupSource.ANSWER_XML)
    return True


def _go_to(draft: _Draft, join: Join) -> None:
    """Enter a multiparty call, answering the caller first if need be."""
    draft.change(join=join, phase="joining" if draft.leg.answered else "picking_up")
    draft.do(JoinMpc(join) if draft.leg.answered else PickUp(join))


def _admission(draft: _Draft, command: Admission) -> None:
    if draft.leg.phase != "joining":
        return
    if command.entered.admitted:
        draft.change(phase="in_mpc")
    elif draft.leg.from_xml:
        _let_go(draft, HangupCause.MPC_ENDED, HangupSource.PLIVO)
    else:
        lost = draft.leg.dial is not None and len(draft.leg.dial.dial.to) > 1
        draft.change(phase="dialling")
        _hang_up(draft, HangupCause.LOST_RACE if lost else HangupCause.MPC_ENDED, HangupSource.PLIVO)


def _released(draft: _Draft, command: Released) -> None:
    if draft.leg.phase != "in_mpc" and draft.leg.phase != "joining":
        return
    action = command.action
    if action.callback.url:
        draft.change(phase="fetching", join=None)
        event = call_event(draft.leg, "StartApp", draft.now)
        draft.do(Fetch(action.callback, msgspec.structs.replace(action, call=event), "action"))
    else:
        _let_go(draft, command.cause, command.source)


def _let_go(draft: _Draft, cause: HangupCause, source: HangupSource) -> None:
    """Out of the multiparty call: on with the document if there is one, else hang up."""
    draft.change(phase="fetching", join=None)
    if draft.leg.from_xml:
        _run(draft)
    else:
        _hang_up(draft, cause, source)


def _transfer(draft: _Draft, command: Transfer) -> None:
    leg = draft.leg
    if leg.phase in ("delayed", "dialling", "picking_up"):
        draft.do(ReportDial(command.mpc_uuid, command.request_uuid))
        return
    if leg.phase in ("joining", "in_mpc"):
        draft.do(LeaveMpc(ExitCause.TRANSFERRED))
    draft.change(elements=(), from_xml=False)
    _go_to(
        draft,
        Join(
            name=command.mpc_name,
            uuid=command.mpc_uuid,
            participant=command.participant,
            request_uuid=command.request_uuid,
        ),
    )


_HANDLERS: dict[type, Callable[[_Draft, Any], None]] = {
    Rang: _rang,
    Answered: _answered,
    PickedUp: _picked_up,
    Refused: _refused,
    Gone: _gone,
    TimedOut: _timed_out,
    HangUp: _hang_up_asked,
    Fetched: _fetched,
    FetchFailed: _fetch_failed,
    Admission: _admission,
    Released: _released,
    Transfer: _transfer,
}
