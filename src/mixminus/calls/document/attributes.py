"""An element's attributes, read by type, as the vendor's seven SDKs write them (API reference 5.1): names in any case,
words in any case, ``none`` for false, 0 and nothing. Pure.
"""

from __future__ import annotations

import re
from typing import Literal
from xml.etree.ElementTree import Element as XmlElement

from mixminus.calls.commands import Callback
from mixminus.errors import ProtocolError

_HEADER = re.compile(r"([A-Za-z0-9]{1,64})=([A-Za-z0-9]{1,255})")
KEYS = "0123456789*#"


class InvalidDocument(ProtocolError):
    """The document cannot be used; the text says why."""


def is_url(value: str) -> bool:
    """An absolute http or https URL with a host and nothing that could split a header."""
    scheme, separator, rest = value.partition("://")
    printable = all(33 <= ord(character) != 127 for character in value)
    return bool(separator) and scheme.lower() in ("http", "https") and printable and rest[:1] not in ("", "/", "?", "#")


class Attributes:
    """One element's attributes. ``taken`` collects what a reader asked for, by its name in the reference."""

    def __init__(self, element: XmlElement) -> None:
        self.tag = element.tag
        self.taken: set[str] = set()
        self._values = {name.lower(): value.strip() for name, value in element.attrib.items()}

    def _get(self, name: str) -> str:
        self.taken.add(name)
        return self._values.get(name.lower(), "")

    def wrong(self, name: str, allowed: str) -> InvalidDocument:
        return InvalidDocument(f"<{self.tag}> {name}={self._get(name)[:80]!r}: {allowed}")

    def text(self, name: str) -> str | None:
        return self._get(name) or None

    def absent(self, name: str) -> bool:
        """``none`` is how one SDK writes false, 0 and nothing."""
        return self._get(name).lower() in ("", "none")

    def boolean(self, name: str) -> bool | None:
        value = self._get(name).lower()
        if not value:
            return None
        if value in ("true", "1"):
            return True
        if value in ("false", "0", "none"):
            return False
        raise self.wrong(name, "must be true or false")

    def flag(self, name: str, default: bool) -> bool:
        value = self.boolean(name)
        return default if value is None else value

    def integer(self, name: str, low: int, high: int) -> int | None:
        if self.absent(name):
            return None
        value = self._get(name)
        if not (value.isascii() and value.isdigit()) or len(value) > 9 or not low <= int(value) <= high:
            raise self.wrong(name, f"must be a whole number from {low} to {high}")
        return int(value)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        value = self.integer(name, low, high)
        return default if value is None else value

    def loop(self) -> int:
        """Times; 0 is endless, and ``none`` is how one SDK writes 0."""
        return 0 if self._get("loop").lower() == "none" else self.number("loop", 1, 0, 1000)

    def word(self, name: str, allowed: tuple[str, ...]) -> str | None:
        if self.absent(name):
            return None
        value = self._get(name).lower()
        if value not in allowed:
            raise self.wrong(name, f"must be one of {', '.join(allowed)}")
        return value

    def url(self, name: str) -> str:
        if self.absent(name):
            return ""
        value = self._get(name)
        if not is_url(value):
            raise self.wrong(name, "must be an http or https URL")
        return value

    def method(self, name: str, default: str = "POST") -> Literal["GET", "POST"]:
        return "GET" if (self.word(name, ("get", "post")) or default.lower()) == "get" else "POST"

    def callback(self, name: str, method_name: str, default: str) -> Callback | None:
        url, method = self.url(name), self.method(method_name, default)
        return Callback(url, method) if url else None

    def target(self, name: str = "action", method_name: str = "method") -> Callback:
        """A callback that may be none."""
        return self.callback(name, method_name, "POST") or Callback()

    def sound(self, name: str, default: str) -> str:
        value = self._get(name)
        if not value:
            return default
        if value.lower() in ("none", "beep:1", "beep:2"):
            return value.lower()
        if not is_url(value):
            raise self.wrong(name, "must be none, beep:1, beep:2 or an http or https URL")
        return value

    def keys(self, name: str, default: str) -> str:
        """A set of keys; ``any`` is all of them, ``none`` and an explicit empty value are none."""
        self.taken.add(name)
        if name.lower() not in self._values:
            return default
        value = self._get(name).lower()
        if value in ("", "none"):
            return ""
        if value == "any":
            return KEYS
        if not set(value) <= set(KEYS):
            raise self.wrong(name, "must be keys out of 0-9, * and #, or any, or none")
        return value

    def digits(self, name: str) -> str:
        """Keys to send: also ``w`` (0.5 s) and ``W`` (1 s)."""
        value = "" if self.absent(name) else self._get(name)
        if not set(value) <= set(KEYS + "ABCDwW") or len(value) > 100:
            raise self.wrong(name, "must be at most 100 of 0-9, A-D, *, #, w (0.5 s) and W (1 s)")
        return value

    def patterns(self, name: str) -> tuple[str, ...]:
        """A comma list of digit patterns."""
        text = "" if self.absent(name) else self._get(name)
        found = tuple(part.strip() for part in text.split(",") if part.strip())
        if any(not set(part) <= set(KEYS) for part in found):
            raise self.wrong(name, "must be patterns of 0-9, * and #, joined by commas")
        return found

    def sip_headers(self) -> tuple[tuple[str, str], ...]:
        """``k1=v1,k2=v2``, letters and digits: nothing that could add a header of its own passes."""
        text = "" if self.absent("sipHeaders") else self._get("sipHeaders")
        pairs = []
        for part in (part.strip() for part in text.split(",")):
            match = _HEADER.fullmatch(part)
            if match is not None:
                pairs.append((match[1], match[2]))
            elif part:
                raise self.wrong("sipHeaders", "must be name=value pairs of letters and digits, joined by commas")
        return tuple(pairs)
