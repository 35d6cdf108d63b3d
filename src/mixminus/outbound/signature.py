"""Signatures of requests to customers, as the vendor's SDKs check them (API reference 4.9).

The SDKs do not agree on what version 3 covers; a header may hold several signatures and any one that fits is enough,
so every SDK gets its own.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Tokens:
    """``own`` signs for the (sub-)account the call belongs to, ``main`` for the main account."""

    own: str
    main: str


def signature_headers(method: str, url: str, form: Mapping[str, str], tokens: Tokens, nonce: str) -> dict[str, str]:
    """The six signature headers.

    ``url`` is exactly as requested, query included; ``form`` is the POST body's parameters, empty for GET. ``nonce`` is
    fresh decimal digits.
    """
    own_v3 = ",".join(v3_signatures(method, url, form, tokens.own, nonce))
    same = tokens.own == tokens.main
    return {
        "X-Plivo-Signature-V2": v2_signature(url, tokens.own, nonce),
        "X-Plivo-Signature-Ma-V2": v2_signature(url, tokens.main, nonce),
        "X-Plivo-Signature-V2-Nonce": nonce,
        "X-Plivo-Signature-V3": own_v3,
        "X-Plivo-Signature-Ma-V3": own_v3 if same else ",".join(v3_signatures(method, url, form, tokens.main, nonce)),
        "X-Plivo-Signature-V3-Nonce": nonce,
    }


def v2_signature(url: str, token: str, nonce: str) -> str:
    """Base64 of HMAC-SHA256 over scheme, host, port and path, then the nonce (4.9.2)."""
    return _sign(token, _Form().base(urlsplit(url)) + nonce)


def v3_signatures(method: str, url: str, form: Mapping[str, str], token: str, nonce: str) -> tuple[str, ...]:
    """Every form of 4.9.6 once, the SDKs' common one first."""
    return tuple(_sign(token, f"{message}.{nonce}") for message in v3_messages(method, url, form))


def v3_messages(method: str, url: str, form: Mapping[str, str]) -> tuple[str, ...]:
    """What is signed, without the dot and nonce behind it: one message for each of :func:`v3_signatures`."""
    parts = urlsplit(url)
    queries = _queries(parts.query)
    body = _joined(sorted(form.items()))
    bodies = {"plain": body, "twice": body if body.isascii() else _joined(_mangled(form))}
    if method == "GET":
        bodies = {"plain": "", "twice": ""}
    messages = [sdk.message(parts, queries[sdk.query], bodies[sdk.body]) for sdk in _SDKS]
    if method == "GET":
        # Java compares the method by identity: a "GET" that is no literal goes the way of POST, stray dot included.
        messages.append(f"{_JAVA.base(parts)}?{queries['decoded']}.")
    messages.append(f"{url}.{body}")
    return tuple(dict.fromkeys(messages))


@dataclass(frozen=True)
class _Form:
    """How one SDK builds its message. ``query`` and ``body`` say how values are read: ``twice`` means that UTF-8 was
    taken for Latin-1 and encoded again.
    """

    port: bool = True
    decoded_path: bool = False
    bare_root: bool = False
    """The path ``/`` is left out, by a receiver that uses the URL as it was configured."""
    query: Literal["decoded", "raw", "twice"] = "decoded"
    body: Literal["plain", "twice"] = "plain"
    bare_mark: bool = False
    """A ``?`` also when there is nothing behind it."""

    def base(self, parts: SplitResult) -> str:
        authority = parts.netloc.rpartition("@")[2]
        if not self.port:
            authority = authority.rpartition(":")[0] if parts.port is not None else authority
        path = unquote(parts.path) if self.decoded_path else parts.path
        return f"{parts.scheme}://{authority}{'' if self.bare_root and path == '/' else path}"

    def message(self, parts: SplitResult, query: str, body: str) -> str:
        base = self.base(parts)
        if body:
            return f"{base}?{query}{'.' if query else ''}{body}"
        return f"{base}?{query}" if query or self.bare_mark else base


_JAVA = _Form(port=False, decoded_path=True, bare_mark=True)
_SDKS = (
    _Form(),  # Node
    _Form(query="twice"),  # Python
    _Form(port=False, bare_mark=True),  # Ruby
    _Form(port=False),
    _Form(query="raw", body="twice"),  # PHP
    _JAVA,
    _Form(port=False, decoded_path=True),  # .NET
    _Form(decoded_path=True),  # Go
    _Form(bare_root=True),
    _Form(port=False, bare_root=True),
)


def _queries(query: str) -> dict[str, str]:
    """The query as text, in every way of reading it."""
    if not query:
        return {"decoded": "", "raw": "", "twice": ""}
    return {
        "decoded": _query_text(parse_qsl(query, keep_blank_values=True)),
        "raw": _query_text([pair.partition("=")[::2] for pair in query.split("&") if pair]),
        "twice": _query_text(parse_qsl(query, keep_blank_values=True, encoding="latin-1")),
    }


def _query_text(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _joined(pairs: list[tuple[str, str]]) -> str:
    return "".join(name + value for name, value in pairs)


def _mangled(form: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted((name.encode().decode("latin-1"), value.encode().decode("latin-1")) for name, value in form.items())


def _sign(token: str, message: str) -> str:
    return b64encode(digest(token.encode(), message.encode(), sha256)).decode("ascii")
