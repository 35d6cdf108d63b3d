"""A leg that another leg's ``Dial`` placed, or that must press a key before it is connected. Pure."""

from __future__ import annotations

import msgspec

from mixminus.calls.decision import whole_seconds
from mixminus.calls.leg.close import hang_up
from mixminus.calls.leg.effects import Confirm, Seat, Tell
from mixminus.calls.leg.inputs import CalleeEnded, CalleeKey, CalleeRang, CalleeReady, Connected, SentElsewhere
from mixminus.calls.leg.rooms import TALK, private_room
from mixminus.calls.leg.state import Draft, Prompting
from mixminus.calls.model import CallStatus, HangupCause, HangupSource


def rang_as_callee(draft: Draft, early: bool) -> None:
    leg = draft.leg
    if leg.origin is not None and leg.is_callee:
        if early:
            draft.do(Seat(leg.origin.room, TALK, 0))  # the caller hears the far end's own ringing
        draft.do(Tell(leg.origin.parent, CalleeRang(leg.row.id, early)))


def ask_for_key(draft: Draft, confirm: Confirm) -> None:
    """In a room of its own: whoever waits for it must not hear this."""
    draft.change(phase="confirming", seated=False, room=private_room(draft.leg.row.id))
    draft.seat()
    if confirm.prompt:
        draft.change(task=Prompting(draft.prompt(confirm.prompt)))
    draft.wake("element", confirm.timeout)


def key_while_confirming(draft: Draft, key: str) -> bool:
    """True when it is the right one; any other changes nothing."""
    leg = draft.leg
    assert leg.origin is not None and leg.origin.confirm is not None
    if key != leg.origin.confirm.key:
        return False
    if isinstance(leg.task, Prompting):
        draft.hush(leg.task.player)
    draft.wake("element", None)
    draft.change(task=None)
    return True


def not_confirmed(draft: Draft) -> None:
    hang_up(draft, HangupCause.CONFIRM_KEY_FAILED, HangupSource.PLIVO)


def answered_as_callee(draft: Draft) -> None:
    assert draft.leg.origin is not None
    draft.change(phase="ready")
    draft.do(Tell(draft.leg.origin.parent, CalleeReady(draft.leg.row.id)))


def connected(draft: Draft, command: Connected) -> None:
    if draft.leg.phase != "ready" or draft.leg.origin is None:
        return
    draft.change(phase="connected", room=command.room, seated=False, peer=draft.leg.origin.parent)
    draft.seat()


def key_as_callee(draft: Draft, key: str) -> None:
    assert draft.leg.origin is not None
    draft.do(Tell(draft.leg.origin.parent, CalleeKey(draft.leg.row.id, key)))


def sent_elsewhere(draft: Draft, command: SentElsewhere) -> None:
    """Transferred away from the leg that dialled it: from now on it runs documents of its own."""
    if draft.leg.phase != "connected":
        return
    leave_caller(draft)
    draft.fetch(command.target, "transfer")


def leave_caller(draft: Draft) -> None:
    """Tell the leg that dialled it that this one is no longer there, and sit in a room of its own."""
    leg = draft.leg
    if leg.origin is None or not leg.is_callee:
        return
    ended = CalleeEnded(
        call_uuid=leg.row.id,
        status=CallStatus.COMPLETED,
        cause=HangupCause.NORMAL_HANGUP,
        source=HangupSource.API_REQUEST,
        talked=whole_seconds(leg.row.answered_at, draft.now),
    )
    draft.do(Tell(leg.origin.parent, ended))
    own = private_room(leg.row.id)
    draft.change(origin=msgspec.structs.replace(leg.origin, parent=""), peer="", room=own, seated=False)
    draft.seat()
