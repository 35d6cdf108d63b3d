"""What a leg's decision wants done besides :mod:`mixminus.calls.effects`, as values."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from mixminus.calls import effects
from mixminus.calls.commands import Callback, Requester
from mixminus.calls.document.elements import ConferenceElement
from mixminus.calls.sounds.request import AnyProgram


class Confirm(msgspec.Struct, frozen=True):
    """The callee must press ``key`` before it is connected."""

    key: str
    prompt: AnyProgram = ()
    timeout: float = 30.0


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """How an outgoing leg is placed, and what becomes of it when it is answered."""

    to: str
    from_: str
    caller_name: str
    room: str
    """Where its media is opened."""
    ring_timeout: float
    delay: float = 0.0
    sip_headers: tuple[tuple[str, str], ...] = ()
    send_digits: str = ""
    send_on_preanswer: bool = False
    confirm: Confirm | None = None
    credentials: tuple[str, str] | None = None
    """User and password the far end may ask for."""
    parent: str = ""
    """Call uuid of the leg that dials it by XML."""
    rivals: bool = False
    """Others are dialled with it, and only one is wanted."""
    answer: Callback = Callback()
    """What it runs when it is answered; none for legs of a Dial and of a multiparty call."""
    fallback: Callback = Callback()
    ring: Callback = Callback()
    time_limit: float = 0.0
    """Seconds after the answer; 0 is none."""
    hangup_on_ring: float | None = None
    """Seconds after it begins to ring."""


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A new outgoing leg that is in no multiparty call."""

    call_uuid: str
    request_uuid: str
    by: Requester
    origin: Origin
    hangup: Callback = Callback()


class StartPrompt(msgspec.Struct, frozen=True):
    """Play to a room; feeds ``PromptEnded(player)`` when it is over by itself."""

    player: str
    room: str
    program: AnyProgram
    talk: int
    loop: bool = False


class StopPrompt(msgspec.Struct, frozen=True):
    player: str


class Seat(msgspec.Struct, frozen=True):
    """Put this leg's media into a room, with these channels."""

    room: str
    talk: int
    hear: int


class EarlyMedia(msgspec.Struct, frozen=True):
    """183 to the caller, with media in this room; feeds ``EarlyMediaUp`` or ``Gone``."""

    room: str


class Tell(msgspec.Struct, frozen=True):
    """Hand another leg an input."""

    call_uuid: str
    message: Any


class JoinConference(msgspec.Struct, frozen=True):
    """Enter a conference by name, a new one if there is none; feeds ``ConferenceJoined``."""

    element: ConferenceElement


class LeaveConference(msgspec.Struct, frozen=True):
    """Tell the conference that the leg has gone."""


LegEffect: TypeAlias = (
    effects.LegEffect
    | PlaceOrder
    | StartPrompt
    | StopPrompt
    | Seat
    | EarlyMedia
    | Tell
    | JoinConference
    | LeaveConference
)
