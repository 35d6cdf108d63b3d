"""A leg's line: how it begins, rings, is answered and goes down. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mixminus.calls.commands import Callback, Requester
from mixminus.calls.effects import (
    CreateLeg,
    Fetch,
    HangUpLine,
    Join,
    JoinMpc,
    PlaceCall,
    ReportRinging,
    SendDigits,
    SignalRinging,
    Wake,
)
from mixminus.calls.events import SoundRequest
from mixminus.calls.inputs import Answered, Gone, HangUp, PickedUp, Rang, Refused, RingSound
from mixminus.calls.leg.callee import answered_as_callee, ask_for_key, rang_as_callee
from mixminus.calls.leg.close import close, hang_up
from mixminus.calls.leg.dialling import picked_up_for_dial
from mixminus.calls.leg.effects import Confirm, Origin, PlaceOrder
from mixminus.calls.leg.hangup import Outcome, refusal
from mixminus.calls.leg.rooms import private_room
from mixminus.calls.leg.state import Dialling, Draft, Leg, LegDecision, call_event
from mixminus.calls.model import CallStatus, HangupCause, HangupSource
from mixminus.calls.sounds.request import AnyProgram, DocumentItem
from mixminus.ids import Mint
from mixminus.store.rows import CallRow


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


def incoming(command: Incoming, now: datetime, mint: Mint) -> LegDecision:
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
    leg = Leg(
        row=row,
        phase="fetching",
        by=command.by,
        room=private_room(row.id),
        from_xml=True,
        hangup_callback=command.hangup,
        headers=command.headers,
    )
    draft = Draft(leg, now, mint)
    draft.ledger.save(row)
    draft.do(SignalRinging(), Fetch(command.answer, call_event(leg, "StartApp", now), "answer", command.fallback))
    return draft.finish()


def for_multiparty_call(command: CreateLeg, now: datetime, mint: Mint) -> LegDecision:
    """A leg that Add Participant dials."""
    join = Join(
        name=command.mpc_name, uuid=command.mpc_uuid, participant=command.participant, request_uuid=command.request_uuid
    )
    row = _row(command.call_uuid, command.request_uuid, command.by, _origin_for_multiparty_call(command), now)
    leg = Leg(
        row=row,
        phase="delayed",
        by=command.by,
        room=private_room(row.id),
        join=join,
        origin=_origin_for_multiparty_call(command),
        status_callback=command.dial.call_status_callback,
    )
    return _outgoing(leg, now, mint)


def _origin_for_multiparty_call(command: CreateLeg) -> Origin:
    dial = command.dial
    return Origin(
        to=command.to,
        from_=dial.from_,
        caller_name=dial.caller_name or dial.from_,
        room=command.mpc_uuid,
        ring_timeout=float(_of(dial.ring_timeouts, command.index)),
        delay=float(_of(dial.delays, command.index)),
        sip_headers=dial.sip_headers,
        send_digits=dial.send_digits,
        send_on_preanswer=dial.send_on_preanswer,
        confirm=Confirm(dial.confirm_key, _confirm_sound(command)) if dial.confirm_key else None,
        rivals=len(dial.to) > 1,
    )


def _confirm_sound(command: CreateLeg) -> AnyProgram:
    sound = command.dial.confirm_key_sound
    if not sound.url:
        return ()
    request = SoundRequest(mpc_uuid=command.mpc_uuid, mpc_name=command.mpc_name)
    return (DocumentItem(sound, request, command.by.account, command.by.sub_account),)


def _of(values: tuple[int, ...], index: int) -> int:
    """One value per destination; fewer values than destinations: the last repeats (ruling 38)."""
    return values[min(index, len(values) - 1)]


def placed(command: PlaceOrder, now: datetime, mint: Mint) -> LegDecision:
    """A leg that the API or a ``Dial`` places."""
    origin = command.origin
    leg = Leg(
        row=_row(command.call_uuid, command.request_uuid, command.by, origin, now),
        phase="delayed",
        by=command.by,
        room=private_room(command.call_uuid),
        origin=origin,
        hangup_callback=command.hangup,
    )
    return _outgoing(leg, now, mint)


def _row(call_uuid: str, request_uuid: str, by: Requester, origin: Origin, now: datetime) -> CallRow:
    return CallRow(
        id=call_uuid,
        account=by.account,
        sub_account=by.sub_account,
        request_uuid=request_uuid,
        direction="outbound",
        from_number=origin.from_,
        to_number=origin.to,
        caller_name=origin.caller_name,
        status=CallStatus.QUEUED,
        initiated_at=now,
        parent_call_uuid=origin.parent,
    )


def _outgoing(leg: Leg, now: datetime, mint: Mint) -> LegDecision:
    draft = Draft(leg, now, mint)
    draft.ledger.save(leg.row)
    assert leg.origin is not None
    draft.do(Wake("delay", leg.origin.delay)) if leg.origin.delay else place(draft)
    return draft.finish()


def place(draft: Draft) -> None:
    origin = draft.leg.origin
    assert origin is not None
    draft.change(phase="dialling")
    draft.do(
        PlaceCall(
            room=origin.room,
            to=origin.to,
            from_=origin.from_,
            caller_name=origin.caller_name,
            sip_headers=origin.sip_headers,
            credentials=origin.credentials,
        ),
        Wake("ring", origin.ring_timeout),
    )


def rang(draft: Draft, command: Rang) -> None:
    leg, origin = draft.leg, draft.leg.origin
    if leg.phase != "dialling" or origin is None:
        return
    if command.early and origin.send_on_preanswer and origin.send_digits:
        draft.change(origin=msgspec.structs.replace(origin, send_digits=""))
        draft.do(SendDigits(origin.send_digits))
    if leg.row.status == CallStatus.QUEUED:
        draft.change_row(status=CallStatus.RINGING)
        draft.report(leg.status_callback, "Ring")
        draft.report(origin.ring, "Ring")
        if origin.hangup_on_ring is not None:
            draft.wake("on_ring", origin.hangup_on_ring)
    rang_as_callee(draft, command.early)
    report_ringing(draft, "early" if command.early else "tone")


def report_ringing(draft: Draft, sound: RingSound) -> None:
    """The members of a multiparty call hear that somebody is being rung for it."""
    join = draft.leg.join
    if join is not None and join.uuid and join.request_uuid:
        draft.do(ReportRinging(join.uuid, join.request_uuid, sound))


def answered(draft: Draft, command: Answered) -> None:
    leg, origin = draft.leg, draft.leg.origin
    if leg.phase != "dialling" or origin is None:
        return
    draft.change_row(status=CallStatus.IN_PROGRESS, answered_at=draft.now)
    draft.report(leg.status_callback, "StartApp")
    draft.wake("ring", None)
    draft.wake("on_ring", None)
    report_ringing(draft, "none")
    if origin.time_limit:
        draft.wake("limit", origin.time_limit)
    if origin.confirm is not None:
        ask_for_key(draft, origin.confirm)
    else:
        go_on_answered(draft)
    if origin.send_digits:
        draft.do(SendDigits(origin.send_digits))


def go_on_answered(draft: Draft) -> None:
    """Answered, and the key pressed if one was asked for."""
    leg, origin = draft.leg, draft.leg.origin
    assert origin is not None
    if leg.join is not None:
        draft.change(phase="joining", seated=False)
        draft.do(JoinMpc(leg.join))
    elif origin.parent:
        answered_as_callee(draft)
    else:
        draft.fetch(origin.answer, "answer", fallback=origin.fallback)


def picked_up(draft: Draft, command: PickedUp) -> None:
    leg = draft.leg
    if leg.phase != "picking_up":
        return
    draft.change_row(status=CallStatus.IN_PROGRESS, answered_at=draft.now)
    if leg.join is not None:
        draft.change(phase="joining")
        draft.do(JoinMpc(leg.join))
        return
    draft.change(phase="running", seated=False)
    if isinstance(leg.task, Dialling):
        picked_up_for_dial(draft, leg.task)
    else:
        draft.next()


def refused(draft: Draft, command: Refused) -> None:
    close(draft, refusal(command.status))


def gone(draft: Draft, command: Gone) -> None:
    far_end = HangupSource.CALLER if draft.leg.row.direction == "inbound" else HangupSource.CALLEE
    source = far_end if command.source is HangupSource.UNKNOWN else command.source
    cause = command.cause
    if draft.leg.answered:
        status = CallStatus.COMPLETED
    elif cause is HangupCause.NORMAL_HANGUP:
        status, cause = CallStatus.CANCEL, HangupCause.CANCELED
    else:
        status = CallStatus.FAILED
    close(draft, Outcome(status, cause, source))


def hang_up_asked(draft: Draft, command: HangUp) -> None:
    hang_up(draft, command.cause, command.source)


def ring_timed_out(draft: Draft) -> None:
    draft.do(HangUpLine(HangupCause.RING_TIMEOUT))
    close(draft, Outcome(CallStatus.TIMEOUT, HangupCause.RING_TIMEOUT, HangupSource.PLIVO))
