"""SIP, SIPS and tel URIs (RFC 3261 section 19.1, RFC 3966) and the name-addr around them (section 20.10)."""

from __future__ import annotations

import ipaddress
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

from mixminus.errors import ProtocolError
from mixminus.sip import grammar

_HOST = frozenset(string.ascii_letters + string.digits + "-._")
_IPV6 = frozenset(string.hexdigits + ":.")
_TEL = frozenset(string.hexdigits + "+-.()*#")
_BREAKS = frozenset(' <>"\t\r\n\x00')
_REMEMBERED = 120
"""Characters; longer texts are parsed each time, so that strangers cannot fill the memory with them."""
_SECURED = {"": "tls", "tcp": "tls", "ws": "wss"}
_NOT_IN_DISPLAY = frozenset('<>@,;"')


@dataclass(frozen=True, slots=True)
class Uri:
    """One URI. ``user`` is unescaped; ``host`` of IPv6 is without brackets; other schemes carry ``raw`` alone."""

    scheme: str
    raw: str
    user: str = ""
    host: str = ""
    port: int | None = None
    parameters: Mapping[str, str | None] = field(default_factory=dict)
    headers: str = ""

    @property
    def transport(self) -> str:
        """``transport`` parameter in lower case, or empty; of ``sips`` it names what TLS runs over (RFC 5630, 3.1)."""
        said = (self.parameters.get("transport") or "").lower()
        return _SECURED.get(said, said) if self.is_secure else said

    @property
    def is_sip(self) -> bool:
        return self.scheme in ("sip", "sips")

    @property
    def is_secure(self) -> bool:
        return self.scheme == "sips"

    def __str__(self) -> str:
        return self.raw


@dataclass(frozen=True, slots=True)
class NameAddr:
    """``"display" <uri>;parameters`` (From, To, Contact, Route, Record-Route)."""

    display: str
    uri: Uri
    parameters: Mapping[str, str | None]

    @property
    def tag(self) -> str:
        return self.parameters.get("tag") or ""


def parse_host_port(text: str, name: str = "host") -> tuple[str, int | None]:
    """``host``, ``host:port``, ``[v6]:port`` → host without brackets, and the port if one is said."""
    return (_parse_host_port if len(text) > _REMEMBERED else _known_host_port)(text, name)


def _parse_host_port(text: str, name: str) -> tuple[str, int | None]:
    text = text.strip()
    if text[:1] == "[":
        host, closed, rest = text[1:].partition("]")
        if not closed or not host or not _IPV6.issuperset(host) or rest.strip()[:1] not in ("", ":"):
            raise ProtocolError(f"{name}: {text[:60]!r} is not an IPv6 address in brackets")
        separator, port = rest.strip()[:1], rest.strip()[1:]
    else:
        host, separator, port = text.partition(":")
        host = host.strip()
        if not host or not _HOST.issuperset(host):
            raise ProtocolError(f"{name}: {host[:60]!r} is not a host")
    return host, grammar.parse_number(port, name, 65535) if separator else None


def format_host_port(host: str, port: int | None = None) -> str:
    """The reverse: brackets around IPv6, ``:port`` if there is one."""
    text = f"[{host}]" if ":" in host else host
    return f"{text}:{port}" if port is not None else text


@lru_cache(4096)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_address(host: str) -> bool:
    """Whether ``host`` is an IP literal rather than a name."""
    return len(host) <= 45 and _is_address(host)  # nothing longer is one, nor worth remembering


def parse_uri(text: str) -> Uri:
    """Text of a URI without angle brackets. Schemes other than sip, sips and tel are taken as they are."""
    return (_parse_uri if len(text) > _REMEMBERED else _known_uri)(text)


def _parse_uri(text: str) -> Uri:
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or not grammar.is_token(scheme) or not _BREAKS.isdisjoint(text):
        raise ProtocolError(f"{text[:60]!r} is not a URI")
    if scheme in ("sip", "sips"):
        return _parse_sip(scheme, text, rest)
    if scheme == "tel":
        number, _, parameters = rest.partition(";")
        if not number or not _TEL.issuperset(number):
            raise ProtocolError("tel: not a telephone number")
        return Uri("tel", text, user=number, parameters=grammar.parse_parameters(parameters))
    if not rest:
        raise ProtocolError(f"{text[:60]!r} is not a URI")
    return Uri(scheme, text)


def _parse_sip(scheme: str, raw: str, rest: str) -> Uri:
    # "@" stands raw nowhere but after the user part, which may itself hold ";" and "?" (RFC 4475 section 3.1.1.2).
    userinfo, at, address = rest.partition("@")
    if not at:
        userinfo, address = "", rest
    elif not userinfo:
        raise ProtocolError("sip: the user before @ is empty")
    address, _, headers = address.partition("?")
    host_port, _, parameters = address.partition(";")
    host, port = parse_host_port(host_port, scheme)
    user = userinfo.partition(":")[0]
    if "%" in user:
        user = unquote(user, errors="surrogateescape")
    return Uri(scheme, raw, user, host, port, grammar.parse_parameters(parameters) if parameters else {}, headers)


def parse_name_addr(text: str) -> NameAddr:
    """``"A" <sip:a@b>;tag=1`` or ``sip:a@b;tag=1``; without brackets all parameters are the header's."""
    return (_parse_name_addr if len(text) > _REMEMBERED else _known_name_addr)(text)


def _parse_name_addr(text: str) -> NameAddr:
    text = text.strip()
    display = ""
    if text[:1] == '"':
        end = grammar.end_of_quoted(text, 0)
        display = grammar.unquote(text[:end])
        rest = text[end:].lstrip()
        if rest[:1] != "<":
            raise ProtocolError("an address must follow the display name in angle brackets")
    else:
        opening = text.find("<")
        if opening < 0:
            return _parse_addr_spec(text)
        display, rest = text[:opening].strip(), text[opening:]
        if not _NOT_IN_DISPLAY.isdisjoint(display):
            raise ProtocolError("a display name with special characters must be quoted")
    close = rest.find(">")
    if close < 0:
        raise ProtocolError("an angle bracket is not closed")
    parameters = rest[close + 1 :].strip()
    if parameters and parameters[0] != ";":
        raise ProtocolError("only parameters may follow an address")
    return NameAddr(display, parse_uri(rest[1:close].strip()), grammar.parse_parameters(parameters))


def _parse_addr_spec(text: str) -> NameAddr:
    address, _, parameters = text.partition(";")
    address = address.strip()
    if "?" in address or "," in address:
        raise ProtocolError("a URI with ? or , must be in angle brackets")
    return NameAddr("", parse_uri(address), grammar.parse_parameters(parameters) if parameters else {})


# A dialog's messages all name the same two people, and most calls the same hosts.
_known_host_port = lru_cache(2048)(_parse_host_port)
_known_uri = lru_cache(2048)(_parse_uri)
_known_name_addr = lru_cache(2048)(_parse_name_addr)


def format_name_addr(uri: str, display: str = "", tag: str = "") -> str:
    """``"display" <uri>;tag=…``."""
    text = f"{grammar.quote(display)} <{uri}>" if display else f"<{uri}>"
    return f"{text};tag={tag}" if tag else text
