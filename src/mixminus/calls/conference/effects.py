"""What a conference's decision wants done, as values."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from mixminus.calls.effects import AbandonTap, BeginTap, EndTap
from mixminus.calls.hearing import Masks
from mixminus.calls.sounds.request import AnyProgram


class PutMember(msgspec.Struct, frozen=True):
    """Put a leg into the conference's room with these channels, or change them."""

    call_uuid: str
    room: str
    masks: Masks


class ReleaseMember(msgspec.Struct, frozen=True):
    """A leg is out: it goes on with its document, or is hung up."""

    call_uuid: str
    hangup: bool


class StartSound(msgspec.Struct, frozen=True):
    player: str
    room: str
    program: AnyProgram
    talk: int
    loop: bool = False


class StopSound(msgspec.Struct, frozen=True):
    player: str


ConferenceEffect: TypeAlias = PutMember | ReleaseMember | StartSound | StopSound | BeginTap | EndTap | AbandonTap
