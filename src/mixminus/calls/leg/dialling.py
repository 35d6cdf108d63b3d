"""``Dial``: ring several, connect the first, tell how it went (API reference 5.5, 5.6). Pure; the caller's side.

::

    ringing ──first CalleeReady──▶ (answer the caller) ──▶ connected ──callee gone, *──▶ action
       └──timeout, nobody left──▶ action
"""

from __future__ import annotations

import msgspec

from mixminus.calls.commands import Callback
from mixminus.calls.document.elements import DialElement, DialTarget
from mixminus.calls.effects import PickUp
from mixminus.calls.events import SoundRequest
from mixminus.calls.inputs import HangUp
from mixminus.calls.leg import tapes
from mixminus.calls.leg.close import dial_parameters
from mixminus.calls.leg.effects import Confirm, EarlyMedia, Origin, PlaceOrder, Tell
from mixminus.calls.leg.inputs import CalleeEnded, CalleeKey, CalleeRang, CalleeReady, Connected
from mixminus.calls.leg.state import Dialling, Draft, call_event
from mixminus.calls.model import CallStatus, HangupCause, HangupSource
from mixminus.calls.sounds.program import RINGBACK
from mixminus.calls.sounds.request import DocumentItem

CONFIRM_SPARE = 5.0
"""Seconds beyond the ring timeout in which our own limit must not cut a leg's."""

_STATUS = {
    CallStatus.BUSY: "busy",
    CallStatus.TIMEOUT: "timeout",
    CallStatus.NO_ANSWER: "no-answer",
    CallStatus.CANCEL: "cancel",
}


def start(draft: Draft, element: DialElement) -> None:
    """Ring everybody. An unanswered caller stays so until somebody answers."""
    callees = tuple(draft.mint.uuid() for _ in element.targets)
    draft.change(phase="running", task=Dialling(element, callees, callees))
    for call_uuid, target in zip(callees, element.targets, strict=True):
        draft.do(_order(draft, element, target, call_uuid))
    draft.wake("element", element.timeout)
    if draft.leg.answered or draft.leg.early:
        _play_music(draft)
    elif element.dial_music != "real":
        draft.do(EarlyMedia(draft.leg.room))


def _order(draft: Draft, element: DialElement, target: DialTarget, call_uuid: str) -> PlaceOrder:
    row = draft.leg.row
    from_ = target.caller_id or element.caller_id or row.from_number
    return PlaceOrder(
        call_uuid=call_uuid,
        request_uuid=row.request_uuid,
        by=draft.leg.by,
        origin=Origin(
            to=target.to,
            from_=from_,
            caller_name=target.caller_name or element.caller_name or row.caller_name or from_,
            room=draft.leg.room,
            ring_timeout=element.timeout + CONFIRM_SPARE,
            sip_headers=tuple({**dict(element.sip_headers), **dict(target.sip_headers)}.items()),
            send_digits=target.send_digits,
            send_on_preanswer=target.send_on_preanswer,
            confirm=_confirm(draft, element),
            credentials=(target.username, target.password) if target.username else None,
            parent=row.id,
            rivals=len(element.targets) > 1,
        ),
    )


def _confirm(draft: Draft, element: DialElement) -> Confirm | None:
    if not element.confirm_key:
        return None
    prompt = (_document(draft, element.confirm_sound),) if element.confirm_sound else ()
    return Confirm(element.confirm_key, prompt, float(element.confirm_timeout))


def _document(draft: Draft, url: str) -> DocumentItem:
    request = SoundRequest(call=call_event(draft.leg, "StatusChange", draft.now))
    return DocumentItem(Callback(url, "GET"), request, draft.leg.by.account, draft.leg.by.sub_account)


def _play_music(draft: Draft) -> None:
    task = _task(draft)
    music = task.element.dial_music
    program = RINGBACK if music == "real" else (_document(draft, music),)
    player = draft.prompt(program, loop=True)
    draft.change(task=msgspec.structs.replace(task, player=player))


def _task(draft: Draft) -> Dialling:
    task = draft.leg.task
    assert isinstance(task, Dialling)
    return task


def early_media_up(draft: Draft) -> None:
    if not _task(draft).winner:
        _play_music(draft)


def _silence_music(draft: Draft) -> None:
    task = _task(draft)
    draft.hush(task.player)
    draft.change(task=msgspec.structs.replace(task, player=""))


def callee_rang(draft: Draft, command: CalleeRang) -> None:
    task = draft.leg.task
    if not isinstance(task, Dialling) or command.call_uuid not in task.callees:
        return
    draft.change(task=msgspec.structs.replace(task, rang=True))
    if command.early and task.element.dial_music == "real":
        _silence_music(draft)  # the far end's own ringing is heard instead


def callee_ready(draft: Draft, command: CalleeReady) -> None:
    task = draft.leg.task
    if not isinstance(task, Dialling) or command.call_uuid not in task.callees or task.winner:
        draft.do(Tell(command.call_uuid, HangUp(HangupCause.LOST_RACE, HangupSource.PLIVO)))
        return
    for callee in task.callees:
        if callee != command.call_uuid:
            draft.do(Tell(callee, HangUp(HangupCause.LOST_RACE, HangupSource.PLIVO)))
    draft.change(task=msgspec.structs.replace(task, winner=command.call_uuid, callees=(command.call_uuid,)))
    draft.wake("element", None)
    _silence_music(draft)
    _tell_callback(draft, "answer")
    if draft.leg.answered:
        _connect(draft)
    else:
        draft.change(phase="picking_up")
        draft.do(PickUp())


