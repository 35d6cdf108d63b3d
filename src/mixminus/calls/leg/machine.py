"""A call leg's state machine: ``decide(leg, input, now, mint)`` → decision. Pure.

::

    inbound   (new) ──▶ fetching ──▶ running ──▶ … ──▶ over        the first element that needs it answers the caller
    outbound  (new) ──▶ delayed ──▶ dialling ──▶ confirming ──▶ …  then as its origin says:
                        placed over the API: fetching · for a multiparty call: joining · by a Dial: ready ──▶ connected
    running   one element of its document waits for something (``task`` says what)
    joining ──▶ in_mpc ──▶ fetching (exit action), the next element, or over

A leg that is over has no state. Every end is reported to ``hangup_url`` and ``call_status_callback_url`` with its
cause. This module is the table; each topic has a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from mixminus.calls.decision import Decision
from mixminus.calls.effects import CreateLeg
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
from mixminus.calls.leg import callee, collect, control, dialling, line, meeting, take, tapes
from mixminus.calls.leg.close import hang_up
from mixminus.calls.leg.effects import PlaceOrder
from mixminus.calls.leg.inputs import (
    CalleeEnded,
    CalleeKey,
    CalleeRang,
    CalleeReady,
    ConferenceJoined,
    ConferenceLeft,
    Connected,
    EarlyMediaUp,
    HangUpCall,
    KeyOnLeg,
    LegRecordingBroke,
    PlayOnCall,
    PromptEnded,
    RecordCall,
    SendDigitsOnCall,
    SentElsewhere,
    SpeakingOnLeg,
    StopPlayOnCall,
    StopRecordCall,
    TransferCall,
)
from mixminus.calls.leg.line import Incoming
from mixminus.calls.leg.run import run
from mixminus.calls.leg.state import (
    Collecting,
    Dialling,
    Draft,
    Leg,
    LegDecision,
    Meeting,
    Prompting,
    Taking,
    program_of,
)
from mixminus.calls.model import HangupCause, HangupSource
from mixminus.ids import Mint

__all__ = ["Incoming", "Leg", "LegDecision", "decide"]


def decide(leg: Leg | None, command: Any, now: datetime, mint: Mint) -> LegDecision:
    """What follows from ``command``. Anything that comes after the end changes nothing.

    Raises:
        RequestError: a command of the API cannot be done; nothing has changed.
    """
    if isinstance(command, Incoming):
        return line.incoming(command, now, mint)
    if isinstance(command, CreateLeg):
        return line.for_multiparty_call(command, now, mint)
    if isinstance(command, PlaceOrder):
        return line.placed(command, now, mint)
    if leg is None:
        return Decision(None)
    draft = Draft(leg, now, mint)
    _HANDLERS[type(command)](draft, command)
    run(draft)
    return draft.finish()


def _fetched(draft: Draft, command: Fetched) -> None:
    if draft.leg.phase == "fetching" and command.number in (0, draft.leg.serial):
        draft.change(elements=command.elements, from_xml=True, phase="running")
        draft.next()


def _fetch_failed(draft: Draft, command: FetchFailed) -> None:
    if draft.leg.phase == "fetching" and command.number in (0, draft.leg.serial):
        hang_up(draft, _FETCH_CAUSES[command.kind][0 if command.reaching else 1], HangupSource.ERROR)


_FETCH_CAUSES = {
    "answer": (HangupCause.ERROR_REACHING_ANSWER_URL, HangupCause.INVALID_ANSWER_XML),
    "action": (HangupCause.ERROR_REACHING_ACTION_URL, HangupCause.INVALID_ACTION_XML),
    "transfer": (HangupCause.ERROR_REACHING_TRANSFER_URL, HangupCause.INVALID_TRANSFER_XML),
    "redirect": (HangupCause.ERROR_REACHING_REDIRECT_URL, HangupCause.INVALID_REDIRECT_XML),
}


def _prompt_ended(draft: Draft, command: PromptEnded) -> None:
    if control.play_ended(draft, command.player):
        return
    task = draft.leg.task
    if task is None or getattr(task, "player", None) != command.player:
        return
    match task:
        case Prompting() if draft.leg.phase == "confirming":
            draft.change(task=None)
        case Prompting():
            draft.next()
        case Collecting():
            collect.prompt_ended(draft, task)
        case Taking():
            take.prompt_ended(draft, task)
        case _:
            pass  # music while dialling that could not be had: silence


def _early_media_up(draft: Draft, command: EarlyMediaUp) -> None:
    if draft.leg.answered or draft.leg.early:
        return
    draft.change(early=True, seated=False)
    task = draft.leg.task
    if isinstance(task, Prompting) and task.early:
        draft.change(task=Prompting(draft.prompt(program_of(task.early))))
    elif isinstance(task, Dialling):
        dialling.early_media_up(draft)


def _key(draft: Draft, command: KeyOnLeg) -> None:
    leg, task = draft.leg, draft.leg.task
    if leg.phase == "confirming":
        if callee.key_while_confirming(draft, command.key):
            line.go_on_answered(draft)
        return
    if leg.phase == "connected":
        callee.key_as_callee(draft, command.key)
    match task:
        case Collecting():
            collect.key_pressed(draft, task, command.key)
        case Taking():
            take.key_pressed(draft, task, command.key)
        case Dialling():
            dialling.key_pressed(draft, command.key)
        case Meeting():
            meeting.key_pressed(draft, task, command.key)
        case _:
            pass


def _speaking(draft: Draft, command: SpeakingOnLeg) -> None:
    match draft.leg.task:
        case Taking() as task:
            take.speaking(draft, task, command.on)
        case Meeting() as task:
            meeting.speaking(draft, task, command.on)
        case _:
            pass


def _timed_out(draft: Draft, command: TimedOut) -> None:
    phase = draft.leg.phase
    if command.number and command.number != draft.leg.timers.get(command.timer):
        return  # it ran out while it was being set anew
    match command.timer:
        case "delay" if phase == "delayed":
            line.place(draft)
        case "ring" if phase == "dialling":
            line.ring_timed_out(draft)
        case "hangup":
            hang_up(draft, HangupCause.SCHEDULED_HANGUP, HangupSource.ANSWER_XML)
        case "limit":
            hang_up(draft, HangupCause.SCHEDULED_HANGUP, HangupSource.PLIVO)
        case "on_ring" if phase == "dialling":
            hang_up(draft, HangupCause.SCHEDULED_HANGUP, HangupSource.API_REQUEST)
        case "element":
            _element_timed_out(draft)
        case "silence" if isinstance(draft.leg.task, Taking):
            take.ended(draft, draft.leg.task)
        case "record":
            control.record_timed_out(draft)
        case "play" | "speak":
            control.play_timed_out(draft, command.timer)
        case _:
            pass


def _element_timed_out(draft: Draft) -> None:
    if draft.leg.phase == "confirming":
        callee.not_confirmed(draft)
        return
    task = draft.leg.task
    match task:
        case Collecting():
            collect.timed_out(draft, task)
        case Taking():
            take.ended(draft, task)
        case Dialling():
            dialling.timed_out(draft)
        case Meeting():
            meeting.walk_out(draft, task)
        case None:
            pass
        case _:
            draft.next()


_HANDLERS: dict[type, Callable[[Draft, Any], None]] = {
    Rang: line.rang,
    Answered: line.answered,
    PickedUp: line.picked_up,
    Refused: line.refused,
    Gone: line.gone,
    HangUp: line.hang_up_asked,
    TimedOut: _timed_out,
    Fetched: _fetched,
    FetchFailed: _fetch_failed,
    PromptEnded: _prompt_ended,
    EarlyMediaUp: _early_media_up,
    KeyOnLeg: _key,
    SpeakingOnLeg: _speaking,
    LegRecordingBroke: tapes.broke,
    Admission: meeting.admission,
    Released: meeting.released,
    Transfer: meeting.transfer,
    ConferenceJoined: meeting.joined,
    ConferenceLeft: meeting.left,
    CalleeRang: dialling.callee_rang,
    CalleeReady: dialling.callee_ready,
    CalleeEnded: dialling.callee_ended,
    CalleeKey: dialling.callee_key,
    Connected: callee.connected,
    SentElsewhere: callee.sent_elsewhere,
    TransferCall: control.transfer_call,
    HangUpCall: control.hang_up_call,
    PlayOnCall: control.play,
    StopPlayOnCall: control.stop_play,
    RecordCall: control.record,
    StopRecordCall: control.stop_record,
    SendDigitsOnCall: control.send_digits,
}
