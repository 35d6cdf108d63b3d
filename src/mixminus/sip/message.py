"""SIP messages: bytes ↔ values (RFC 3261 section 7).

A message is parsed once: header names in lower case and compact forms expanded for look-up, raw values kept, typed
headers made on first use. Damage that a 400 can answer is noted in :attr:`Message.defect` rather than raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mixminus.errors import ProtocolError
from mixminus.sip import grammar
from mixminus.sip.lazy import lazy
from mixminus.sip.uri import NameAddr, Uri, format_host_port, parse_host_port, parse_name_addr, parse_uri

MAX_HEADERS = 256
COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
_KEYS = COMPACT | {
    name: name.lower()
    for name in (
        "Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Content-Type", "Content-Length", "Allow",
        "Supported", "Accept", "User-Agent", "Server", "Route", "Record-Route", "Session-Expires", "Min-SE", "Require",
        "Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate", "Expires", "Reason",
    )
}  # fmt: skip
"""Keys of the spellings that nearly every message has; others are put into lower case each time."""

REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    183: "Session Progress",
    200: "OK",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "Version Not Supported",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}


class CSeq(NamedTuple):
    """Section 20.16."""

    number: int
    method: str


class Via(NamedTuple):
    """One Via (section 20.42). ``transport`` in upper case as written on the wire."""

    transport: str
    host: str
    port: int | None
    parameters: dict[str, str | None]

    @property
    def branch(self) -> str:
        return self.parameters.get("branch") or ""

    @property
    def sent_by(self) -> str:
        return format_host_port(self.host.lower(), self.port)


def parse_via(text: str) -> Via:
    """``SIP/2.0/UDP host:port;branch=…``; blanks around the slashes are allowed (RFC 4475 section 3.1.1.1)."""
    address, semicolon, parameters = text.partition(";")
    pieces = address.split("/", 2)
    if len(pieces) != 3 or pieces[0].strip().upper() != "SIP" or pieces[1].strip() != "2.0":
        raise ProtocolError("Via: not SIP/2.0/TRANSPORT")
    words = pieces[2].split(None, 1)
    if len(words) != 2 or not grammar.is_token(words[0]):
        raise ProtocolError("Via: transport and sent-by expected")
    host, port = parse_host_port(words[1], "Via")
    return Via(words[0].upper(), host, port, grammar.parse_parameters(parameters) if semicolon else {})


def parse_cseq(text: str) -> CSeq:
    """``314159 INVITE``; the number is below 2**31 (section 8.1.1.5)."""
    words = text.split()
    if len(words) != 2 or not grammar.is_token(words[1]):
        raise ProtocolError("CSeq: a number and a method expected")
    return CSeq(grammar.parse_number(words[0], "CSeq", 2**31 - 1), words[1])


class Message:
    """What requests and responses share. ``headers`` keep order and spelling; look-up is by lower-case full name."""

    def __init__(self, headers: list[tuple[str, str]], body: bytes = b"", defect: str = "") -> None:
        self.headers = headers
        self.body = body
        self.defect = defect
        """Why this cannot be a well-formed message; empty: nothing found so far."""

    @lazy
    def _index(self) -> dict[str, str | list[str]]:
        """Made when a header is looked up: messages of our own are mostly written and never read.

        One text per key, a list only where a header repeats: the garbage collector passes over a dict of texts.
        """
        index: dict[str, str | list[str]] = {}
        for name, value in self.headers:
            key = _KEYS.get(name)
            if key is None:
                key = name.lower()
                key = COMPACT.get(key, key)
            if key in index:
                before = index[key]
                index[key] = [before, value] if isinstance(before, str) else [*before, value]
            else:
                index[key] = value
        return index

    def header(self, key: str) -> str | None:
        """The first value of the header, as written."""
        values = self._index.get(key)
        return values if values is None or isinstance(values, str) else values[0]

    def raw(self, key: str) -> list[str]:
        """One text per header line, in order."""
        values = self._index.get(key, [])
        return [values] if isinstance(values, str) else values

    def repeated(self, keys: Iterable[str]) -> str:
        """The first of these headers that stands on more than one line; empty: none does."""
        index = self._index
        return next((key for key in keys if isinstance(index.get(key), list)), "")

    def values(self, key: str) -> list[str]:
        """The elements of a comma-separated header over all its lines; empty elements left out."""
        return [part for line in self.raw(key) for part in grammar.split_list(line) if part]

    def tokens(self, key: str) -> frozenset[str]:
        """Elements in lower case (Supported, Require; not Allow, whose methods are case-sensitive)."""
        return frozenset(part.lower() for part in self.values(key))

    def rewrite(self, key: str, values: list[str]) -> None:
        """Change what look-up by ``key`` finds."""
        self._index[key] = values[0] if len(values) == 1 else values

    def need(self, key: str) -> str:
        value = self.header(key)
        if value is None:
            raise ProtocolError(f"{key} is missing")
        return value

    @lazy
    def via(self) -> Via:
        """The topmost Via."""
        text = self.need("via")
        return parse_via(grammar.split_list(text)[0] if "," in text else text)

    @lazy
    def from_(self) -> NameAddr:
        return parse_name_addr(self.need("from"))

    @lazy
    def to(self) -> NameAddr:
        return parse_name_addr(self.need("to"))

    @lazy
    def cseq(self) -> CSeq:
        return parse_cseq(self.need("cseq"))

    @lazy
    def call_id(self) -> str:
        call_id = self.need("call-id")
        if not call_id or " " in call_id:
            raise ProtocolError("Call-ID: one word expected")
        return call_id

    @lazy
    def contacts(self) -> list[NameAddr]:
        """Contacts other than ``*``."""
        return [parse_name_addr(part) for part in self.values("contact") if part != "*"]

    @lazy
    def content_type(self) -> str:
        """Media type in lower case without parameters; empty if none."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def sdp(self) -> bytes:
        """The body if it is SDP, else empty."""
        return self.body if self.content_type == "application/sdp" else b""

    def _head(self, start: str) -> bytes:
        lines = [start, *(f"{name}: {value}" for name, value in self.headers)]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape")


