"""Programs that are asked of a customer's URL when they are needed: wait and hold music, enter and exit sounds, …"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from mixminus.calls.commands import Callback
from mixminus.calls.events import SoundRequest
from mixminus.calls.sounds.program import Item


class DocumentItem(msgspec.Struct, frozen=True):
    """Whatever the URL answers: XML with Play, Speak and Wait, or audio (API reference 4.7). Asked once per start."""

    callback: Callback
    request: SoundRequest
    account: str
    sub_account: str = ""


AnyItem: TypeAlias = Item | DocumentItem
AnyProgram: TypeAlias = tuple[AnyItem, ...]
"""What players take."""
