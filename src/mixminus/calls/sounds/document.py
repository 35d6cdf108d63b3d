"""Prompts of call-control XML → programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from mixminus.calls.document.elements import PlayElement, Prompt, SpeakElement, WaitElement
from mixminus.calls.document.read import read_prompts
from mixminus.calls.sounds.program import Item, PlayItem, Program, SpeakItem, WaitItem

_XML_STARTS = (b"<", b"\xef\xbb\xbf<")


def is_document(body: bytes) -> bool:
    """Whether a sound URL answered XML; otherwise it is audio."""
    return body.lstrip().startswith(_XML_STARTS)


def read_program(body: bytes) -> Program:
    """What a music or sound URL answered (API reference 4.7).

    Raises:
        InvalidDocument: it cannot be used; the text says why.
    """
    return program_of(read_prompts(body))


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
