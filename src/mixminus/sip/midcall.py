"""What happens inside an established call: re-INVITE and UPDATE both ways, session refresh, INFO, BYE.

RFC 3261 sections 14 and 15, RFC 3311 (UPDATE), RFC 4028 (session timers), RFC 6086 and its forerunners (INFO).
"""

from __future__ import annotations

from collections.abc import Sequence

from mixminus.errors import Conflict, ProtocolError
from mixminus.sip.call import Call, Phase
from mixminus.sip.core import Core, allow_headers, cause_of
from mixminus.sip.dialog import Dialog
from mixminus.sip.dtmf_info import read_key
from mixminus.sip.events import Cancelled, Confirmed, DtmfInfo, Reinvited, Updated, UpdateRefused
from mixminus.sip.exchange import Exchange
from mixminus.sip.message import Request, Response
from mixminus.sip.session_timer import MIN_SE, Terms, grant, is_too_small, read_grant, request_headers
from mixminus.sip.transaction import Transaction
from mixminus.sip.transport import Hop

_GONE = frozenset({408, 481})
"""Statuses to a request inside a dialog that end the dialog (section 12.2.1.2)."""


def send_bye(
    core: Core, call: Call, now: float, *, dialog: Dialog | None = None, headers: Sequence[tuple[str, str]] = ()
) -> None:
    """BYE; whatever comes back, the dialog is over for us (section 15.1.1)."""
    core.in_dialog(call, "BYE", now, lambda exchange, response, later: None, headers=headers, dialog=dialog)


def arm_session(core: Core, call: Call, terms: Terms | None, now: float) -> None:
    """Start the session timer anew, counted from now; ``None``: no timer was agreed on."""
    for alarm in (call.refresh_alarm, call.lapse_alarm):
        if alarm is not None:
            alarm.cancel()
    call.terms = terms
    call.refresh_alarm = call.lapse_alarm = None
    if terms is None:
        return
    call.lapse_alarm = core.alarm(now + terms.lapse_after(), lambda later: _lapse(core, call, later))
    if terms.we_refresh:
        call.refresh_alarm = core.alarm(now + terms.interval / 2, lambda later: _refresh(core, call, later))


def _lapse(core: Core, call: Call, now: float) -> None:
    drop(core, call, 408, "Session expired", now)


def drop(core: Core, call: Call, status: int, reason: str, now: float) -> None:
    """The peer is lost: BYE in case it is not, and tell the application."""
    send_bye(core, call, now, headers=(("Reason", f'SIP;cause={status};text="{reason}"'),))
    core.ended(call, "remote", status, reason)
    core.close(call)


def _refresh(core: Core, call: Call, now: float) -> None:
    if call.phase is not Phase.ESTABLISHED or call.pending is not None or call.invite is not None:
        call.refresh_alarm = core.alarm(now + 5.0, lambda later: _refresh(core, call, later))
        return
    if call.peer_updates:
        _start(core, call, "UPDATE", b"", now, is_refresh=True)
    else:
        _start(core, call, "INVITE", call.local_sdp, now, is_refresh=True)


def _start(core: Core, call: Call, method: str, sdp: bytes, now: float, *, is_refresh: bool) -> None:
    assert call.dialog is not None
    headers = [("Contact", _contact(core, call.dialog)), *allow_headers()]
    interval = call.terms.interval if call.terms else core.config.session_expires
    refresher = ("uac" if call.terms.we_refresh else "uas") if call.terms else ""
    headers += request_headers(interval, MIN_SE, refresher)[1:]

    def on_response(exchange: Exchange, response: Response, later: float) -> None:
        _on_answer(core, call, exchange, response, later, is_refresh=is_refresh)

    call.pending = core.in_dialog(call, method, now, on_response, headers=headers, body=sdp)
    if call.pending is None:
        drop(core, call, 503, "The peer's Contact cannot be reached", now)


def _contact(core: Core, dialog: Dialog) -> str:
    """Our Contact for a dialog; that of one without a hop is of no use, which :func:`_start` reports."""
    try:
        hop = dialog.hop()
    except ProtocolError:
        hop = Hop("udp", "", 0)
    return core.contact(hop, secure=dialog.secure)


def _on_answer(core: Core, call: Call, exchange: Exchange, response: Response, now: float, *, is_refresh: bool) -> None:
    if response.status < 200:
        return
    if response.status < 300 and exchange.method == "INVITE" and call.dialog is not None:
        core.acknowledge(exchange, call.dialog)
    if call.pending is not exchange or call.dialog is None:
        return  # a copy, or the call ended meanwhile
    call.pending = None
    if response.status < 300:
        call.dialog.refresh_target(response.contacts)
        arm_session(core, call, read_grant(response), now)
        if not is_refresh:
            call.local_sdp = exchange.body
            core.emit_for(call, Updated(call.id, response.sdp))
    elif response.status == 491:
        _retry_later(core, call, exchange, now, is_refresh=is_refresh)
    elif response.status in _GONE:
        drop(core, call, response.status, response.reason, now)
    elif not is_refresh:
        core.emit_for(call, UpdateRefused(call.id, response.status, response.reason))


