"""The user agent as a whole, without sockets or clock: the five verbs, and the commands of the application.

Rule of use: make one change (a verb or a command), then send ``datagrams_to_send()``, close
``connections_to_close()``, take events until ``next_event()`` is ``None``, and wake up at ``get_timer()``.
``now`` is monotonic seconds throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from mixminus.ids import Mint
from mixminus.sip.auth import DigestCredentials
from mixminus.sip.call import Call, Phase
from mixminus.sip.callee import Callee
from mixminus.sip.caller import Caller, InviteOptions
from mixminus.sip.check import Refusal
from mixminus.sip.core import AgentConfig, Core, allow_headers, check_headers
from mixminus.sip.events import SipEvent
from mixminus.sip.gate import Gate
from mixminus.sip.message import Request, split_datagram
from mixminus.sip.midcall import Midcall, send_bye
from mixminus.sip.registrar import Binding
from mixminus.sip.registration import Registrations
from mixminus.sip.streams import Streams
from mixminus.sip.transaction import Transaction
from mixminus.sip.transport import Flow, Hop

_KEEP_ALIVES = (b"", b"\r\n", b"\r\n\r\n", b"\x00\x00\x00\x00")


class SipAgent:
    """One SIP user agent with its registrar."""

    def __init__(self, config: AgentConfig, mint: Mint) -> None:
        self._core = Core(config, mint, self)
        self._caller = Caller(self._core)
        self._callee = Callee(self._core)
        self._midcall = Midcall(self._core)
        self._gate = Gate(self._core)
        self._registrations = Registrations(self._core)
        self._streams = Streams(self._core)

    # The five verbs

    def receive_datagram(self, data: bytes, flow: Flow, now: float) -> None:
        """One UDP datagram or WebSocket message. Never raises, whatever it holds."""
        if data in _KEEP_ALIVES:
            return
        if data[0] < 4:  # STUN strayed to the SIP port (RFC 7983)
            self._core.layer.dropped["not SIP"] += 1
            return
        head, body = split_datagram(data)
        self._core.layer.receive(head, body, flow, now)

    def receive_stream(self, data: bytes, flow: Flow, now: float) -> None:
        """Bytes of a stream, cut anywhere. ``flow.connection`` names it."""
        for head, body in self._streams.receive(data, flow, now):
            self._core.layer.receive(head, body, flow, now)

    def datagrams_to_send(self) -> list[tuple[bytes, Flow]]:
        """What is to go out, in order. On a stream of connection 0: use an open one to that address, or open one."""
        outgoing = list(self._core.layer.outgoing)
        self._core.layer.outgoing.clear()
        return outgoing

    def get_timer(self) -> float | None:
        """When :meth:`handle_timer` is due."""
        due = [t for t in (self._core.layer.timers.next(), self._core.alarms.next()) if t is not None]
        return min(due, default=None)

    def handle_timer(self, now: float) -> None:
        self._core.layer.handle_timer(now)
        for alarm in self._core.alarms.pop_due(now):
            alarm.fire(now)

    def next_event(self) -> SipEvent | None:
        return self._core.events.popleft() if self._core.events else None

    # Streams and figures

    def connections_to_close(self) -> list[int]:
        """Streams that broke the framing or were idle too long."""
        return self._streams.take_closing()

    def stream_opened(self, flow: Flow, now: float) -> None:
        """A stream was opened, by either side."""
        self._streams.open(flow, now)

    def stream_closed(self, flow: Flow, now: float) -> None:
        """A stream ended: what was to go over it fails, what lived on it finds another way."""
        self._streams.forget(flow.connection)
        self._gate.on_closed(flow.connection)
        for call in self._core.calls.values():
            dialog = call.dialog
            if dialog is not None and dialog.pinned is not None and dialog.pinned.connection == flow.connection:
                dialog.pinned = None
        self._core.layer.transport_failed(flow, now)

    def send_failed(self, flow: Flow, now: float) -> None:
        """A connection could not be opened, or the network refused the packet."""
        self._core.layer.transport_failed(flow, now)

    def counters(self) -> dict[str, int]:
        """Live calls and transactions, and per reason what was dropped."""
        dropped = {f"dropped: {reason}": count for reason, count in self._core.layer.dropped.items()}
        return {"calls": len(self._core.calls), "transactions": len(self._core.layer), **dropped}

    # Commands. ``call`` is a handle; a call that is over is left in peace, since its end may cross any command.

    def invite(self, target: str, now: float, **options: Unpack[InviteOptions]) -> str:
        """See :meth:`mixminus.sip.caller.Caller.invite`."""
        return self._caller.invite(target, now, **options)

    def ring(self, call: str, sdp: bytes | None, now: float) -> None:
        if (found := self._live(call)) is not None:
            self._callee.ring(found, sdp, now)

    def answer(self, call: str, sdp: bytes, headers: Sequence[tuple[str, str]], now: float) -> None:
        if (found := self._live(call)) is not None:
            self._callee.answer(found, sdp, headers, now)

    def reject(self, call: str, status: int, reason: str, headers: Sequence[tuple[str, str]], now: float) -> None:
        if (found := self._live(call)) is not None:
            self._callee.reject(found, status, reason, headers, now)

    def hangup(self, call: str, headers: Sequence[tuple[str, str]], now: float) -> None:
        """CANCEL, 480, or BYE, as the phase of the call wants; :class:`Ended` (local) follows at once."""
        check_headers(headers)
        found = self._live(call)
        if found is None or found.phase is Phase.CANCELLING:
            return
        self._core.ended(found, "local")
        if found.phase is Phase.CALLING:
            self._caller.cancel(found, now)
        elif found.phase is Phase.INCOMING:
            self._callee.reject(found, 480, "", headers, now)
        elif found.phase is Phase.ANSWERED:
            found.bye_after_ack = True  # section 15: a callee may not send BYE before the ACK
        else:
            self._answer_waiting(found, now)
            send_bye(self._core, found, now, headers=headers)
            self._core.close(found)

    def reinvite(self, call: str, sdp: bytes, now: float) -> None:
        if (found := self._live(call)) is not None:
            self._midcall.reinvite(found, sdp, now)

    def accept_update(self, call: str, sdp: bytes, now: float) -> None:
        if (found := self._live(call)) is not None:
            self._midcall.accept_update(found, sdp, now)

    def refuse_update(self, call: str, status: int, now: float) -> None:
        if (found := self._live(call)) is not None:
            self._midcall.refuse_update(found, status, now)

    def contacts(self, username: str, now: float) -> list[Binding]:
        return self._gate.contacts(username, now)

    def register(
        self,
        address: str,
        now: float,
        *,
        credentials: DigestCredentials | None = None,
        route: Hop | None = None,
        expires: int = 3600,
    ) -> None:
        self._registrations.register(address, now, credentials=credentials, route=route, expires=expires)

    def unregister(self, address: str, now: float) -> None:
        self._registrations.unregister(address, now)

    def _live(self, call: str) -> Call | None:
        return self._core.calls.get(call)

    def _answer_waiting(self, call: Call, now: float) -> None:
        """A re-INVITE that waits for an answer when the call ends gets 487."""
        if call.invite is not None and not call.invite.has_final:
            self._core.respond(call.invite, 487, now, to_tag=call.local_tag)

    # What the transaction layer hands up

    def screen(self, request: Request, now: float) -> Refusal | str:
        return self._gate.screen(request, now)

    def on_request(self, transaction: Transaction, flow: Flow, username: str, now: float) -> None:
        request = transaction.request
        if request.method == "CANCEL":
            self._callee.on_cancel(transaction, now)
        elif request.to.tag:
            self._on_in_dialog(transaction, now)
        elif request.method == "INVITE":
            self._callee.on_invite(transaction, flow, username or None, now)
        elif request.method == "REGISTER":
            self._gate.on_register(transaction, flow, username, now)
        elif request.method == "OPTIONS":
            self._core.respond(transaction, 200, now, headers=allow_headers())
        else:
            self._core.respond(transaction, 481, now)

    def _on_in_dialog(self, transaction: Transaction, now: float) -> None:
        request = transaction.request
        call = self._core.of_request(request)
        if call is None:
            self._core.respond(transaction, 481, now)
            return
        dialog = call.dialog or call.early.get(request.from_.tag)
        if dialog is None or not dialog.accept_cseq(request.cseq.number):
            self._core.respond(transaction, 500, now, reason="CSeq out of order")
        elif request.method == "OPTIONS":
            self._core.respond(transaction, 200, now, headers=allow_headers())
        elif request.method == "BYE" and call.dialog is None:
            self._core.respond(transaction, 481, now)  # section 15: a callee may not end an early dialog
        elif request.method == "BYE":
            self._midcall.on_bye(call, transaction, now)
        elif request.method == "INVITE":
            self._midcall.on_offer(call, transaction, now)
        elif request.method == "UPDATE":
            self._midcall.on_update(call, transaction, now)
        elif request.method == "INFO":
            self._midcall.on_info(call, transaction, now)
        else:
            self._core.respond(transaction, 403, now)

    def on_ack(self, request: Request, now: float) -> None:
        self._midcall.on_ack(request, now)

    def on_abandoned(self, transaction: Transaction, now: float) -> None:
        if transaction.request.method == "INVITE":
            self._callee.on_unacknowledged(transaction, now)
            return
        call = self._core.invites.get(transaction)
        if call is not None:  # an UPDATE that the application left unanswered
            self._core.done_with_invite(call)
