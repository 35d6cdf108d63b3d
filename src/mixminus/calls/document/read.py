"""Call-control XML → elements. Pure; everything hostile is an :class:`InvalidDocument` with a sentence.

Plivo's documents as its seven SDKs write them (API reference, "Document rules"): bare ``&`` in text, an XML declaration
or not, elements unknown to us ignored with a warning. DTDs are refused outright. An element the vendor has and we do
not is refused by name: it is never silently skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from xml.etree.ElementTree import Element as XmlElement
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from mixminus.calls.document import control, inputs, prompts
from mixminus.calls.document.attributes import Attributes, InvalidDocument
from mixminus.calls.document.catalogue import REFUSED_ELEMENTS
from mixminus.calls.document.dial import conference, dial
from mixminus.calls.document.elements import Element, Prompt
from mixminus.calls.document.multi_party_call import multi_party_call

SIZE_LIMIT = 100_000
"""Bytes."""
DEPTH_LIMIT = 16
ELEMENT_LIMIT = 500

_BARE_AMPERSAND = re.compile(r"&(?!(?:[A-Za-z]{1,8}|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")

Warn = Callable[[str], None]


def read_document(body: bytes, warn: Warn = lambda sentence: None) -> tuple[Element, ...]:
    """The elements of a ``<Response>`` in document order; ``warn`` hears of every element that is left out.

    Raises:
        InvalidDocument: not XML, too large or deep, another root, an element or value that cannot be used.
    """
    found = []
    for child in _response(body):
        check_served(child)
        if child.tag in READERS:
            found.append(READERS[child.tag](child, Attributes(child)))
            _warn_of_children(child, warn)
        else:
            warn(f"<{child.tag[:40]}> is unknown and ignored; known are {', '.join(READERS)}")
    return tuple(found)


def read_prompts(body: bytes) -> tuple[Prompt, ...]:
    """What music and sound URLs answer: ``Play``, ``Speak`` and ``Wait`` in document order, the rest ignored (4.7).

    Raises:
        InvalidDocument: as :func:`read_document`.
    """
    return prompts.prompts(_response(body))


def _response(body: bytes) -> XmlElement:
    root = _parse(body)
    if root.tag != "Response":
        raise InvalidDocument(f"the root element is <{root.tag[:40]}>; it must be <Response>")
    return root


def check_served(element: XmlElement) -> None:
    """Raise InvalidDocument for an element of the vendor's that is not served."""
    if element.tag in REFUSED_ELEMENTS:
        raise InvalidDocument(f"<{element.tag}> is not served: {REFUSED_ELEMENTS[element.tag]}")


def _warn_of_children(element: XmlElement, warn: Warn) -> None:
    allowed = CHILDREN.get(element.tag)
    if allowed is None:  # markup inside Speak is the voice's business
        return
    for child in element:
        check_served(child)
        if child.tag not in allowed:
            if child.tag in READERS:
                raise InvalidDocument(f"<{child.tag}> cannot stand inside <{element.tag}>; {_allowed(allowed)}")
            warn(f"<{child.tag[:40]}> inside <{element.tag}> is unknown and ignored; {_allowed(allowed)}")


def _allowed(names: Iterable[str]) -> str:
    return f"allowed are {', '.join(sorted(names))}" if names else "nothing may stand there"


def _parse(body: bytes) -> XmlElement:
    if len(body) > SIZE_LIMIT:
        raise InvalidDocument(f"the document has {len(body)} bytes; at most {SIZE_LIMIT} are read")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidDocument(f"the document is not UTF-8: {error}") from None
    text = _BARE_AMPERSAND.sub("&amp;", text.strip())
    if text.startswith("<?xml"):
        text = text.partition("?>")[2]
    try:
        root: XmlElement = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise InvalidDocument(f"the document is not well-formed XML: {error}") from None
    _check_shape(root)
    return root


def _check_shape(root: XmlElement) -> None:
    level, depth, count = [root], 0, 0
    while level:
        depth, count = depth + 1, count + len(level)
        if depth > DEPTH_LIMIT or count > ELEMENT_LIMIT:
            raise InvalidDocument(f"more than {DEPTH_LIMIT} levels or {ELEMENT_LIMIT} elements")
        level = [child for element in level for child in element]


_NOTHING: frozenset[str] = frozenset()
_PROMPTS = frozenset(prompts.READERS)

CHILDREN: dict[str, frozenset[str]] = {
    "MultiPartyCall": frozenset({"AgentHoldMusic", "CustomerHoldMusic"}),
    "Play": _NOTHING,
    "Wait": _NOTHING,
    "GetDigits": _PROMPTS,
    "GetInput": _PROMPTS,
    "PreAnswer": _PROMPTS,
    "Record": _NOTHING,
    "DTMF": _NOTHING,
    "Redirect": _NOTHING,
    "Hangup": _NOTHING,
    "Dial": frozenset({"Number", "User"}),
    "Conference": _NOTHING,
}

READERS: dict[str, Callable[[XmlElement, Attributes], Element]] = {
    "MultiPartyCall": multi_party_call,
    **prompts.READERS,
    "GetDigits": inputs.get_digits,
    "GetInput": inputs.get_input,
    "Record": inputs.record,
    "PreAnswer": control.pre_answer,
    "Redirect": control.redirect,
    "Hangup": control.hangup,
    "DTMF": control.dtmf,
    "Dial": dial,
    "Conference": conference,
}
