"""Scanners for the grammar of SIP header fields (RFC 3261 section 25). No regular expressions on network input.

Every function is linear in its input and raises :class:`~mixminus.errors.ProtocolError` with a sentence.
"""

from __future__ import annotations

import string

from mixminus.errors import ProtocolError

TOKEN_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-.!%*_+`'~")
DIGITS = frozenset(string.digits)
_NOT_IN_VALUES = frozenset("\r\n\x00")


def is_token(text: str) -> bool:
    """Whether ``text`` is a token: a method, header name, parameter name."""
    return (text.isalnum() and text.isascii()) or (bool(text) and TOKEN_CHARACTERS.issuperset(text))


def is_header_value(text: str) -> bool:
    """Whether ``text`` may stand after a header's colon without starting a line of its own."""
    return _NOT_IN_VALUES.isdisjoint(text)


def parse_number(text: str, name: str, limit: int) -> int:
    """ASCII digits → an integer of at most ``limit``."""
    text = text.strip()
    if len(text) > 20 or not (text.isdigit() and text.isascii()):
        raise ProtocolError(f"{name}: not a number")
    number = int(text)
    if number > limit:
        raise ProtocolError(f"{name}: {number} is more than {limit}")
    return number


def end_of_quoted(text: str, start: int) -> int:
    """Index just after the quoted string that opens at ``text[start]``."""
    position = start + 1
    while True:
        quote = text.find('"', position)
        if quote < 0:
            raise ProtocolError("a quoted string is not closed")
        slash = text.find("\\", position, quote)
        if slash < 0:
            return quote + 1
        position = slash + 2


def unquote(text: str) -> str:
    """``"a\\"b"`` → ``a"b``; text without quotes as it is."""
    if len(text) < 2 or text[0] != '"':
        return text
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    out = []
    escaped = False
    for character in inner:
        if character == "\\" and not escaped:
            escaped = True
            continue
        out.append(character)
        escaped = False
    return "".join(out)


def quote(text: str) -> str:
    """``a"b`` → ``"a\\"b"``."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def split_list(text: str, separator: str = ",") -> list[str]:
    """Split at ``separator`` outside quoted strings and angle brackets; parts are stripped, empty ones kept."""
    if separator not in text:
        return [text.strip()]
    if '"' not in text and "<" not in text:
        return [part.strip() for part in text.split(separator)]
    parts = []
    start = position = 0
    while position < len(text):
        character = text[position]
        if character == '"':
            position = end_of_quoted(text, position)
            continue
        if character == "<":
            close = text.find(">", position)
            if close < 0:
                raise ProtocolError("an angle bracket is not closed")
            position = close
        elif character == separator:
            parts.append(text[start:position].strip())
            start = position + 1
        position += 1
    parts.append(text[start:].strip())
    return parts


def parse_parameters(text: str, separator: str = ";") -> dict[str, str | None]:
    """``;a=1;b="x";lr`` → ``{"a": "1", "b": "x", "lr": None}``; names in lower case, the first of equals wins."""
    found: dict[str, str | None] = {}
    if not text:
        return found
    for part in split_list(text, separator):
        if not part:
            continue
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if not name:
            raise ProtocolError("a parameter has no name")
        value = value.strip()
        if value[:1] == '"':
            if end_of_quoted(value, 0) != len(value):
                raise ProtocolError(f"{name}: text follows the quoted string")
            value = unquote(value)
        found.setdefault(name, value if equals else None)
    return found
