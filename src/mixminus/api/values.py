"""One value of a request → one Python value; ``ValueError`` with what is allowed.

Values arrive as JSON values, as form or query text, or inside a one-element list (some SDKs wrap them), and mean the
same in every one of these shapes (API reference, section 1.3). Nothing here knows a parameter's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
Parse = Callable[[Any], T]

MAX_TEXT = 4096
"""Characters; no parameter of this API is longer."""
MAX_DESTINATIONS = 20
MAX_URLS = 20

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_INTEGER = re.compile(r"\s*[+-]?\d{1,18}\s*", re.ASCII)
_NUMBER = re.compile(r"\+?\d{1,20}", re.ASCII)
_SIP_URI = re.compile(
    r"""sips?:
        (?:[A-Za-z0-9\-_.!~*'()&=+$,/%\#]+ (?: :[A-Za-z0-9\-_.!~*'()&=+$,%]*)? @)?
        (?:[A-Za-z0-9](?:[A-Za-z0-9.\-]*[A-Za-z0-9])?\.? | \[[0-9A-Fa-f:.]+\])
        (?: :\d{1,5})?
        (?: ;[A-Za-z0-9\-_.!~*'()%+]+ (?: =[A-Za-z0-9\-_.!~*'()%+\[\]/:&$]+)? )*""",
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(:\d\d)?(\.\d{1,6})?(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0"})


def unwrap(raw: Any) -> Any:
    """A one-element list means its element; the official Python SDK sends ``{"status": ["active"]}``."""
    while isinstance(raw, (list, tuple)) and len(raw) == 1:
        raw = raw[0]
    return raw


def is_absent(raw: Any) -> bool:
    """Null, an empty text and an empty list all mean "not given"."""
    return raw is None or raw == "" or raw == [] or raw == ()


def text(maximum: int = MAX_TEXT) -> Parse[str]:
    """Printable text of at most ``maximum`` characters; numbers are taken as their digits."""

    def parse(raw: Any) -> str:
        if isinstance(raw, bool) or not isinstance(raw, (str, int)):
            raise ValueError("must be text")
        value = str(raw)
        if len(value) > maximum:
            raise ValueError(f"must have at most {maximum} characters")
        if _CONTROL.search(value):
            raise ValueError("must not contain control characters")
        return value

    return parse


def boolean(raw: Any) -> bool:
    """``true``/``false`` as JSON or text of any case, or ``1``/``0``."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, (str, int)):
        word = str(raw).strip().lower() if not isinstance(raw, int) or raw in (0, 1) else ""
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    raise ValueError("must be true or false")


def integer(low: int, high: int) -> Parse[int]:
    """A whole number of ``low`` to ``high``, as a number or as text."""

    def parse(raw: Any) -> int:
        value = _whole(raw)
        if value is None or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return parse


def _whole(raw: Any) -> int | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int):
        return raw
    if isinstance(raw, float):
        return int(raw) if raw.is_integer() else None
    if isinstance(raw, str) and _INTEGER.fullmatch(raw):
        return int(raw)
    return None


def integers(low: int, high: int) -> Parse[tuple[int, ...]]:
    """One whole number, or several joined by ``<`` (or a list of them), one per destination."""
    one = integer(low, high)

    def parse(raw: Any) -> tuple[int, ...]:
        parts: list[Any] = list(raw) if isinstance(raw, (list, tuple)) else [raw]
        if isinstance(raw, str):
            parts = raw.split("<")
        try:
            return tuple(one(part) for part in parts)
        except ValueError as error:
            raise ValueError(f"{error}, or several of them joined by <, one per destination") from None

    return parse


def choice(allowed: Mapping[str, T], describe: str = "") -> Parse[T]:
    """One of the words of ``allowed`` (written lower case there), in any case."""
    words = describe or "must be one of " + ", ".join(allowed)

    def parse(raw: Any) -> T:
        found = allowed.get(raw.strip().lower()) if isinstance(raw, str) else None
        if found is None:
            raise ValueError(words)
        return found

    return parse


_METHODS: dict[str, Literal["GET", "POST"]] = {"get": "GET", "post": "POST"}
http_method: Parse[Literal["GET", "POST"]] = choice(_METHODS, "must be GET or POST")

_FORMATS: dict[str, Literal["mp3", "wav"]] = {"mp3": "mp3", "wav": "wav"}
file_format: Parse[Literal["mp3", "wav"]] = choice(_FORMATS)


def url(raw: Any) -> str:
    """An absolute http or https URL; any host and port, query and fragment allowed."""
    sentence = "must be an http:// or https:// URL"
    value = text(2048)(raw).strip()
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(sentence) from None
    if parts.scheme.lower() not in {"http", "https"} or not host or re.search(r"[\s<>\"\\^`{|}]", value):
        raise ValueError(sentence)
    return value


