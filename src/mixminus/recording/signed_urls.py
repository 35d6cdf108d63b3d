"""URLs that open one recording until a moment, for whoever has them: ``?Expires=…&Signature=…``.

``Signature`` is base64url, without padding, of HMAC-SHA256 over ``GET``, the URL's path and ``Expires`` (Unix seconds),
joined by line feeds, under a secret of the installation. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlencode, urlsplit

SECRET_META = "recording_url_secret"
"""Name of the fact in the database that holds the secret, in hexadecimal. Deleting it makes all signed URLs void."""
LONGEST_DAYS = 366


def new_secret() -> str:
    return secrets.token_hex(32)


class UrlSigner:
    """Signs URLs and judges them. ``secret`` is :func:`new_secret`'s."""

    def __init__(self, secret: str, *, lasting: timedelta) -> None:
        self._key = bytes.fromhex(secret)
        self._lasting = lasting

    def sign(self, url: str, now: datetime, lasting: timedelta | None = None) -> str:
        """``url``, which has no query, opened until ``lasting`` after ``now``."""
        expires = str(int((now + (lasting or self._lasting)).timestamp()))
        return f"{url}?{urlencode({'Expires': expires, 'Signature': self._signature(urlsplit(url).path, expires)})}"

    def opens(self, raw_path: str, query: Mapping[str, str], now: datetime) -> bool:
        """Whether a request for ``raw_path`` with ``query`` is signed and not too late."""
        expires, signature = query.get("Expires", ""), query.get("Signature", "")
        if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
            return False
        genuine = hmac.compare_digest(signature.encode(), self._signature(raw_path, expires).encode())
        return genuine and now.timestamp() < int(expires)

    def _signature(self, path: str, expires: str) -> str:
        digest = hmac.new(self._key, f"GET\n{path}\n{expires}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True)
class RecordingUrls:
    """The URLs of recordings: how they are told, and which of them open without credentials."""

    signer: UrlSigner
    mode: Literal["basic", "signed", "unguessable"] = "basic"

    def told(self, url: str, now: datetime) -> str:
        """As it stands in answers and callbacks."""
        return self.signer.sign(url, now) if self.mode == "signed" else url

    def opens(self, raw_path: str, query: Mapping[str, str], now: datetime) -> bool:
        return self.mode == "unguessable" or self.signer.opens(raw_path, query, now)
