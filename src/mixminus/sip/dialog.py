"""Dialogs (RFC 3261 section 12): who the two ends are, and how a request gets to the other one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mixminus.errors import ProtocolError
from mixminus.sip.message import Request, Response
from mixminus.sip.transport import Flow, Hop, hop_of, is_behind_nat
from mixminus.sip.uri import NameAddr, Uri, parse_name_addr


class DialogId(NamedTuple):
    call_id: str
    local_tag: str
    remote_tag: str


@dataclass(slots=True)
class Dialog:
    """``local`` and ``remote`` are From and To texts with their tags; ``route_set`` is in sending order."""

    id: DialogId
    local: str
    remote: str
    remote_target: str
    route_set: list[str]
    remote_cseq: int = 0
    pinned: Hop | None = None
    """Every request goes here: a phone behind a NAT, or a stream that must not be opened from our side."""
    secure: bool = False
    """Made by a ``sips`` URI: requests go over TLS only, and our Contact is ``sips`` (sections 12.1.1 and 26.2.2)."""

    def route(self) -> tuple[str, list[str]]:
        """Request-URI and Route header values (section 12.2.1.1), for loose and strict routers."""
        if not self.route_set:
            return self.remote_target, []
        first = parse_name_addr(self.route_set[0])
        if "lr" in first.uri.parameters:
            return self.remote_target, list(self.route_set)
        return first.uri.raw, [*self.route_set[1:], f"<{self.remote_target}>"]

    def hop(self) -> Hop:
        """Where the next request goes. Raises :class:`~mixminus.errors.ProtocolError` if the target names no host."""
        if self.pinned is not None:
            return self.pinned
        target: Uri
        if self.route_set:
            target = parse_name_addr(self.route_set[0]).uri
        else:
            target = parse_name_addr(f"<{self.remote_target}>").uri
        return hop_of(target, secure=self.secure)

    def accept_cseq(self, number: int) -> bool:
        """Whether an in-dialog request is in order (section 12.2.2); a lower number is refused with 500."""
        if number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh_target(self, contacts: list[NameAddr]) -> None:
        """Target refresh by INVITE, UPDATE and their 2xx."""
        if contacts and contacts[0].uri.is_sip:
            self.remote_target = contacts[0].uri.raw


def dialog_of_request(request: Request, flow: Flow, local_tag: str) -> Dialog:
    """The callee's dialog (section 12.1.1): Record-Route in the order it came."""
    target = request.contacts[0].uri.raw if request.contacts else request.from_.uri.raw
    to = request.need("to")
    route_set = request.values("record-route")
    return Dialog(
        DialogId(request.call_id, local_tag, request.from_.tag),
        local=to if request.to.tag else f"{to};tag={local_tag}",
        remote=request.need("from"),
        remote_target=target,
        route_set=route_set,
        remote_cseq=request.cseq.number,
        pinned=_pin(request, flow, route_set),
        secure=is_secure(request),
    )


def is_secure(request: Request) -> bool:
    """Whether a dialog this request makes is a secure one: its URI, or what requests come back by, is ``sips``."""
    if request.request_uri.is_secure:
        return True
    recorded = request.values("record-route")
    back = parse_name_addr(recorded[0]).uri if recorded else request.contacts[0].uri if request.contacts else None
    return back is not None and back.is_secure


def _pin(request: Request, flow: Flow, route_set: list[str]) -> Hop | None:
    direct = not route_set and len(request.values("via")) == 1
    if direct and (flow.reliable or is_behind_nat(request, flow)):
        return Hop(flow.transport, flow.host, flow.port, flow.connection, True)
    return None


def dialog_of_response(request: Request, response: Response, hop: Hop) -> Dialog:
    """The caller's dialog (section 12.1.2): Record-Route reversed, and the target from Contact."""
    target = response.contacts[0].uri.raw if response.contacts else request.uri
    return Dialog(
        DialogId(request.call_id, request.from_.tag, response.to.tag),
        local=request.need("from"),
        remote=response.need("to"),
        remote_target=target,
        route_set=response.values("record-route")[::-1],
        pinned=hop if hop.pinned else None,
        secure=request.uri[:5].lower() == "sips:",
    )


def matching_id(request: Request) -> DialogId:
    """The dialog that a request received belongs to: its To tag is ours."""
    return DialogId(request.call_id, request.to.tag, request.from_.tag)


def require_sip(text: str) -> Uri:
    """``text`` as a SIP URI, or :class:`~mixminus.errors.ProtocolError`."""
    uri = parse_name_addr(f"<{text}>").uri
    if not uri.is_sip:
        raise ProtocolError(f"{text[:60]!r} is not a SIP URI")
    return uri
