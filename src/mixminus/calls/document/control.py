"""``PreAnswer``, ``Redirect``, ``Hangup``, ``DTMF`` (API reference 5.5). Pure."""

from __future__ import annotations

from xml.etree.ElementTree import Element as XmlElement

from mixminus.calls.commands import Callback
from mixminus.calls.document.attributes import KEYS, Attributes, InvalidDocument, is_url
from mixminus.calls.document.elements import DtmfElement, HangupElement, PreAnswerElement, RedirectElement
from mixminus.calls.document.prompts import prompts


def pre_answer(element: XmlElement, attributes: Attributes) -> PreAnswerElement:
    return PreAnswerElement(prompts(element))


def redirect(element: XmlElement, attributes: Attributes) -> RedirectElement:
    url = (element.text or "").strip()
    if not is_url(url):
        raise InvalidDocument(f"<Redirect> {url[:80]!r}: must be an http or https URL")
    return RedirectElement(Callback(url, attributes.method("method")))


def hangup(element: XmlElement, attributes: Attributes) -> HangupElement:
    reason = attributes.word("reason", ("rejected", "busy")) or ""
    return HangupElement(reason, attributes.number("schedule", 0, 0, 86_400))


def dtmf(element: XmlElement, attributes: Attributes) -> DtmfElement:
    attributes.boolean("async")
    digits = (element.text or "").strip()
    if not digits or len(digits) > 100 or not set(digits) <= set(KEYS + "ABCDwW"):
        raise InvalidDocument(f"<DTMF> {digits[:80]!r}: must be 1 to 100 of 0-9, A-D, *, #, w (0.5 s) and W (1 s)")
    return DtmfElement(digits)
