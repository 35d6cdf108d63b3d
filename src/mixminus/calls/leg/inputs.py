"""What happens to a leg besides :mod:`mixminus.calls.inputs`, and what the API asks of one. Values."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from mixminus.calls.commands import Callback, Requester, SoundKind
from mixminus.calls.events import RecordedSound
from mixminus.calls.model import CallStatus, HangupCause, HangupSource
from mixminus.calls.sounds.program import Program


class PromptEnded(msgspec.Struct, frozen=True):
    """A player of the leg's is over by itself. ``error``: a sentence if something could not be played."""

    player: str
    error: str = ""


class KeyOnLeg(msgspec.Struct, frozen=True):
    """The far end pressed a key."""

    key: str


class SpeakingOnLeg(msgspec.Struct, frozen=True):
    """The far end begins or ceases to speak."""

    on: bool


class EarlyMediaUp(msgspec.Struct, frozen=True):
    """The unanswered caller can hear."""


class LegRecordingBroke(msgspec.Struct, frozen=True):
    """One of the leg's recordings cannot go on. ``begun``: something of it may be on disk."""

    recording_id: str
    reason: str
    begun: bool


class CalleeRang(msgspec.Struct, frozen=True):
    """A leg this one dials is ringing; ``early``: with sound of its own."""

    call_uuid: str
    early: bool = False


class CalleeReady(msgspec.Struct, frozen=True):
    """A leg this one dials has answered, and pressed the key if one was asked for."""

    call_uuid: str


class CalleeEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A leg this one dialled is over, or has been sent elsewhere."""

    call_uuid: str
    status: CallStatus
    cause: HangupCause
    source: HangupSource
    talked: int = 0
    """Seconds from its answer to its end."""


class CalleeKey(msgspec.Struct, frozen=True):
    call_uuid: str
    key: str


class Connected(msgspec.Struct, frozen=True):
    """To a dialled leg: it is wanted, and sits in ``room`` from now on."""

    room: str


class SentElsewhere(msgspec.Struct, frozen=True):
    """To a dialled leg: it is on its own from now on and runs this document."""

    target: Callback


class ConferenceJoined(msgspec.Struct, frozen=True):
    """The conference's answer. Not ``admitted``: it is full; ``reason`` says so."""

    admitted: bool
    conference_uuid: str = ""
    member_id: str = ""
    reason: str = ""
    sound: RecordedSound | None = None
    """The recording that runs there."""


class ConferenceLeft(msgspec.Struct, frozen=True):
    """The conference let this leg go: it ended, the leg was kicked, or (``hangup``) is to be hung up."""

    hangup: bool = False


class TransferCall(msgspec.Struct, frozen=True, kw_only=True):
    """Run other documents: ``aleg`` this leg, ``bleg`` the leg it is connected to, ``both``. Result: True."""

    by: Requester
    call_uuid: str
    legs: Literal["aleg", "bleg", "both"] = "aleg"
    aleg: Callback = Callback()
    bleg: Callback = Callback()


class HangUpCall(msgspec.Struct, frozen=True, kw_only=True):
    """End the call."""

    by: Requester
    call_uuid: str


class PlayOnCall(msgspec.Struct, frozen=True, kw_only=True):
    """Play or speak to one or both sides of a call."""

    by: Requester
    call_uuid: str
    kind: SoundKind
    program: Program
    legs: Literal["aleg", "bleg", "both"] = "aleg"
    loop: bool = False
    mix: bool = True
    length: int = 0
    """Seconds after which it is stopped; 0 is its own length."""


class StopPlayOnCall(msgspec.Struct, frozen=True, kw_only=True):
    by: Requester
    call_uuid: str
    kind: SoundKind


class RecordCall(msgspec.Struct, frozen=True, kw_only=True):
    """Record both sides. Result: :class:`CallRecordingStarted`."""

    by: Requester
    call_uuid: str
    file_format: Literal["mp3", "wav"] = "mp3"
    time_limit: int = 60
    callback: Callback = Callback()


class CallRecordingStarted(msgspec.Struct, frozen=True):
    recording_id: str
    file_format: str


class StopRecordCall(msgspec.Struct, frozen=True, kw_only=True):
    """Stop what :class:`RecordCall` began: the recording named, or all."""

    by: Requester
    call_uuid: str
    recording_id: str = ""


class SendDigitsOnCall(msgspec.Struct, frozen=True, kw_only=True):
    by: Requester
    call_uuid: str
    digits: str
    legs: Literal["aleg", "bleg", "both"] = "aleg"


CallCommand: TypeAlias = (
    TransferCall | HangUpCall | PlayOnCall | StopPlayOnCall | RecordCall | StopRecordCall | SendDigitsOnCall
)
"""What the API asks of one live leg."""
