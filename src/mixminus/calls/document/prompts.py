"""``Speak``, ``Play``, ``Wait``: what is heard (API reference 5.5). Pure."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element as XmlElement
from xml.etree.ElementTree import tostring

from mixminus.calls.document.attributes import Attributes, InvalidDocument, is_url
from mixminus.calls.document.elements import PlayElement, Prompt, SpeakElement, WaitElement

LONGEST_TEXT = 3000
"""Characters of one ``Speak``."""


def speak(element: XmlElement, attributes: Attributes) -> SpeakElement:
    """Markup inside (SSML) is kept as it stands for the voice to read or to strip."""
    text = _markup(element) if len(element) else (element.text or "").strip()
    if not text:
        raise InvalidDocument("<Speak> has no text")
    if len(text) > LONGEST_TEXT:
        raise InvalidDocument(f"<Speak> has {len(text)} characters; at most {LONGEST_TEXT} are spoken")
    return SpeakElement(
        text,
        attributes.text("voice") or "WOMAN",
        attributes.text("language") or "en-US",
        attributes.loop(),
    )


def _markup(element: XmlElement) -> str:
    inner = "".join(tostring(child, encoding="unicode") for child in element)
    return ((element.text or "") + inner).strip()


def play(element: XmlElement, attributes: Attributes) -> PlayElement:
    url = (element.text or "").strip()
    if not is_url(url):
        raise InvalidDocument(f"<Play> {url[:80]!r}: must be the http or https URL of an audio file")
    return PlayElement(url, attributes.loop())


def wait(element: XmlElement, attributes: Attributes) -> WaitElement:
    """``silence``, ``minSilence`` and ``beep`` change nothing: the wait lasts its length."""
    for flag in ("silence", "beep"):
        attributes.boolean(flag)
    attributes.integer("minSilence", 0, 86_400_000)
    return WaitElement(attributes.number("length", 1, 1, 86_400))


READERS: dict[str, Callable[[XmlElement, Attributes], Prompt]] = {"Speak": speak, "Play": play, "Wait": wait}


def prompts(element: XmlElement) -> tuple[Prompt, ...]:
    """The prompts inside an element; whatever else stands there is the caller's to refuse or to ignore."""
    return tuple(READERS[child.tag](child, Attributes(child)) for child in element if child.tag in READERS)
