"""What the parts of the agent share: the tables of calls, the event queue, and the making of requests and responses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mixminus.errors import InvalidParameter, ProtocolError
from mixminus.ids import Mint
from mixminus.sip import grammar
from mixminus.sip.auth import Account, DigestCredentials, DigestServer
from mixminus.sip.call import Call, Phase
from mixminus.sip.check import ALLOW
from mixminus.sip.dialog import Dialog, DialogId, matching_id
from mixminus.sip.events import Ended, SipEvent
from mixminus.sip.exchange import Exchange, OnFinal
from mixminus.sip.layer import TransactionLayer, TransactionUser
from mixminus.sip.message import Request, Response, respond
from mixminus.sip.timers import Alarm, Timers
from mixminus.sip.transaction import Transaction
from mixminus.sip.transport import Flow, Hop
from mixminus.sip.uri import format_host_port

_OURS = frozenset({"via", "from", "to", "call-id", "cseq", "contact", "content-length", "content-type", "max-forwards"})


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """``address_for(transport, remote_host)`` → host and port that this agent is reached at from there.

    ``credentials(username)`` → the account, or ``None``. ``authenticate(request)``: whether an INVITE must prove who
    sent it; ``None``: those whose From or Contact user has an account. ``session_expires``: seconds, 0 no timers.
    """

    realm: str
    user_agent: str
    address_for: Callable[[str, str], tuple[str, int]]
    credentials: Callable[[str], Account | None]
    authenticate: Callable[[Request], bool] | None = None
    session_expires: int = 1800
    digest_algorithms: tuple[str, ...] = ("MD5",)
    """What challenges offer, in order of preference; ``SHA-256`` is the other one known.

    MD5 alone by default: baresip 1.0 gives up registering if any challenge names an algorithm it does not know.
    """
    max_calls: int = 10_000
    max_transactions: int = 50_000
    idle_seconds: float = 900.0
    """A stream without traffic for this long is closed."""
    takes_tls: bool = False
    """Whether this agent can be reached over TLS."""


class Core:
    """Shared by caller, callee and midcall; owns no policy."""

    def __init__(self, config: AgentConfig, mint: Mint, user: TransactionUser) -> None:
        self.config = config
        self.mint = mint
        self.layer = TransactionLayer(user, mint, config.address_for, config.max_transactions)
        self.digest = DigestServer(config.realm, mint.hex(32), config.digest_algorithms)
        self.events: deque[SipEvent] = deque()
        self.calls: dict[str, Call] = {}
        self.dialogs: dict[DialogId, Call] = {}
        self.invites: dict[Transaction, Call] = {}
        """INVITE (or UPDATE) of a peer, not yet answered or not yet acknowledged → its call."""
        self.alarms: Timers[Alarm] = Timers()
        self.credentials: dict[str, DigestCredentials] = {}
        """Call → what its later requests answer challenges with."""

    def alarm(self, due: float, action: Callable[[float], None]) -> Alarm:
        alarm = Alarm(due, action)
        self.alarms.schedule(alarm)
        return alarm

    def emit(self, event: SipEvent) -> None:
        self.events.append(event)

    def emit_for(self, call: Call, event: SipEvent) -> None:
        """An event of a call, unless the application has heard its end."""
        if not call.told:
            self.events.append(event)

    # Calls

    def add(self, call: Call) -> None:
        self.calls[call.id] = call

    def find(self, call: str) -> Call:
        """The call of a handle. Raises ``KeyError`` if it is over or was never."""
        return self.calls[call]

    def of_request(self, request: Request) -> Call | None:
        return self.dialogs.get(matching_id(request))

    def bind(self, call: Call, dialog: Dialog) -> None:
        self.dialogs[dialog.id] = call

    def unbind(self, dialog: Dialog) -> None:
        self.dialogs.pop(dialog.id, None)

    def tell_end(self, call: Call, event: SipEvent) -> None:
        """The terminal event, once."""
        if not call.told:
            call.told = True
            self.emit(event)

    def ended(self, call: Call, by: Literal["local", "remote"], status: int = 0, reason: str = "") -> None:
        self.tell_end(call, Ended(call.id, by, status, reason))

    def close(self, call: Call) -> None:
        """Forget a call and its dialogs; transactions end by themselves."""
        call.phase = Phase.CLOSED
        call.stop_alarms()
        self.calls.pop(call.id, None)
        self.done_with_invite(call)
        self.credentials.pop(call.id, None)
        if call.dialog is not None:
            self.unbind(call.dialog)
        for dialog in call.early.values():
            self.unbind(dialog)

    def take_invite(self, call: Call, transaction: Transaction) -> None:
        call.invite = transaction
        self.invites[transaction] = call

    def done_with_invite(self, call: Call) -> None:
        if call.invite is not None:
            self.invites.pop(call.invite, None)
            call.invite = None

    # Messages

    def contact(self, hop: Hop | Flow, user: str = "mixminus", *, secure: bool = False) -> str:
        """Our Contact as seen from ``hop``; ``secure``: one that is reached over TLS only."""
        if secure:
            host, port = self.config.address_for("tls", hop.host)
            return f"<sips:{user}@{format_host_port(host, port)}>"
        host, port = self.config.address_for(hop.transport, hop.host)
        suffix = "" if hop.transport == "udp" else f";transport={hop.transport}"
        return f"<sip:{user}@{format_host_port(host, port)}{suffix}>"

    def respond(
        self,
        transaction: Transaction,
        status: int,
        now: float,
        *,
        reason: str = "",
        to_tag: str = "",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        extra = [*headers, ("Server", self.config.user_agent)]
        if body:
            extra.append(("Content-Type", "application/sdp"))
        tag = to_tag or (self.mint.hex(16) if status > 100 else "")
        answer: Response = respond(transaction.request, status, reason, to_tag=tag, headers=extra, body=body)
        self.layer.respond(transaction, answer, now)

    def exchange(
        self,
        method: str,
        uri: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        hop: Hop,
        next_cseq: Callable[[], int],
        on_response: OnFinal,
        credentials: DigestCredentials | None,
    ) -> Exchange:
        common = [("Max-Forwards", "70")] if all(name != "Max-Forwards" for name, _ in headers) else []
        common += [*headers, ("User-Agent", self.config.user_agent)]
        if body:
            common.append(("Content-Type", "application/sdp"))
        return Exchange(
            self.layer,
            self.mint,
            method,
            uri,
            common,
            body,
            hop=hop,
            next_cseq=next_cseq,
            on_response=on_response,
            credentials=credentials,
        )

    def in_dialog(
        self,
        call: Call,
        method: str,
        now: float,
        on_response: OnFinal,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        dialog: Dialog | None = None,
    ) -> Exchange | None:
        """Send a request inside the call's dialog (12.2.1.1); ``None`` if its target names no host to send to."""
        dialog = dialog or call.dialog
        assert dialog is not None
        try:
            hop = dialog.hop()
            uri, _ = dialog.route()
        except ProtocolError:
            return None
        exchange = self.exchange(
            method,
            uri,
            [*self.dialog_headers(dialog), *headers],
            body,
            hop=hop,
            next_cseq=call.next_cseq,
            on_response=on_response,
            credentials=self.credentials.get(call.id),
        )
        exchange.send(now)
        return exchange

    def dialog_headers(self, dialog: Dialog) -> list[tuple[str, str]]:
        """Route, From, To and Call-ID of a request inside ``dialog``."""
        _, routes = dialog.route()
        return [
            *(("Route", value) for value in routes),
            ("From", dialog.local),
            ("To", dialog.remote),
            ("Call-ID", dialog.id.call_id),
        ]

    def acknowledge(self, exchange: Exchange, dialog: Dialog) -> None:
        """ACK a 2xx (13.2.2.4); at a copy of that 2xx the same bytes go again."""
        tag = dialog.id.remote_tag
        if tag in exchange.acks:
            self.layer.resend(exchange.acks[tag])
            return
        try:
            hop = dialog.hop()
            uri, _ = dialog.route()
        except ProtocolError:
            self.layer.dropped["unreachable target"] += 1
            return
        number = exchange.request.cseq.number
        answers = [
            (name, value)
            for name, value in exchange.request.headers
            if name in ("Authorization", "Proxy-Authorization")
        ]
        headers = [
            ("Max-Forwards", "70"),
            *self.dialog_headers(dialog),
            ("CSeq", f"{number} ACK"),
            *answers,
        ]
        exchange.acks[tag] = self.layer.send_ack(Request("ACK", uri, headers), hop)


def allow_headers() -> list[tuple[str, str]]:
    """What we can do, for INVITE, its 2xx, and OPTIONS."""
    return [("Allow", ALLOW), ("Supported", "timer"), ("Accept", "application/sdp")]


def check_headers(headers: Sequence[tuple[str, str]]) -> None:
    """Refuse headers of the application's that would break or forge a message."""
    for name, value in headers:
        if not grammar.is_token(name) or name.lower() in _OURS:
            raise InvalidParameter("headers", f"{name[:40]!r} cannot be set; use names such as X-PH-Order")
        if not grammar.is_header_value(value):
            raise InvalidParameter("headers", f"{name}: line breaks are not allowed")


def cause_of(message: Request | Response) -> tuple[int, str]:
    """Cause and text of the first Reason header (RFC 3326); ``(0, "")`` if there is none."""
    try:
        reasons = message.values("reason")
        if not reasons:
            return 0, ""
        parameters = grammar.parse_parameters(reasons[0].partition(";")[2])
        return int(grammar.parse_number(parameters.get("cause") or "0", "cause", 999)), parameters.get("text") or ""
    except ProtocolError:
        return 0, ""
