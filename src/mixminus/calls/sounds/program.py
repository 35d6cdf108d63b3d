"""What a player plays, as values: a program is a sequence of items, played one after the other."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class PlayItem(msgspec.Struct, frozen=True, tag=True):
    """An audio file of the customer's. ``loop`` is how often it is played; 0 is without end."""

    url: str
    loop: int = 1


class SpeakItem(msgspec.Struct, frozen=True, tag=True):
    """Text read aloud. ``text`` may carry SSML tags; ``voice`` and ``language`` as the API names them."""

    text: str
    voice: str = ""
    """``WOMAN``, ``MAN``, ``Polly.…``; empty is ``WOMAN``."""
    language: str = ""
    """Such as ``en-US``; empty is that."""
    loop: int = 1


class WaitItem(msgspec.Struct, frozen=True, tag=True):
    """Silence."""

    seconds: float


class BuiltIn(msgspec.Struct, frozen=True, tag=True):
    """A sound of the engine's own: ``beep:1``, ``beep:2``, ``music``, ``ringback``."""

    name: str


Item: TypeAlias = PlayItem | SpeakItem | WaitItem | BuiltIn
Program: TypeAlias = tuple[Item, ...]

MUSIC: Program = (BuiltIn("music"),)
RINGBACK: Program = (BuiltIn("ringback"),)
