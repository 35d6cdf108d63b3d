"""What can be asked of a conference, and what happens to it. Values. ``members`` empty means all of them."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from mixminus.calls.commands import Callback, Requester, SoundKind
from mixminus.calls.document.elements import ConferenceElement
from mixminus.calls.sounds.program import Program


class Arrive(msgspec.Struct, frozen=True, kw_only=True):
    """A leg asks to be let in; the first makes the conference."""

    by: Requester
    call_uuid: str
    call_from: str
    call_to: str
    caller_name: str
    direction: str
    element: ConferenceElement


class Depart(msgspec.Struct, frozen=True):
    """A leg has gone by itself."""

    call_uuid: str


class ConferencePromptEnded(msgspec.Struct, frozen=True):
    player: str


class ConferenceRecordingBroke(msgspec.Struct, frozen=True):
    """The recording cannot go on. ``begun``: something of it may be on disk."""

    recording_id: str
    reason: str
    begun: bool


class EndConference(msgspec.Struct, frozen=True, kw_only=True):
    """Everybody goes on with their documents."""

    by: Requester
    name: str


class RemoveMembers(msgspec.Struct, frozen=True, kw_only=True):
    """Kick: they go on with their documents. ``hangup``: they are hung up. Result: their member ids."""

    by: Requester
    name: str
    members: tuple[str, ...] = ()
    hangup: bool = False


class SetMembers(msgspec.Struct, frozen=True, kw_only=True):
    """Mute or deafen, or undo it. Result: their member ids."""

    by: Requester
    name: str
    members: tuple[str, ...] = ()
    muted: bool | None = None
    deaf: bool | None = None


class PlayToMembers(msgspec.Struct, frozen=True, kw_only=True):
    """Result: their member ids."""

    by: Requester
    name: str
    members: tuple[str, ...] = ()
    kind: SoundKind
    program: Program


class StopPlayToMembers(msgspec.Struct, frozen=True, kw_only=True):
    by: Requester
    name: str
    members: tuple[str, ...] = ()
    kind: SoundKind


class RecordConference(msgspec.Struct, frozen=True, kw_only=True):
    """While one runs, that one is the answer. Result: ``CallRecordingStarted``."""

    by: Requester
    name: str
    file_format: Literal["mp3", "wav"] = "mp3"
    callback: Callback = Callback()


class StopRecordConference(msgspec.Struct, frozen=True, kw_only=True):
    by: Requester
    name: str


ConferenceCommand: TypeAlias = (
    EndConference
    | RemoveMembers
    | SetMembers
    | PlayToMembers
    | StopPlayToMembers
    | RecordConference
    | StopRecordConference
)
