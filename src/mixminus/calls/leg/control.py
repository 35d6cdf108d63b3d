"""What the API asks of a live call: transfer, hang up, play, speak, record, digits (API reference 6.1). Pure.

Raises Conflict, and changes nothing, where the call is not in a state for it.
"""

from __future__ import annotations

from mixminus.calls.effects import LeaveMpc, SendDigits
from mixminus.calls.leg import tapes
from mixminus.calls.leg.callee import leave_caller
from mixminus.calls.leg.close import hang_up, interrupt
from mixminus.calls.leg.effects import Seat, StartPrompt, StopPrompt, Tell
from mixminus.calls.leg.inputs import (
    CallRecordingStarted,
    HangUpCall,
    PlayOnCall,
    RecordCall,
    SendDigitsOnCall,
    SentElsewhere,
    StopPlayOnCall,
    StopRecordCall,
    TransferCall,
)
from mixminus.calls.leg.rooms import ASIDE_A, ASIDE_B, TALK
from mixminus.calls.leg.state import Draft, Meeting
from mixminus.calls.model import ExitCause, HangupCause, HangupSource
from mixminus.errors import Conflict, NotFound


def _answered(draft: Draft) -> None:
    if not draft.leg.answered:
        raise Conflict(f"call {draft.leg.row.id} is not answered yet")


def transfer_call(draft: Draft, command: TransferCall) -> None:
    leg = draft.leg
    _answered(draft)
    peer = leg.peer
    if command.legs in ("bleg", "both") and not peer:
        raise Conflict(f"call {leg.row.id} is connected to no other call: it has no bleg")
    draft.result = True
    if command.legs in ("bleg", "both"):
        draft.do(Tell(peer, SentElsewhere(command.bleg)))
    if command.legs == "bleg":
        return
    if leg.phase in ("joining", "in_mpc"):
        draft.do(LeaveMpc(ExitCause.TRANSFERRED))
        draft.change(join=None, seated=False)
    interrupt(draft, keep=peer if command.legs == "both" else "")
    leave_caller(draft)
    draft.change(elements=())
    draft.seat()
    draft.fetch(command.aleg, "transfer")


def hang_up_call(draft: Draft, command: HangUpCall) -> None:
    draft.result = True
    hang_up(draft, HangupCause.NORMAL_HANGUP, HangupSource.API_REQUEST)


def _is_alone(draft: Draft) -> None:
    """Prompts of the API are played where nobody but the two sides of a call is."""
    if draft.leg.phase in ("joining", "in_mpc"):
        raise Conflict("the call is in a multiparty call; use MultiPartyCall/…/Member/…/Play or Speak")
    if isinstance(draft.leg.task, Meeting):
        raise Conflict("the call is in a conference; use Conference/…/Member/…/Play or Speak")


def play(draft: Draft, command: PlayOnCall) -> None:
    """A new one of the same kind takes the place of the old."""
    _answered(draft)
    _is_alone(draft)
    leg = draft.leg
    aside, other = (leg.aside, ASIDE_A if leg.aside == ASIDE_B else ASIDE_B)
    if command.legs in ("bleg", "both") and not leg.peer:
        raise Conflict(f"call {leg.row.id} is connected to no other call: it has no bleg")
    _stop_kind(draft, command.kind)
    draft.seat()
    talk = {"aleg": aside, "bleg": other, "both": aside | other}[command.legs]
    player = f"{leg.row.id}:{command.kind}"
    replaces = not command.mix and command.legs != "bleg"
    draft.change(plays=(*draft.leg.plays, (command.kind, player, replaces)))
    if replaces:
        draft.do(Seat(leg.room, TALK, leg.hear & ~TALK))
    draft.do(StartPrompt(player, leg.room, command.program, talk, command.loop))
    draft.wake(command.kind, command.length or None)
    draft.result = True


def stop_play(draft: Draft, command: StopPlayOnCall) -> None:
    _stop_kind(draft, command.kind)
    draft.result = True


def play_timed_out(draft: Draft, kind: str) -> None:
    _stop_kind(draft, kind)


def _stop_kind(draft: Draft, kind: str) -> None:
    for found, player, _ in draft.leg.plays:
        if found == kind:
            draft.do(StopPrompt(player))
            play_ended(draft, player)


def play_ended(draft: Draft, player: str) -> bool:
    """True when it was one of the API's; the voices it stood in for are heard again."""
    ended = next((entry for entry in draft.leg.plays if entry[1] == player), None)
    if ended is None:
        return False
    draft.change(plays=tuple(entry for entry in draft.leg.plays if entry is not ended))
    draft.wake("play" if ended[0] == "play" else "speak", None)
    if ended[2] and draft.leg.seated and not any(entry[2] for entry in draft.leg.plays):
        draft.do(Seat(draft.leg.room, TALK, draft.leg.hear))
    return True


def record(draft: Draft, command: RecordCall) -> None:
    _answered(draft)
    row = tapes.begin(draft, command.file_format, command.callback, heard=True)
    draft.wake("record", command.time_limit)
    draft.result = CallRecordingStarted(row.id, row.format)


def stop_record(draft: Draft, command: StopRecordCall) -> None:
    wanted = [row for row in draft.leg.recordings if command.recording_id in ("", row.id)]
    task_row = getattr(draft.leg.task, "row", None)
    wanted = [row for row in wanted if task_row is None or row.id != task_row.id]
    if not wanted:
        raise NotFound(f"no recording runs on call {draft.leg.row.id}")
    for row in wanted:
        tapes.stop(draft, row)
    draft.wake("record", None)
    draft.result = True


def record_timed_out(draft: Draft) -> None:
    """The API's time limit: its recordings end, the document's go on."""
    task_row = getattr(draft.leg.task, "row", None)
    for row in draft.leg.recordings:
        if task_row is None or row.id != task_row.id:
            tapes.stop(draft, row)


def send_digits(draft: Draft, command: SendDigitsOnCall) -> None:
    _answered(draft)
    if command.legs != "aleg" and not draft.leg.peer:
        raise Conflict(f"call {draft.leg.row.id} is connected to no other call: it has no bleg")
    if command.legs in ("aleg", "both"):
        draft.do(SendDigits(command.digits))
    if command.legs in ("bleg", "both"):
        draft.do(Tell(draft.leg.peer, _for_peer(command, draft.leg.peer)))
    draft.result = True


def _for_peer(command: SendDigitsOnCall, peer: str) -> SendDigitsOnCall:
    return SendDigitsOnCall(by=command.by, call_uuid=peer, digits=command.digits)