class Request(Message):
    """A request. ``uri`` is the Request-URI as written."""

    def __init__(
        self,
        method: str,
        uri: str,
        headers: list[tuple[str, str]],
        body: bytes = b"",
        *,
        version: str = "SIP/2.0",
        defect: str = "",
    ) -> None:
        super().__init__(headers, body, defect)
        self.method = method
        self.uri = uri
        self.version = version

    @lazy
    def request_uri(self) -> Uri:
        return parse_uri(self.uri)

    @lazy
    def max_forwards(self) -> int:
        """70 if there is none, as RFC 2543 clients send (section 16.6)."""
        value = self.header("max-forwards")
        return 70 if value is None else grammar.parse_number(value, "Max-Forwards", 255)

    def to_bytes(self) -> bytes:
        """Headers in order, then Content-Length and the body."""
        return self._head(f"{self.method} {self.uri} SIP/2.0") + self.body

    def set_via(self, text: str) -> None:
        """Make ``text`` the only Via: this is a request of our own."""
        self.headers = [("Via", text), *without(self.headers, "via")]
        self.__dict__.pop("_index", None)
        self.__dict__.pop("via", None)

    def __repr__(self) -> str:
        return f"Request({self.method} {self.uri})"


class Response(Message):
    """A response. ``local`` ones were never received: 408 for a timeout, 503 for a broken transport (8.1.3.1)."""

    def __init__(
        self,
        status: int,
        reason: str,
        headers: list[tuple[str, str]],
        body: bytes = b"",
        *,
        local: bool = False,
        defect: str = "",
    ) -> None:
        super().__init__(headers, body, defect)
        self.status = status
        self.reason = reason
        self.local = local

    def to_bytes(self) -> bytes:
        return self._head(f"SIP/2.0 {self.status} {self.reason}") + self.body

    def __repr__(self) -> str:
        return f"Response({self.status} {self.reason})"


