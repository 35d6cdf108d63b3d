"""What a client asks of a proxy: the first lines of a connection, read without touching a socket (RFC 9112, 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from mixminus.errors import ProtocolError

MAX_HEAD = 32 * 1024
END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True)
class ProxyRequest:
    """``connect``: a tunnel to ``host``:``port`` is wanted. ``absolute``: one request with a whole URL in its first
    line, sent in the clear for an https URL too by older HTTP clients; ``head`` is it in origin form.
    """

    form: Literal["connect", "absolute"]
    host: str
    port: int
    secure: bool
    head: bytes = b""


def read_request(head: bytes) -> ProxyRequest:
    """Read a head (up to and with the empty line). Raises :class:`~mixminus.errors.ProtocolError` with a sentence."""
    first, _, rest = head.partition(b"\r\n")
    words = first.decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise ProtocolError("this is an HTTP/1.1 proxy")
    method, target, version = words
    if method == "CONNECT":
        host, port = _split(f"//{target}", 443)
        return ProxyRequest("connect", host, port, secure=True)
    scheme = target.partition("://")[0].lower()
    if scheme not in {"http", "https"}:
        raise ProtocolError("this is a proxy for https; set HTTPS_PROXY to its address")
    host, port = _split(target, 443 if scheme == "https" else 80)
    parts = urlsplit(target)
    origin = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [line for line in rest.split(b"\r\n") if not line.lower().startswith((b"proxy-", b"connection:"))]
    # One request per connection: the next one may be for another host.
    start = f"{method} {origin} {version}\r\nConnection: close\r\n".encode("latin-1")
    return ProxyRequest("absolute", host, port, secure=scheme == "https", head=start + b"\r\n".join(lines))


def _split(url: str, default: int) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise ProtocolError("the request names no host")
    return host.rstrip(".").lower(), port or default


def refusal(status: str, text: str) -> bytes:
    """A whole answer that ends the connection."""
    body = (text + "\n").encode()
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode() + body
