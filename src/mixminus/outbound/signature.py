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
    parts = urlsplit(url)
    messages = [sdk.message(method, parts, form) for sdk in _SDKS]
    if method == "GET":
        # Java compares the method by identity: a "GET" that is no literal goes the way of POST, stray dot included.
        messages.append(f"{_Form(port=False, decoded_path=True).base(parts)}?{_decoded(parts)}.")
    messages.append(f"{url}.{_joined(sorted(form.items()))}")
    return tuple(dict.fromkeys(_sign(token, f"{message}.{nonce}") for message in messages))


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

    def message(self, method: str, parts: SplitResult, form: Mapping[str, str]) -> str:
        base = self.base(parts)
        query = {"decoded": _decoded, "raw": _raw, "twice": _twice}[self.query](parts)
        pairs = sorted(form.items())
        if self.body == "twice":
            pairs = [(_mangled(name), _mangled(value)) for name, value in pairs]
        if method == "GET" or not pairs:
            return f"{base}?{query}" if query or self.bare_mark else base
        return f"{base}?{query}{'.' if query else ''}{_joined(pairs)}"


_SDKS = (
    _Form(),  # Node
    _Form(query="twice"),  # Python
    _Form(port=False, bare_mark=True),  # Ruby
    _Form(port=False),
    _Form(query="raw", body="twice"),  # PHP
    _Form(port=False, decoded_path=True, bare_mark=True),  # Java
    _Form(port=False, decoded_path=True),  # .NET
    _Form(decoded_path=True),  # Go
    _Form(bare_root=True),
    _Form(port=False, bare_root=True),
)


def _decoded(parts: SplitResult) -> str:
    return _query_text(parse_qsl(parts.query, keep_blank_values=True))


def _twice(parts: SplitResult) -> str:
    return _query_text(parse_qsl(parts.query, keep_blank_values=True, encoding="latin-1"))


def _raw(parts: SplitResult) -> str:
    return _query_text([pair.partition("=")[::2] for pair in parts.query.split("&") if pair])


def _query_text(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _joined(pairs: list[tuple[str, str]]) -> str:
    return "".join(name + value for name, value in pairs)


def _mangled(text: str) -> str:
    return text.encode().decode("latin-1")


def _sign(token: str, message: str) -> str:
    return b64encode(digest(token.encode(), message.encode(), sha256)).decode("ascii")