def urls(raw: Any) -> tuple[str, ...]:
    """One URL, or several as a list or joined by commas; a comma inside a URL stays if what follows is no URL."""
    parts = list(raw) if isinstance(raw, (list, tuple)) else re.split(r",\s*(?=https?://)", str(raw))
    if not 1 <= len(parts) <= MAX_URLS:
        raise ValueError(f"must be 1 to {MAX_URLS} URLs")
    return tuple(url(part) for part in parts)


def prose(maximum: int) -> Parse[str]:
    """Text to be read aloud: lines and tabs are fine."""
    line = text(maximum)

    def parse(raw: Any) -> str:
        return line(re.sub(r"[\r\n\t]", " ", raw) if isinstance(raw, str) else raw)

    return parse


def refused(sentence: str) -> Parse[str]:
    """Nothing is right."""

    def parse(raw: Any) -> str:
        raise ValueError(sentence)

    return parse


def checked(check: Callable[[str], object]) -> Parse[str]:
    """Short text about which ``check`` raises no ValueError."""
    short = text(40)

    def parse(raw: Any) -> str:
        value = short(raw)
        check(value)
        return value

    return parse


def words_or_url(*words: str) -> Parse[str]:
    """One of ``words`` in any case (answered lower case), or a URL."""

    def parse(raw: Any) -> str:
        if isinstance(raw, str) and raw.strip().lower() in words:
            return raw.strip().lower()
        try:
            return url(raw)
        except ValueError:
            raise ValueError(f"must be one of {', '.join(words)}, or an http:// or https:// URL") from None

    return parse


def address(raw: Any) -> str:
    """A number with or without ``+``, or a ``sip:`` URI. Nothing that could add a header of its own passes."""
    value = str(raw).strip() if isinstance(raw, (str, int)) and not isinstance(raw, bool) else ""
    if len(value) <= 255 and (_NUMBER.fullmatch(value) or _SIP_URI.fullmatch(value)):
        return value
    raise ValueError("must be digits with or without a leading +, or a sip:user@host address")


def destinations(raw: Any) -> tuple[str, ...]:
    """One to twenty addresses joined by ``<``, or a list of them."""
    parts = list(raw) if isinstance(raw, (list, tuple)) else str(raw).split("<")
    if len(parts) > MAX_DESTINATIONS:
        raise ValueError(f"must name at most {MAX_DESTINATIONS} destinations")
    try:
        return tuple(address(part) for part in parts)
    except ValueError as error:
        raise ValueError(f"{error}; several are joined by <") from None


def sip_headers(raw: Any) -> tuple[tuple[str, str], ...]:
    """``name=value`` pairs joined by commas, letters and digits only; a trailing comma is tolerated."""
    pairs = []
    for part in text()(raw).split(","):
        if not part.strip():
            continue
        match = re.fullmatch(r"\s*([A-Za-z0-9]{1,64})\s*=\s*([A-Za-z0-9]{1,255})\s*", part)
        if match is None:
            raise ValueError("must be name=value pairs of letters and digits, joined by commas")
        pairs.append((match[1], match[2]))
    if len(pairs) > 32:
        raise ValueError("must have at most 32 pairs")
    return tuple(pairs)


def pattern(regex: str, describe: str) -> Parse[str]:
    """Text that fits ``regex`` wholly."""
    compiled = re.compile(regex, re.ASCII)

    def parse(raw: Any) -> str:
        if isinstance(raw, bool) or not isinstance(raw, (str, int)):
            raise ValueError(describe)
        value = text()(raw)
        if not compiled.fullmatch(value):
            raise ValueError(describe)
        return value

    return parse


def word_set(allowed: frozenset[str]) -> Parse[frozenset[str]]:
    """Words of ``allowed`` joined by commas (or a list of them), in any case and with spaces around."""

    def parse(raw: Any) -> frozenset[str]:
        parts = list(raw) if isinstance(raw, (list, tuple)) else str(raw).split(",")
        found = frozenset(str(part).strip().lower() for part in parts) - {""}
        if not found <= allowed:
            raise ValueError("must be a comma-joined list of " + ", ".join(sorted(allowed)))
        return found

    return parse


def timestamp(raw: Any) -> datetime:
    """``YYYY-MM-DD HH:MM[:ss[.uuuuuu]]``, UTC unless a zone is given. Aware UTC."""
    sentence = "must be a UTC time written YYYY-MM-DD HH:MM[:ss[.uuuuuu]]"
    match = _TIMESTAMP.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if match is None:
        raise ValueError(sentence)
    date, minute, second, fraction, zone = match.groups()
    try:
        value = datetime.fromisoformat(f"{date}T{minute}{second or ':00'}{fraction or ''}{(zone or 'Z').upper()}")
        moment = value.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(sentence) from None
    if not 1970 <= moment.year <= 2999:
        raise ValueError(sentence)
    return moment