def parse_message(head: bytes, body: bytes) -> Request | Response:
    """``head``: start line and headers without the empty line; ``body``: everything after it.

    Raises :class:`~mixminus.errors.ProtocolError` if this is no SIP message at all.
    """
    text = head.decode("utf-8", "surrogateescape")
    if "\r\n " in text or "\r\n\t" in text:
        text = _unfold(text)
    lines = text.split("\r\n")
    if len(lines) > MAX_HEADERS:
        raise ProtocolError(f"more than {MAX_HEADERS} header lines")
    headers: list[tuple[str, str]] = []
    defect = ""
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not name or name[0] in " \t":
            defect = defect or f"{line[:40]!r} is not a header"
            continue
        headers.append((name, value.strip(" \t")))
    message = _start(lines[0], headers, body)
    message.defect = message.defect or defect
    _cut_body(message)
    return message


def split_datagram(data: bytes) -> tuple[bytes, bytes]:
    """Head and body of one datagram. Lines that end in LF alone are accepted if all of the head's do."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if separator:
        return head, body
    head, separator, body = data.partition(b"\n\n")
    if separator and b"\r\n" not in head:
        return head.replace(b"\n", b"\r\n"), body
    return data.rstrip(b"\r\n"), b""


def _unfold(text: str) -> str:
    """Join continuation lines with one blank (section 7.3.1)."""
    lines: list[str] = []
    parts: list[str] = []
    for line in text.split("\r\n"):
        if line[:1] in (" ", "\t") and parts:
            parts.append(line.strip(" \t"))
            continue
        if parts:
            lines.append(" ".join(parts))
        parts = [line]
    lines.append(" ".join(parts))
    return "\r\n".join(lines)


def _start(line: str, headers: list[tuple[str, str]], body: bytes) -> Request | Response:
    if line[:4].upper() == "SIP/":
        version, _, rest = line.partition(" ")
        status, _, reason = rest.partition(" ")
        if version.upper() != "SIP/2.0" or len(status) != 3 or not grammar.DIGITS.issuperset(status):
            raise ProtocolError(f"{line[:40]!r} is not a status line")
        if not 100 <= int(status) <= 699:
            raise ProtocolError(f"{status} is not a status")
        return Response(int(status), reason, headers, body)
    method, _, rest = line.partition(" ")
    uri, _, version = rest.rpartition(" ")
    if not grammar.is_token(method) or version[:4].upper() != "SIP/":
        raise ProtocolError(f"{line[:40]!r} is not a request line")
    defect = "" if uri and " " not in uri and "\t" not in uri else "the request line has too many or too few blanks"
    return Request(method, uri, headers, body, version=version, defect=defect)


def _cut_body(message: Message) -> None:
    """Section 18.3: bytes past Content-Length are dropped, too few are an error."""
    value = message.header("content-length")
    if value is None:
        return
    try:
        length = grammar.parse_number(value, "Content-Length", 2**31)
    except ProtocolError as error:
        message.defect = message.defect or str(error)
        return
    if length > len(message.body):
        message.defect = message.defect or "Content-Length: more than there is"
    message.body = message.body[:length]


def respond(
    request: Request,
    status: int,
    reason: str = "",
    *,
    to_tag: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """A response as section 8.2.6 wants it: Via, From, To (tagged), Call-ID and CSeq are the request's."""
    copied = [("Via", value) for value in request.raw("via")]
    to = request.header("to") or ""
    if to_tag and status > 100 and not _is_tagged(request):
        to = f"{to};tag={to_tag}"
    copied += [
        ("From", request.header("from") or ""),
        ("To", to),
        ("Call-ID", request.header("call-id") or ""),
        ("CSeq", request.header("cseq") or ""),
    ]
    copied += headers
    return Response(status, reason or REASONS.get(status, "Unknown"), copied, body)


def _is_tagged(request: Request) -> bool:
    try:
        return bool(request.to.tag)
    except ProtocolError:
        return False  # the answer is a 400, and says so with a tag


def replace_top_via(request: Request, text: str) -> None:
    """Put ``text`` where the topmost Via is (to note ``received`` and ``rport``)."""
    for position, (name, value) in enumerate(request.headers):
        if name.lower() in ("via", "v"):
            joined = ", ".join([text, *grammar.split_list(value)[1:]])
            request.headers[position] = (name, joined)
            request.rewrite("via", [joined, *request.raw("via")[1:]])
            return


def without(headers: Sequence[tuple[str, str]], *names: str) -> list[tuple[str, str]]:
    """``headers`` less those of the given lower-case names."""
    return [(name, value) for name, value in headers if name.lower() not in names]
