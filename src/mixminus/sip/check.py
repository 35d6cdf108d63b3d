"""What is refused before it becomes a transaction (RFC 3261 section 8.2; RFC 4475 names the shapes)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mixminus.errors import ProtocolError
from mixminus.sip.message import Request, Response

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, REGISTER"
METHODS = frozenset(ALLOW.split(", "))
_KNOWN_ELSEWHERE = frozenset({"REFER", "SUBSCRIBE", "NOTIFY", "MESSAGE", "PUBLISH", "PRACK"})
SUPPORTED = frozenset({"timer"})
_SINGLE = ("from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type", "expires")
_WITH_CONTACT = frozenset({"INVITE", "UPDATE"})
INFO_TYPES = frozenset({"application/dtmf-relay", "application/dtmf"})


class Refusal(NamedTuple):
    """A final answer that needs no transaction: whoever asks again gets it again."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def check_request(request: Request) -> Refusal | None:
    """Why this request is refused, or ``None``. The topmost Via was readable, or nobody could be told."""
    if request.version.upper() != "SIP/2.0":
        return Refusal(505)
    if request.defect:
        return Refusal(400, _sentence(request.defect))
    for look in _CHECKS:
        try:
            refusal = look(request)
        except ProtocolError as error:
            return Refusal(400, _sentence(str(error)))
        if refusal is not None:
            return refusal
    return None


def check_response(response: Response) -> bool:
    """Whether a response has what the layers above read; others are dropped (section 18.1.2)."""
    try:
        _ = response.cseq, response.from_, response.to, response.call_id, response.values("record-route")
        _ = response.contacts if response.status < 300 else ()
    except ProtocolError:
        return False
    return not response.defect


def _sentence(text: str) -> str:
    """``text`` as a reason phrase: printable, short, on one line."""
    return "Bad Request: " + "".join(c for c in text if c.isprintable() and c.isascii())[:80]


def _headers(request: Request) -> Refusal | None:
    if key := request.repeated(_SINGLE):
        raise ProtocolError(f"{key} is there more than once")
    if request.cseq.method != request.method:
        raise ProtocolError("CSeq: the method is not the request's")
    _ = request.call_id, request.from_, request.to, request.max_forwards
    return None


def _method(request: Request) -> Refusal | None:
    if request.method in METHODS:
        return None
    return Refusal(405 if request.method in _KNOWN_ELSEWHERE else 501, "", (("Allow", ALLOW),))


def _uri(request: Request) -> Refusal | None:
    uri = request.request_uri
    if not uri.is_sip and uri.scheme != "tel":
        return Refusal(416)
    if uri.headers:
        raise ProtocolError("the Request-URI must not carry headers")
    return None


def _hops(request: Request) -> Refusal | None:
    # A plain user agent answers at 0 (RFC 4475 section 3.3.11); an INVITE here is dialled on, so it counts as a hop.
    if request.max_forwards == 0 and request.method == "INVITE" and not request.to.tag:
        return Refusal(483)
    return None


def _extensions(request: Request) -> Refusal | None:
    if request.method in ("ACK", "CANCEL") or not request.raw("require"):
        return None
    unknown = sorted(request.tokens("require") - SUPPORTED)
    return Refusal(420, "", (("Unsupported", ", ".join(unknown)),)) if unknown else None


def _contact(request: Request) -> Refusal | None:
    if not request.contacts and request.method == "INVITE":
        raise ProtocolError("Contact is missing")
    if request.method in _WITH_CONTACT and request.contacts and not request.contacts[0].uri.is_sip:
        raise ProtocolError("Contact: a SIP URI expected")
    _ = request.values("record-route"), request.values("route")
    return None


def _body(request: Request) -> Refusal | None:
    if not request.body:
        return None
    encoding = (request.header("content-encoding") or "identity").strip().lower()
    if encoding != "identity":
        return Refusal(415, "", (("Accept-Encoding", "identity"),))
    if request.method in _WITH_CONTACT and request.content_type != "application/sdp":
        return Refusal(415, "", (("Accept", "application/sdp"),))
    if request.method == "INFO" and request.content_type not in INFO_TYPES:
        return Refusal(415, "", (("Accept", ", ".join(sorted(INFO_TYPES))),))
    return None


_CHECKS: tuple[Callable[[Request], Refusal | None], ...] = (
    _headers,
    _method,
    _uri,
    _hops,
    _extensions,
    _contact,
    _body,
)
