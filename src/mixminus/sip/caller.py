"""The caller's side of an INVITE (RFC 3261 sections 9.1 and 13.2): ringing, forks, answer, refusal, CANCEL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Required, TypedDict

from mixminus.errors import InvalidParameter, ProtocolError
from mixminus.sip import grammar
from mixminus.sip.auth import DigestCredentials
from mixminus.sip.call import Call, Phase
from mixminus.sip.core import Core, allow_headers, check_headers
from mixminus.sip.dialog import Dialog, dialog_of_response
from mixminus.sip.events import Answered, Rejected, Ringing
from mixminus.sip.exchange import Exchange
from mixminus.sip.message import Response
from mixminus.sip.midcall import arm_session, send_bye
from mixminus.sip.session_timer import parse_min_se, read_grant, request_headers
from mixminus.sip.transaction import T1
from mixminus.sip.transport import SECURE, Hop, hop_of
from mixminus.sip.uri import Uri, format_host_port, format_name_addr, is_address, parse_uri


class InviteOptions(TypedDict, total=False):
    """What :meth:`Caller.invite` can be told besides whom to call."""

    from_: Required[str]
    """A number or a SIP URI."""
    display_name: str
    sdp: Required[bytes]
    headers: Sequence[tuple[str, str]]
    """Further header fields."""
    route: Hop | None
    """Send there instead of where the target says: a trunk, or the hop of a binding."""
    credentials: DigestCredentials | None
    max_forwards: int


class Caller:
    """Makes calls. Events: Ringing, Answered, Rejected."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def invite(
        self,
        target: str,
        now: float,
        *,
        from_: str,
        display_name: str = "",
        sdp: bytes,
        headers: Sequence[tuple[str, str]] = (),
        route: Hop | None = None,
        credentials: DigestCredentials | None = None,
        max_forwards: int = 70,
    ) -> str:
        """Send INVITE and return the handle. Raises :class:`~mixminus.errors.InvalidParameter`."""
        check_headers(headers)
        uri = _target(target)
        hop = route or _hop(uri)
        if uri.is_secure and hop.transport not in SECURE:
            raise InvalidParameter("to", f"a sips URI cannot be sent over {hop.transport}; route it over TLS")
        address = self._from(from_, hop)
        if not grammar.is_header_value(display_name):
            raise InvalidParameter("display_name", "line breaks are not allowed")
        core = self._core
        call = Call(core.mint.hex(32), Phase.CALLING, core.mint.hex(16), local_sdp=sdp)
        if credentials is not None:
            core.credentials[call.id] = credentials
        core.add(call)
        call.exchange = core.exchange(
            "INVITE",
            uri.raw,
            [
                ("Max-Forwards", str(max_forwards)),
                ("From", format_name_addr(address.raw, display_name, call.local_tag)),
                ("To", f"<{uri.raw}>"),
                ("Call-ID", core.mint.hex(32)),
                ("Contact", core.contact(hop, _contact_user(address), secure=uri.is_secure)),
                *allow_headers(),
                *request_headers(core.config.session_expires)[1:],
                *headers,
            ],
            sdp,
            hop=hop,
            next_cseq=call.next_cseq,
            on_response=lambda exchange, response, later: self._on_response(call, exchange, response, later),
            credentials=credentials,
        )
        call.exchange.send(now)
        return call.id

    def cancel(self, call: Call, now: float) -> None:
        """Section 9.1: CANCEL at once if a provisional came, else as soon as one does."""
        assert call.exchange is not None
        call.phase = Phase.CANCELLING
        call.exchange.is_abandoned = True
        if call.exchange.is_provisional_seen:
            self._send_cancel(call, call.exchange, now)

    def _from(self, from_: str, hop: Hop) -> Uri:
        if ":" not in from_:
            user = "".join(c for c in from_ if c.isalnum() or c in "+-._*#") or "anonymous"
            host, port = self._core.config.address_for(hop.transport, hop.host)
            from_ = f"sip:{user}@{format_host_port(host, port)}"
        try:
            return parse_uri(from_)
        except ProtocolError as error:
            raise InvalidParameter("from", f"{error}; use a number or sip:user@host") from None

    def _on_response(self, call: Call, exchange: Exchange, response: Response, now: float) -> None:
        if response.status < 200:
            self._on_provisional(call, exchange, response, now)
        elif response.status < 300:
            self._on_success(call, exchange, response, now)
        elif response.status == 422 and self._retry_longer(call, exchange, response, now):
            return
        else:
            self._on_failure(call, response)

    def _on_provisional(self, call: Call, exchange: Exchange, response: Response, now: float) -> None:
        if call.phase is Phase.CANCELLING:
            self._send_cancel(call, exchange, now)
            return
        if call.phase is not Phase.CALLING or response.status == 100:
            return
        tag = response.to.tag
        if tag and tag not in call.early and len(call.early) < 32:
            dialog = dialog_of_response(exchange.request, response, exchange.hop)
            call.early[tag] = dialog
            self._core.bind(call, dialog)
        call.early_sdp = response.sdp or call.early_sdp
        self._core.emit_for(call, Ringing(call.id, response.status, response.sdp))

    def _on_success(self, call: Call, exchange: Exchange, response: Response, now: float) -> None:
        tag = response.to.tag
        if tag in exchange.acks:
            self._core.layer.resend(exchange.acks[tag])
            return
        dialog = dialog_of_response(exchange.request, response, exchange.hop)
        self._core.acknowledge(exchange, dialog)
        if call.dialog is not None or call.phase is not Phase.CALLING:
            self._drop_fork(call, dialog, now)
            return
        self._confirm(call, dialog)
        call.peer_updates = "UPDATE" in response.values("allow")
        sdp = response.sdp or call.early_sdp
        peer = exchange.hop.host if is_address(exchange.hop.host) else ""
        self._core.emit_for(call, Answered(call.id, sdp, tuple(response.headers), peer))
        arm_session(self._core, call, read_grant(response), now)

    def _confirm(self, call: Call, dialog: Dialog) -> None:
        """The first 2xx wins; the other early dialogs are left to end by themselves (13.2.2.4)."""
        for early in call.early.values():
            self._core.unbind(early)
        call.early.clear()
        call.dialog = dialog
        call.phase = Phase.ESTABLISHED
        self._core.bind(call, dialog)

    def _drop_fork(self, call: Call, dialog: Dialog, now: float) -> None:
        """Another fork answered too, or the answer crossed our CANCEL: it was acknowledged, now BYE."""
        send_bye(self._core, call, now, dialog=dialog)
        if call.phase is Phase.CANCELLING:
            self._core.ended(call, "local")
            self._core.close(call)

    def _on_failure(self, call: Call, response: Response) -> None:
        if call.phase is Phase.CLOSED or call.dialog is not None:
            return
        self._core.tell_end(call, Rejected(call.id, response.status, response.reason, tuple(response.headers)))
        self._core.close(call)

    def _retry_longer(self, call: Call, exchange: Exchange, response: Response, now: float) -> bool:
        """422: ask again for at least the peer's Min-SE (RFC 4028 section 7.4), once."""
        if call.phase is not Phase.CALLING:
            return False
        try:
            minimum = parse_min_se(response)
        except ProtocolError:
            return False
        wanted = max(minimum, self._core.config.session_expires)
        if ("Min-SE", str(minimum)) in exchange.headers:
            return False
        exchange.set_header("Session-Expires", str(wanted))
        exchange.set_header("Min-SE", str(minimum))
        exchange.send(now)
        return True

    def _send_cancel(self, call: Call, exchange: Exchange, now: float) -> None:
        transaction = exchange.transaction
        if transaction is None or transaction.has_final or call.retry_alarm is not None:
            return
        self._core.layer.cancel(transaction, lambda response, later: None, now)

        def give_up(later: float) -> None:
            # No final response 64*T1 after CANCEL: the transaction counts as cancelled (section 9.1).
            self._core.layer.forget(transaction)
            self._core.ended(call, "local")
            self._core.close(call)

        call.retry_alarm = self._core.alarm(now + 64 * T1, give_up)


def _target(text: str) -> Uri:
    try:
        uri = parse_uri(text)
    except ProtocolError as error:
        raise InvalidParameter("to", f"{error}; use sip:user@host or tel:+number") from None
    if uri.scheme not in ("sip", "sips", "tel"):
        raise InvalidParameter("to", f"scheme {uri.scheme!r} cannot be called; use sip:user@host or tel:+number")
    if uri.headers:
        raise InvalidParameter("to", "a URI to be called must not carry headers (?)")
    return uri


def _hop(uri: Uri) -> Hop:
    try:
        return hop_of(uri)
    except ProtocolError as error:
        raise InvalidParameter("to", f"{error}; a trunk is needed to call it") from None


def _contact_user(address: Uri) -> str:
    return address.user if grammar.is_token(address.user) else "mixminus"
