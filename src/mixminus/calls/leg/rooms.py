"""Where a leg sits while it is in no multiparty call or conference, and on which channels it talks and hears. Pure.

Every leg has a private room. A leg dialled by another joins that one's room; ``ASIDE_…`` carry what only one of the two
is to hear.
"""

from __future__ import annotations

from typing import Final

from mixminus.calls import hearing
from mixminus.calls.hearing import SOUNDS

TALK: Final = hearing.TALK
ASIDE_A: Final = 1 << 40
"""Prompts for the leg whose room it is."""
ASIDE_B: Final = 1 << 41
"""Prompts for the leg it is connected to."""
HEAR_A: Final = TALK | SOUNDS | ASIDE_A
HEAR_B: Final = TALK | SOUNDS | ASIDE_B


def private_room(call_uuid: str) -> str:
    """The room of a leg that is in no multiparty call."""
    return f"call:{call_uuid}"
