"""SSML as the vendor's documents carry it → what a voice is given. Pure; anything can be read, nothing is refused.

Acting: ``break``, ``emphasis``, ``p``, ``s``, ``prosody``, ``say-as`` (digits, telephone, characters, spell-out) and
``sub``. Of ``lang``, ``phoneme``, ``w``, ``cont`` and every other tag the content is spoken and the tag left out.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

_BARE_AMPERSAND: Final = re.compile(r"&(?!(?:lt|gt|amp|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_TAG: Final = re.compile(r"</?[A-Za-z][\w:-]*(?:\s[^<>]*)?/?>")
_SPACES: Final = re.compile(r"\s+")
_VALUE: Final = re.compile(r"[A-Za-z0-9+.%-]{1,16}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
DEPTH_LIMIT: Final = 16
_KEPT: Final = {
    "break": ("time", "strength"),
    "emphasis": ("level",),
    "p": (),
    "s": (),
    "prosody": ("rate", "pitch", "volume"),
}
"""Tag → attributes that are passed on."""
_SPELLED: Final = frozenset({"digits", "telephone", "characters", "spell-out"})


class Speech(NamedTuple):
    """What is to be said: as SSML of the few tags above, and as plain text for voices that take no tags."""

    markup: str
    plain: str


def read_speech(text: str) -> Speech:
    """``text`` may be plain, a fragment with tags, or a whole ``<speak>`` document."""
    text = _CONTROL.sub(" ", text).strip()
    root = _parse(text)
    if root is None:
        words = _SPACES.sub(" ", _TAG.sub(" ", text)).strip()
        return Speech(escape(words), words)
    markup, plain = _inside(root)
    return Speech(markup.strip(), _SPACES.sub(" ", plain).strip())


def _parse(text: str) -> Element | None:
    try:
        root: Element = fromstring(f"<speak>{_BARE_AMPERSAND.sub('&amp;', text)}</speak>", forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        return None
    level, depth = [root], 0
    while level:
        level, depth = [child for element in level for child in element], depth + 1
    return root if depth <= DEPTH_LIMIT else None


def _inside(element: Element) -> tuple[str, str]:
    markup, plain = escape(element.text or ""), element.text or ""
    for child in element:
        found = _child(child)
        tail = child.tail or ""
        markup, plain = markup + found[0] + escape(tail), plain + found[1] + tail
    return markup, plain


def _child(element: Element) -> tuple[str, str]:
    name = element.tag
    if name == "sub" and element.get("alias"):
        alias = element.get("alias", "")
        return escape(alias), alias
    markup, plain = _inside(element)
    if name == "say-as" and element.get("interpret-as", "").lower() in _SPELLED:
        spelled = " ".join(character for character in plain if not character.isspace())
        return escape(spelled), spelled
    if name not in _KEPT:
        return markup, plain
    given = ((key, element.get(key, "")) for key in _KEPT[name])
    attributes = "".join(f' {key}="{value}"' for key, value in given if _VALUE.fullmatch(value))
    pause = ", " if name == "break" else ". " if name in ("p", "s") else ""
    return f"<{name}{attributes}>{markup}</{name}>", plain + pause
