"""The callee's side of an INVITE (RFC 3261 sections 9.2 and 13.3): ringing, answer, refusal, CANCEL."""

from __future__ import annotations

from collections.abc import Sequence

from mixminus.errors import Conflict, InvalidParameter
from mixminus.sip.call import Call, Phase
from mixminus.sip.core import Core, allow_headers, cause_of, check_headers
from mixminus.sip.dialog import dialog_of_request, is_secure
from mixminus.sip.events import Cancelled, IncomingCall
from mixminus.sip.midcall import arm_session, drop
from mixminus.sip.session_timer import MIN_SE, grant, is_too_small
from mixminus.sip.transaction import Transaction
from mixminus.sip.transport import Flow

_NO_SIPS = '380 mixminus "SIPS Not Allowed"'
"""Our Contact would have to be ``sips`` (RFC 5630 sections 5.1.2 and 6)."""


class Callee:
    """Takes calls. Events: IncomingCall, Cancelled."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def on_invite(self, transaction: Transaction, flow: Flow, account: str | None, now: float) -> None:
        """An INVITE outside a dialog. ``flow``: where it came in from."""
        core, request = self._core, transaction.request
        if len(core.calls) >= core.config.max_calls:
            core.respond(transaction, 503, now, headers=[("Retry-After", "10")])
            return
        if not core.config.takes_tls and is_secure(request):
            core.respond(transaction, 480, now, headers=[("Warning", _NO_SIPS)])
            return
        if is_too_small(request):
            core.respond(transaction, 422, now, headers=[("Min-SE", str(MIN_SE))])
            return
        call = Call(core.mint.hex(32), Phase.INCOMING, core.mint.hex(16))
        call.dialog = dialog_of_request(request, flow, call.local_tag)
        call.peer_updates = "UPDATE" in request.values("allow")
        core.add(call)
        core.bind(call, call.dialog)
        core.take_invite(call, transaction)
        core.emit(
            IncomingCall(
                call=call.id,
                from_uri=request.from_.uri.raw,
                from_display=request.from_.display,
                to_uri=request.to.uri.raw,
                request_uri=request.uri,
                call_id=request.call_id,
                headers=tuple(request.headers),
                sdp=request.sdp,
                source=(flow.host, flow.port),
                account=account,
                transport=flow.transport,
                max_forwards=request.max_forwards,
            )
        )

    def ring(self, call: Call, sdp: bytes | None, now: float) -> None:
        """180, or 183 with early media."""
        self._respond(call, 183 if sdp else 180, now, body=sdp or b"")

    def answer(self, call: Call, sdp: bytes, headers: Sequence[tuple[str, str]], now: float) -> None:
        """200; it goes out again until the ACK comes."""
        check_headers(headers)
        if not sdp:
            raise InvalidParameter("sdp", "an answer or offer is needed")
        transaction = self._waiting(call)
        terms, session = grant(transaction.request, self._core.config.session_expires)
        self._respond(call, 200, now, headers=[*session, *headers], body=sdp)
        call.phase = Phase.ANSWERED
        call.local_sdp = sdp
        call.offered = not transaction.request.sdp
        arm_session(self._core, call, terms, now)

    def reject(self, call: Call, status: int, reason: str, headers: Sequence[tuple[str, str]], now: float) -> None:
        """3xx-6xx."""
        check_headers([(name, value) for name, value in headers if name.lower() != "contact"])
        if not 300 <= status <= 699:
            raise InvalidParameter("status", f"{status} is not 300-699")
        self._core.respond(
            self._waiting(call), status, now, reason=reason, to_tag=call.local_tag, headers=list(headers)
        )
        self._core.ended(call, "local", status, reason)
        self._core.close(call)

    def on_cancel(self, transaction: Transaction, now: float) -> None:
        """Section 9.2: the CANCEL is answered in any case; a final response already sent stands."""
        core = self._core
        invite = core.layer.invite_of(transaction.request)
        if invite is None:
            core.respond(transaction, 481, now)
            return
        call = core.invites.get(invite)
        core.respond(transaction, 200, now, to_tag=call.local_tag if call else "")
        if invite.has_final or call is None:
            return
        core.respond(invite, 487, now, to_tag=call.local_tag)
        if call.phase is not Phase.INCOMING:
            core.done_with_invite(call)  # a re-INVITE was cancelled; the call goes on
            return
        core.tell_end(call, Cancelled(call.id, cause_of(transaction.request)[1]))
        core.close(call)

    def on_unacknowledged(self, transaction: Transaction, now: float) -> None:
        """No ACK within 64*T1 of our 2xx (13.3.1.4)."""
        call = self._core.invites.get(transaction)
        if call is not None:
            drop(self._core, call, 408, "No ACK", now)

    def _waiting(self, call: Call) -> Transaction:
        if call.phase is not Phase.INCOMING or call.invite is None:
            raise Conflict("the call is answered already, or is not an incoming one")
        return call.invite

    def _respond(
        self, call: Call, status: int, now: float, *, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> None:
        """A response that makes or keeps the dialog (12.1.1): Record-Route and Contact are in it."""
        transaction = self._waiting(call)
        assert call.dialog is not None
        request, flow = transaction.request, transaction.flow
        self._core.respond(
            transaction,
            status,
            now,
            to_tag=call.local_tag,
            headers=[
                *(("Record-Route", value) for value in request.raw("record-route")),
                ("Contact", self._core.contact(flow, secure=call.dialog.secure)),
                *allow_headers(),
                *headers,
            ],
            body=body,
        )
