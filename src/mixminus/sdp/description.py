"""Session descriptions: text ↔ values (RFC 8866). Reads tolerantly (CRLF or LF, unknown lines), writes strictly."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from mixminus.errors import ProtocolError

Direction: TypeAlias = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
MAX_BYTES = 64 * 1024
MAX_MEDIA = 32
MAX_FORMATS = 128


@dataclass(slots=True)
class Media:
    """One ``m=`` line and what belongs to it. ``host`` empty: the session's."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    host: str = ""
    attributes: list[tuple[str, str]] = field(default_factory=list)

    def attribute(self, name: str) -> str | None:
        """The first value of ``a=name:value``; empty for ``a=name``."""
        return next((value for key, value in self.attributes if key == name), None)

    def mapping(self, name: str) -> dict[str, str]:
        """``a=name:FORMAT text`` lines as format → text (rtpmap, fmtp)."""
        found: dict[str, str] = {}
        for key, value in self.attributes:
            if key == name:
                number, _, text = value.partition(" ")
                found.setdefault(number, text.strip())
        return found


@dataclass(slots=True)
class Description:
    """One session description."""

    session_id: str
    version: str
    host: str
    """Address of the session-level ``c=`` line, or empty."""
    media: list[Media]
    attributes: list[tuple[str, str]] = field(default_factory=list)
    origin_host: str = ""

    def host_of(self, media: Media) -> str:
        """Where ``media`` wants its packets: its own ``c=`` or the session's. Raises if there is neither."""
        host = media.host or self.host
        if not host:
            raise ProtocolError("c=: missing at session and media level")
        return host

    def direction_of(self, media: Media) -> Direction:
        """Media level, else session level, else sendrecv (RFC 3264 section 5.1)."""
        for attributes in (media.attributes, self.attributes):
            for name, _ in attributes:
                if name in DIRECTIONS:
                    return cast(Direction, name)
        return "sendrecv"


def parse_description(data: bytes) -> Description:
    """Raises :class:`~mixminus.errors.ProtocolError` naming the line that is wrong."""
    if len(data) > MAX_BYTES:
        raise ProtocolError(f"SDP: more than {MAX_BYTES} bytes")
    lines = [line.strip() for line in data.decode("utf-8", "replace").split("\n")]
    if not lines or lines[0] != "v=0":
        raise ProtocolError("SDP: v=0 expected as the first line")
    description = Description("", "", "", [])
    for line in lines[1:]:
        if not line:
            continue
        if line[1:2] != "=":
            raise ProtocolError(f"SDP: {line[:40]!r} is not a line of the form x=…")
        _read_line(description, line[0], line[2:])
    if not description.session_id:
        raise ProtocolError("SDP: o= is missing")
    return description


def _read_line(description: Description, kind: str, value: str) -> None:
    if kind == "o":
        words = value.split()
        if len(words) != 6:
            raise ProtocolError("o=: six fields expected")
        description.session_id, description.version, description.origin_host = words[1], words[2], words[5]
    elif kind == "c":
        host = _connection(value)
        if description.media:
            description.media[-1].host = host
        else:
            description.host = host
    elif kind == "m":
        if len(description.media) >= MAX_MEDIA:
            raise ProtocolError(f"m=: more than {MAX_MEDIA} streams")
        description.media.append(_media(value))
    elif kind == "a":
        name, _, text = value.partition(":")
        target = description.media[-1].attributes if description.media else description.attributes
        target.append((name.strip().lower(), text.strip()))


def _connection(value: str) -> str:
    words = value.split()
    if len(words) != 3 or words[0].upper() != "IN" or words[1].upper() not in ("IP4", "IP6"):
        raise ProtocolError("c=: IN IP4 or IP6 and an address expected")
    host = words[2].partition("/")[0]
    if not host or not all(c.isalnum() or c in ".:-_" for c in host):
        raise ProtocolError(f"c=: {host[:40]!r} is not an address")
    return host


def _media(value: str) -> Media:
    words = value.split()
    if len(words) < 3:
        raise ProtocolError("m=: kind, port, protocol and formats expected")
    port = words[1].partition("/")[0]
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ProtocolError(f"m=: {port[:20]!r} is not a port")
    return Media(words[0].lower(), int(port), words[2].upper(), words[3 : 3 + MAX_FORMATS])


def format_description(description: Description) -> bytes:
    """CRLF lines in the order RFC 8866 section 5 wants."""
    family = _family(description.origin_host)
    lines = [
        "v=0",
        f"o=- {description.session_id} {description.version} IN {family} {description.origin_host}",
        "s=-",
    ]
    if description.host:
        lines.append(f"c=IN {_family(description.host)} {description.host}")
    lines.append("t=0 0")
    lines += _attribute_lines(description.attributes)
    for media in description.media:
        lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
        if media.host:
            lines.append(f"c=IN {_family(media.host)} {media.host}")
        lines += _attribute_lines(media.attributes)
    return ("\r\n".join(lines) + "\r\n").encode()


def _attribute_lines(attributes: list[tuple[str, str]]) -> list[str]:
    return [f"a={name}:{value}" if value else f"a={name}" for name, value in attributes]


_UNSPECIFIED = frozenset("0:.")
"""All that an unspecified address is written with."""


def _family(host: str) -> str:
    return "IP6" if ":" in host else "IP4"


def is_unspecified(host: str) -> bool:
    """``0.0.0.0`` and ``::``: the hold of RFC 2543."""
    if not _UNSPECIFIED.issuperset(host):
        return False
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