def _retry_later(core: Core, call: Call, exchange: Exchange, now: float, *, is_refresh: bool) -> None:
    """Section 14.1: the owner of the Call-ID waits 2.1 to 4 s, the other side up to 2 s."""
    chance = int(core.mint.hex(4), 16) / 0x10000
    delay = 2.1 + 1.9 * chance if call.exchange is not None else 2.0 * chance

    def again(later: float) -> None:
        call.retry_alarm = None
        if call.pending is None and call.invite is None and call.phase is Phase.ESTABLISHED:
            _start(core, call, exchange.method, exchange.body, later, is_refresh=is_refresh)
        elif call.phase is Phase.ESTABLISHED:
            _retry_later(core, call, exchange, later, is_refresh=is_refresh)

    call.retry_alarm = core.alarm(now + delay, again)


class Midcall:
    """Handlers and commands inside a dialog. Events: Reinvited, Updated, UpdateRefused, Confirmed, DtmfInfo, Ended."""

    def __init__(self, core: Core) -> None:
        self._core = core

    # Commands

    def reinvite(self, call: Call, sdp: bytes, now: float) -> None:
        if call.phase is not Phase.ESTABLISHED or call.pending or call.invite or call.retry_alarm:
            raise Conflict("the call is not answered yet, or another change of it is under way")
        _start(self._core, call, "INVITE", sdp, now, is_refresh=False)

    def accept_update(self, call: Call, sdp: bytes, now: float) -> None:
        transaction = self._waiting(call)
        assert call.dialog is not None
        request = transaction.request
        terms, session = grant(request, self._core.config.session_expires)
        headers = [("Contact", _contact(self._core, call.dialog)), *allow_headers(), *session]
        call.offered = not request.sdp
        call.local_sdp = sdp
        self._core.respond(transaction, 200, now, headers=headers, body=sdp)
        arm_session(self._core, call, terms, now)
        if request.method == "UPDATE":
            self._core.done_with_invite(call)

    def refuse_update(self, call: Call, status: int, now: float) -> None:
        self._core.respond(self._waiting(call), status, now)
        self._core.done_with_invite(call)

    def _waiting(self, call: Call) -> Transaction:
        waiting = call.invite
        if waiting is None or waiting.has_final or call.phase is Phase.INCOMING:
            raise Conflict("nobody asked to change this call")
        return waiting

    # Requests of the peer

    def on_offer(self, call: Call, transaction: Transaction, now: float) -> None:
        """re-INVITE, or UPDATE with SDP."""
        request, core = transaction.request, self._core
        if call.pending is not None:
            core.respond(transaction, 491, now)
        elif call.invite is not None or call.phase is not Phase.ESTABLISHED:
            wait = str(int(core.mint.hex(4), 16) % 10)
            core.respond(transaction, 500, now, headers=[("Retry-After", wait)])
        elif is_too_small(request):
            core.respond(transaction, 422, now, headers=[("Min-SE", str(MIN_SE))])
        else:
            assert call.dialog is not None
            call.dialog.refresh_target(request.contacts)
            core.take_invite(call, transaction)
            core.emit_for(call, Reinvited(call.id, request.sdp))

    def on_update(self, call: Call, transaction: Transaction, now: float) -> None:
        request, core = transaction.request, self._core
        if request.sdp:
            self.on_offer(call, transaction, now)
            return
        if is_too_small(request):
            core.respond(transaction, 422, now, headers=[("Min-SE", str(MIN_SE))])
            return
        headers = allow_headers()
        if call.dialog is not None:
            call.dialog.refresh_target(request.contacts)
            headers.append(("Contact", _contact(core, call.dialog)))
        if call.phase is Phase.ESTABLISHED:
            terms, session = grant(request, core.config.session_expires)
            headers += session
            arm_session(core, call, terms, now)
        core.respond(transaction, 200, now, headers=headers)

    def on_info(self, call: Call, transaction: Transaction, now: float) -> None:
        request = transaction.request
        if not request.body:
            self._core.respond(transaction, 200, now)
            return
        key = read_key(request.content_type, request.body)
        if key is None:
            self._core.respond(transaction, 400, now, reason="Bad Request: no DTMF key in the body")
            return
        self._core.respond(transaction, 200, now)
        self._core.emit_for(call, DtmfInfo(call.id, *key))

    def on_bye(self, call: Call, transaction: Transaction, now: float) -> None:
        core = self._core
        core.respond(transaction, 200, now)
        if call.invite is not None and not call.invite.has_final:
            core.respond(call.invite, 487, now, to_tag=call.local_tag)
        elif call.invite is not None:
            core.layer.acknowledge(call.invite, now)  # whoever says BYE has seen the 2xx, though the ACK was lost
        status, reason = cause_of(transaction.request)
        if call.phase is Phase.INCOMING:
            core.tell_end(call, Cancelled(call.id, reason))
        else:
            core.ended(call, "remote", status, reason)
        core.close(call)

    def on_ack(self, request: Request, now: float) -> None:
        """The ACK of a 2xx: it stops its copies, and may carry the answer to our offer."""
        core = self._core
        call = core.of_request(request)
        if call is None or call.invite is None or call.invite.request.cseq.number != request.cseq.number:
            core.layer.dropped["stray ACK"] += 1
            return
        if not core.layer.acknowledge(call.invite, now):
            return
        core.done_with_invite(call)
        call.phase = Phase.ESTABLISHED
        if call.bye_after_ack:
            send_bye(core, call, now)
            core.close(call)
            return
        core.emit_for(call, Confirmed(call.id, request.sdp if call.offered else b""))
