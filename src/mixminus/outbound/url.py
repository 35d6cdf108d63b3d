"""URLs of customers, made fit for a request line, with parameters appended."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from mixminus.errors import OutboundError

_ALLOWED = "!#$%&'()*+,/:;=?@[]~"
"""Characters of a URL that stand for themselves besides letters, digits and ``-._``. A ``%`` is taken as an escape."""


def request_url(url: str) -> str:
    """``url`` as it goes on the wire: no fragment, spaces and non-ASCII escaped, a host outside ASCII as IDNA,
    an empty path as ``/``.

    What is already escaped stays exactly as written, since that is what gets signed.
    Raises :class:`~mixminus.errors.OutboundError` (stage ``address``) for what is no http or https URL.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("must begin with http:// or https:// and name a host")
        authority = parts.netloc
        if not authority.isascii():
            authority = authority.replace(authority.rpartition("@")[2], _ascii_authority(host, port))
        if any(character <= " " or character == "\x7f" for character in authority):
            raise ValueError("the host holds a space or control character")
    except ValueError as error:
        raise OutboundError("address", f"URL {url[:200]!r}: {error}") from None
    return urlunsplit((parts.scheme, authority, quote(parts.path, _ALLOWED) or "/", quote(parts.query, _ALLOWED), ""))


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """``url`` with ``parameters`` after its own query. A space becomes ``%20``: receivers disagree about ``+``."""
    if not parameters:
        return url
    base, _, fragment = url.partition("#")
    separator = "" if base.endswith(("?", "&")) else "&" if "?" in base else "?"
    appended = base + separator + urlencode(parameters, quote_via=quote, safe="")
    return f"{appended}#{fragment}" if fragment else appended


def form_body(parameters: Mapping[str, str]) -> bytes:
    """``application/x-www-form-urlencoded``, UTF-8."""
    return urlencode(parameters).encode("ascii")


def receiver_of(url: str) -> tuple[str, str]:
    """(host with port, and that with the path): whose capacity a request to ``url`` uses."""
    base = url.partition("#")[0].partition("?")[0]
    scheme, _, rest = base.partition("://")
    authority = rest.partition("/")[0].rpartition("@")[2].lower()
    return f"{scheme}://{authority}", base


def _ascii_authority(host: str, port: int | None) -> str:
    encoded = host.encode("idna").decode("ascii")
    return encoded if port is None else f"{encoded}:{port}"
