"""Prompts of call-control XML → programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from mixminus.calls.document.elements import PlayElement, Prompt, SpeakElement, WaitElement
from mixminus.calls.sounds.program import Item, PlayItem, Program, SpeakItem, WaitItem


def program_of(prompts: Iterable[Prompt]) -> Program:
    """``Play``, ``Speak`` and ``Wait`` elements as what a player plays."""
    return tuple(_item(prompt) for prompt in prompts)


def _item(prompt: Prompt) -> Item:
    match prompt:
        case PlayElement():
            return PlayItem(prompt.url, prompt.loop)
        case SpeakElement():
            return SpeakItem(prompt.text, prompt.voice, prompt.language, prompt.loop)
        case WaitElement():
            return WaitItem(float(prompt.seconds))
