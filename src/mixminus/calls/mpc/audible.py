"""What can be heard in a multiparty call besides voices, as values of its state. Pure."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from mixminus.calls.commands import Callback, SoundKind
from mixminus.calls.sounds.program import Program

MusicSource: TypeAlias = Callback | Program
"""A URL that answers music, or music itself."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A sound for certain members, or for all. While it plays it has a channel of its own; before, ``channel`` is 0."""

    id: str
    kind: SoundKind
    program: Program
    members: tuple[str, ...] = ()
    """As the request named them, sorted; empty is everybody, those who come later included."""
    gone: frozenset[str] = frozenset()
    """Of those, who has left."""
    mix: bool = True
    begun: bool = False
    """It is being made ready, or plays; otherwise it waits for others with the same address."""
    channel: int = 0

    def is_for(self, member_id: str) -> bool:
        return not self.members or member_id in self.members

    @property
    def unheard(self) -> bool:
        """Nobody it was for is left."""
        return bool(self.members) and self.gone >= set(self.members)


class DialMusic(msgspec.Struct, frozen=True):
    """What the members hear while a request dials: ``music`` at once, or ringing as soon as and while it rings."""

    music: Callback = Callback()
    ringing: frozenset[str] = frozenset()
    """Call uuids that ring and send no sound of their own."""
    early: frozenset[str] = frozenset()
    """Call uuids whose far end sends sound of its own, which is heard instead of the tone."""
