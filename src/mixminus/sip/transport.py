"""Where messages come from and go to (RFC 3261 section 18, RFC 3581), without sockets."""

from __future__ import annotations

from typing import NamedTuple

from mixminus.errors import ProtocolError
from mixminus.sip import grammar
from mixminus.sip.message import Request, Via, replace_top_via
from mixminus.sip.uri import Uri, format_host_port, is_address

RELIABLE = frozenset({"tcp", "tls", "ws", "wss"})
SECURE = frozenset({"tls", "wss"})
DEFAULT_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}
MAX_HEAD = 64 * 1024
MAX_BODY = 1024 * 1024
PATH_MTU_LIMIT = 1300
"""A larger request leaves UDP for TCP (section 18.1.1)."""


class Hop(NamedTuple):
    """The next hop of a request.

    ``connection`` names an open stream to use; 0: any to that address, opened if there is none. A ``pinned`` hop
    also carries every later request of the dialog, whatever Contact says (a phone behind a NAT).
    """

    transport: str
    host: str
    port: int
    connection: int = 0
    pinned: bool = False


class Flow(NamedTuple):
    """Where a message came in from or goes out to. ``connection`` is 0 on UDP, and on a stream not yet open."""

    transport: str
    host: str
    port: int
    connection: int = 0

    @property
    def reliable(self) -> bool:
        return self.transport in RELIABLE


def hop_of(uri: Uri, *, secure: bool = False) -> Hop:
    """The next hop of a SIP URI (RFC 3263 without SRV): ``maddr``, port and ``transport`` are honoured.

    ``secure``: a dialog that is to stay on TLS sends there whatever the URI says (RFC 3261 section 26.2.2).
    """
    if not uri.is_sip:
        raise ProtocolError(f"{uri.raw[:60]!r} names no host to send to")
    transport = uri.transport or "udp"
    if transport not in DEFAULT_PORTS:
        raise ProtocolError(f"transport {transport[:20]!r} is not known")
    if uri.is_secure and transport not in SECURE:
        raise ProtocolError(f"sips cannot be sent over {transport}")
    if secure and transport not in SECURE:
        transport = "tls"
    host = uri.parameters.get("maddr") or uri.host
    return Hop(transport, host, uri.port or DEFAULT_PORTS[transport])


def note_source(request: Request, flow: Flow) -> None:
    """Write ``received`` and ``rport`` into the topmost Via (18.2.1, RFC 3581 section 4)."""
    via = request.via
    asked = "rport" in via.parameters
    if not asked and via.host.lower() == flow.host:
        return
    parts = [
        f"{name}={_value(value)}" if value is not None else name
        for name, value in via.parameters.items()
        if name not in ("received", "rport")
    ]
    parts.append(f"received={flow.host}")
    parameters: dict[str, str | None] = {**via.parameters, "received": flow.host}
    if asked:
        parts.append(f"rport={flow.port}")
        parameters["rport"] = str(flow.port)
    address = format_host_port(via.host, via.port)
    replace_top_via(request, ";".join([f"SIP/2.0/{via.transport} {address}", *parts]))
    request.via = Via(via.transport, via.host, via.port, parameters)


def _value(value: str) -> str:
    return value if grammar.is_token(value) or ":" in value else grammar.quote(value)


def is_behind_nat(request: Request, flow: Flow) -> bool:
    """Whether the sender is not where it says: direct (one Via), and from another address than its Via names."""
    if len(request.values("via")) != 1 or request.raw("record-route"):
        return False
    via = request.via
    if is_address(via.host) and via.host != flow.host:
        return True
    return "rport" in via.parameters and (via.port or 5060) != flow.port and not flow.reliable


def response_flow(request: Request, flow: Flow) -> Flow:
    """Section 18.2.2: back on the stream it came from; on UDP to the source, at ``rport`` if that was asked for."""
    if flow.reliable or "rport" in request.via.parameters:
        return flow
    return Flow(flow.transport, flow.host, request.via.port or DEFAULT_PORTS[flow.transport])


class Framer:
    """Cuts a byte stream into messages by Content-Length (section 18.3), whatever the segments were."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._head: bytes | None = None
        self._length = 0
        self.pings = 0
        """Keep-alives (double CRLF, RFC 5626 section 3.5.1) seen and not yet answered."""

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """More bytes in, whole messages (head, body) out.

        Raises :class:`~mixminus.errors.ProtocolError` when the stream cannot be cut any more; close it then.
        """
        self._buffer += data
        messages: list[tuple[bytes, bytes]] = []
        while True:
            if self._head is None and not self._find_head():
                return messages
            if len(self._buffer) < self._length:
                return messages
            assert self._head is not None
            messages.append((self._head, bytes(self._buffer[: self._length])))
            del self._buffer[: self._length]
            self._head = None

    def _find_head(self) -> bool:
        self._skip_keep_alives()
        if self._buffer and self._buffer[0] < 0x20 and self._buffer[0] not in b"\r\n":
            raise ProtocolError("no message begins so; TLS perhaps, which has a port of its own")
        end = self._buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if end < 0 and len(self._buffer) <= MAX_HEAD:
            self._scanned = len(self._buffer)
            return False
        if end < 0 or end > MAX_HEAD:
            raise ProtocolError(f"a message head longer than {MAX_HEAD} bytes")
        self._head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        self._scanned = 0
        self._length = _content_length(self._head)
        return True

    def _skip_keep_alives(self) -> None:
        while self._buffer[:2] == b"\r\n":
            if self._buffer[:4] == b"\r\n\r\n":
                self.pings += 1
                del self._buffer[:4]
            elif len(self._buffer) in (2, 3) and bytes(self._buffer) in (b"\r\n", b"\r\n\r"):
                return  # perhaps the first half of a ping
            else:
                del self._buffer[:2]
            self._scanned = 0


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() in (b"content-length", b"l"):
            return grammar.parse_number(value.decode("latin-1"), "Content-Length", MAX_BODY)
    raise ProtocolError("Content-Length is missing; a stream needs it")