def picked_up_for_dial(draft: Draft, task: Dialling) -> None:
    """The caller is answered because somebody was."""
    if task.winner in task.callees:
        _connect(draft)
    else:
        _over(draft, "completed", HangupCause.NORMAL_HANGUP)


def _connect(draft: Draft) -> None:
    task = msgspec.structs.replace(_task(draft), connected_at=draft.now)
    draft.change(task=task, peer=task.winner)
    draft.seat()
    draft.do(Tell(task.winner, Connected(draft.leg.room)))
    draft.wake("element", task.element.time_limit)
    _tell_callback(draft, "connected")
    wanted = draft.leg.on_dial_answer
    if wanted is not None:
        draft.change(on_dial_answer=None)
        tapes.begin(draft, wanted.format, wanted.callback, heard=True)


def callee_ended(draft: Draft, command: CalleeEnded) -> None:
    task = draft.leg.task
    if not isinstance(task, Dialling) or command.call_uuid not in task.callees:
        return
    left = tuple(callee for callee in task.callees if callee != command.call_uuid)
    task = msgspec.structs.replace(task, callees=left)
    draft.change(task=task)
    if command.call_uuid == task.winner:
        _tell_callback(draft, "hangup", command)
        if draft.leg.phase != "picking_up":  # else as soon as the caller is answered
            _over(draft, "completed", command.cause)
    elif not left:
        _over(draft, _STATUS.get(command.status, "failed"), command.cause)


def timed_out(draft: Draft) -> None:
    """Nobody answered in time, or the time limit of the connected call is up."""
    task = _task(draft)
    if task.winner:
        _hang_up_callees(draft, HangupCause.SCHEDULED_HANGUP)
        _over(draft, "completed", HangupCause.SCHEDULED_HANGUP)
    else:
        _hang_up_callees(draft, HangupCause.RING_TIMEOUT)
        _over(draft, "timeout", HangupCause.RING_TIMEOUT)


def _hang_up_callees(draft: Draft, cause: HangupCause) -> None:
    for callee in _task(draft).callees:
        draft.do(Tell(callee, HangUp(cause, HangupSource.PLIVO)))


def _over(draft: Draft, status: str, cause: HangupCause) -> None:
    task = _task(draft)
    _silence_music(draft)
    draft.wake("element", None)
    draft.change(peer="", task=None)
    draft.act(task.element.action, task.element.redirect, dial_parameters(draft, task, status, cause))


def key_pressed(draft: Draft, key: str) -> None:
    """The caller's keys: ``*`` hangs the callee up, patterns are told."""
    task = _task(draft)
    if key == "*" and task.element.hangup_on_star and task.winner:
        _hang_up_callees(draft, HangupCause.NORMAL_HANGUP)
        _over(draft, "completed", HangupCause.NORMAL_HANGUP)
        return
    if task.connected_at is not None:
        _match(draft, 0, key, task.element.digits_match, "ALeg")


def callee_key(draft: Draft, command: CalleeKey) -> None:
    task = draft.leg.task
    if isinstance(task, Dialling) and command.call_uuid == task.winner:
        _match(draft, 1, command.key, task.element.digits_match_b, "BLeg")


def _match(draft: Draft, side: int, key: str, patterns: tuple[str, ...], who: str) -> None:
    task = _task(draft)
    pressed = list(task.pressed)
    pressed[side] = (pressed[side] + key)[-32:]
    found = next((pattern for pattern in patterns if pressed[side].endswith(pattern)), "")
    if found:
        pressed[side] = ""
    draft.change(task=msgspec.structs.replace(task, pressed=(pressed[0], pressed[1])))
    if found:
        own = {"DialAction": "digits", "DialDigitsMatch": found, "DialDigitsPressedBy": who}
        draft.report(task.element.callback, "StatusChange", {**_legs(draft), **own})


def _legs(draft: Draft) -> dict[str, str]:
    task = _task(draft)
    target = dict(zip(task.dialled, task.element.targets, strict=True)).get(task.winner)
    return {
        "DialALegUUID": draft.leg.row.id,
        "DialBLegUUID": task.winner,
        "DialBLegFrom": task.element.caller_id or draft.leg.row.from_number,
        "DialBLegTo": target.to if target else "",
    }


def _tell_callback(draft: Draft, action: str, ended: CalleeEnded | None = None) -> None:
    task = _task(draft)
    own = {"DialAction": action, "DialBLegStatus": action, **_legs(draft)}
    if ended is not None:
        own |= {
            "DialBLegDuration": str(ended.talked),
            "DialBLegBillDuration": str(-(-ended.talked // 60) * 60),
            "DialBLegHangupCause": ended.cause.text,
            "DialBLegHangupCauseName": ended.cause.text,
            "DialBLegHangupCauseCode": str(ended.cause.code),
            "DialBLegHangupSource": ended.source,
        }
    draft.report(task.element.callback, "StatusChange", own)
