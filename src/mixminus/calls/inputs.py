"""What happens to calls that nobody asked for over the API: legs, timers, media. Values, handed to the machines like
commands.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from mixminus.calls.commands import MpcParameters, ParticipantParameters, Requester
from mixminus.calls.document.elements import Element
from mixminus.calls.events import MemberLeftForAction
from mixminus.calls.model import ExitCause, HangupCause, HangupSource

RingSound: TypeAlias = Literal["tone", "early", "none"]
"""What is to be heard of a callee: a ringing tone, the far end's own sound, or nothing more because it answered."""


class Enter(msgspec.Struct, frozen=True, kw_only=True):
    """A leg with open media asks to be let in. Creates the multiparty call if there is none. Result: ``Entered``."""

    by: Requester
    mpc_uuid: str
    name: str
    call_uuid: str
    call_from: str
    call_to: str
    call_direction: str
    address: str
    participant: ParticipantParameters
    parameters: MpcParameters
    request_uuid: str = ""
    """Of the Add Participant request that dialled the leg, if one did."""


class Leave(msgspec.Struct, frozen=True):
    """A leg has gone by itself: hung up, or sent elsewhere."""

    call_uuid: str
    cause: ExitCause


class DialEnded(msgspec.Struct, frozen=True):
    """One call of an Add Participant request came to nothing."""

    request_uuid: str
    call_uuid: str


class MaxDurationReached(msgspec.Struct, frozen=True):
    """The timer of ``max_duration`` ran out."""


class ShutDown(msgspec.Struct, frozen=True):
    """The server ends."""


class RecordingBroke(msgspec.Struct, frozen=True):
    """A recording that runs cannot go on. ``begun``: something of it may be on disk."""

    recording_id: str
    reason: str
    begun: bool


class RecordingAnnounced(msgspec.Struct, frozen=True):
    """Everybody has heard that the recording begins."""

    recording_id: str


class PromptReady(msgspec.Struct, frozen=True):
    """What a prompt needs is there; or nothing of it could be had, and ``error`` says why."""

    prompt_id: str
    error: str = ""


class PromptEnded(msgspec.Struct, frozen=True):
    prompt_id: str


class WaitedLongEnough(msgspec.Struct, frozen=True):
    member_id: str


class DialRang(msgspec.Struct, frozen=True):
    """A callee of an Add Participant request is being rung, or no longer."""

    request_uuid: str
    call_uuid: str
    sound: RingSound


class KeyPressed(msgspec.Struct, frozen=True):
    call_uuid: str
    key: str


class Speaking(msgspec.Struct, frozen=True):
    call_uuid: str
    on: bool


MpcInput: TypeAlias = (
    Enter
    | Leave
    | DialEnded
    | DialRang
    | MaxDurationReached
    | WaitedLongEnough
    | ShutDown
    | RecordingBroke
    | RecordingAnnounced
    | PromptReady
    | PromptEnded
    | KeyPressed
    | Speaking
)


class Entered(msgspec.Struct, frozen=True):
    """Answer to :class:`Enter`. Not ``admitted``: the call is full or over, ``reason`` says which."""

    admitted: bool
    member_id: str = ""
    reason: str = ""


class Rang(msgspec.Struct, frozen=True):
    """The far end of an outgoing call is ringing; ``early``: with sound of its own, and our keys reach it."""

    early: bool = False


class Answered(msgspec.Struct, frozen=True):
    """The far end of an outgoing call answered, and its media is open."""


class PickedUp(msgspec.Struct, frozen=True):
    """An incoming call was answered by us, and its media is open."""


class Refused(msgspec.Struct, frozen=True):
    """The far end of an outgoing call refused with this SIP status (408 too when nobody answered at all)."""

    status: int
    reason: str = ""


class Gone(msgspec.Struct, frozen=True):
    """The line is down: BYE or CANCEL from the far end, or a failure of the line."""

    cause: HangupCause = HangupCause.NORMAL_HANGUP
    source: HangupSource = HangupSource.UNKNOWN
    """``UNKNOWN`` stands for the far end, whichever of caller and callee that is."""


class Fetched(msgspec.Struct, frozen=True):
    """Call-control XML came and could be read."""

    elements: tuple[Element, ...]
    number: int = 0
    """Of the request it answers; 0 is whichever was last."""


class FetchFailed(msgspec.Struct, frozen=True):
    """It did not come (``reaching``) or could not be used."""

    kind: str
    reaching: bool
    reason: str
    number: int = 0


class TimedOut(msgspec.Struct, frozen=True):
    timer: Literal["delay", "ring", "hangup", "element", "silence", "limit", "on_ring", "record", "play", "speak"]
    number: int = 0
    """Of the request it answers; 0 is whichever was last."""


class HangUp(msgspec.Struct, frozen=True):
    """End the call from here."""

    cause: HangupCause
    source: HangupSource


class Admission(msgspec.Struct, frozen=True):
    """The multiparty call's answer to this leg's request to be let in."""

    entered: Entered


class Released(msgspec.Struct, frozen=True):
    """The multiparty call let this leg go: it goes on by its own rules."""

    exit_cause: ExitCause
    cause: HangupCause
    source: HangupSource
    action: MemberLeftForAction


class Transfer(msgspec.Struct, frozen=True):
    """Leave whatever the call does and join this multiparty call."""

    request_uuid: str
    mpc_uuid: str
    mpc_name: str
    participant: ParticipantParameters


LegInput: TypeAlias = (
    Rang
    | Answered
    | PickedUp
    | Refused
    | Gone
    | Fetched
    | FetchFailed
    | TimedOut
    | HangUp
    | Admission
    | Released
    | Transfer
)
