"""What goes out and what comes back, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

DOCUMENT_LIMIT = 100_000
"""Bytes of call-control XML that are read (API reference 4.1)."""


@dataclass(frozen=True)
class OutboundRequest:
    """One HTTP request. ``url`` is what :func:`~mixminus.outbound.url.request_url` gives; times are seconds.

    ``sign`` is asked for headers with each URL that is really requested, so that a redirected request is signed for
    where it goes. An answer longer than ``limit`` bytes is a failure, or cut there with ``cut``.
    """

    method: Literal["GET", "POST"]
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    sign: Callable[[str], Mapping[str, str]] | None = None
    connect_timeout: float = 2.0
    read_timeout: float = 40.0
    total_timeout: float = 55.0
    limit: int = DOCUMENT_LIMIT
    cut: bool = False


@dataclass(frozen=True)
class OutboundResponse:
    """``url`` is where it came from, after redirects. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300
