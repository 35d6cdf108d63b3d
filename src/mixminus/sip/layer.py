"""The transaction layer: bytes ↔ transactions, their timers, and the queue of what is to be sent (sections 17, 18).

It knows nothing of calls. Requests go up to a :class:`TransactionUser`, responses to the callable that came with the
request. Tables are bounded, and everything dropped is counted in :attr:`TransactionLayer.dropped`.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

from mixminus.errors import ProtocolError
from mixminus.ids import Mint
from mixminus.sip.check import Refusal, check_request, check_response
from mixminus.sip.message import Request, Response, parse_message, respond
from mixminus.sip.timers import Timers
from mixminus.sip.transaction import (
    COOKIE,
    Do,
    Input,
    Kind,
    OnResponse,
    State,
    Transaction,
    ack_for,
    cancel_for,
    client_key,
    input_of,
    server_key,
)
from mixminus.sip.transport import PATH_MTU_LIMIT, Flow, Hop, note_source, response_flow
from mixminus.sip.uri import format_host_port


class TransactionUser(Protocol):
    """The layer above."""

    def screen(self, request: Request, now: float) -> Refusal | str:
        """A refusal that needs no state (a challenge), or the user name that was proved; empty: none was needed."""

    def on_request(self, transaction: Transaction, flow: Flow, username: str, now: float) -> None:
        """A new server transaction; never ACK. ``flow``: where it came in; ``username``: what ``screen`` returned."""

    def on_ack(self, request: Request, now: float) -> None:
        """An ACK that can only be for a 2xx."""

    def on_abandoned(self, transaction: Transaction, now: float) -> None:
        """Nobody acknowledged a 2xx (timer L), or a request was left unanswered too long."""


class TransactionLayer:
    """``address_for(transport, host)`` gives the host and port to write into Via for that destination."""

    def __init__(
        self,
        user: TransactionUser,
        mint: Mint,
        address_for: Callable[[str, str], tuple[str, int]],
        max_transactions: int = 50_000,
    ) -> None:
        self.outgoing: deque[tuple[bytes, Flow]] = deque()
        self.timers: Timers[Transaction] = Timers()
        self.dropped: Counter[str] = Counter()
        """Reason → how many messages."""
        self._user = user
        self._mint = mint
        self._secret = mint.hex(32)
        self._address_for = address_for
        self._limit = max_transactions
        self._clients: dict[tuple[str, ...], Transaction] = {}
        self._servers: dict[tuple[str, ...], Transaction] = {}
        self._merging: dict[tuple[str, str, int, str], tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    # Receiving

    def receive(self, head: bytes, body: bytes, flow: Flow, now: float) -> None:
        """One message. Whatever it holds, nothing is raised."""
        try:
            message = parse_message(head, body)
            _ = message.via
        except ProtocolError:
            self.dropped["malformed"] += 1
            return
        if isinstance(message, Response):
            self._receive_response(message, now)
        else:
            self._receive_request(message, flow, now)

    def _receive_response(self, response: Response, now: float) -> None:
        if not check_response(response):
            self.dropped["malformed response"] += 1
            return
        transaction = self._clients.get(client_key(response))
        if transaction is None:
            self.dropped["stray response"] += 1
            return
        self._perform(transaction, transaction.handle(input_of(response.status), now), now, response)

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        note_source(request, flow)
        try:
            key = server_key(request)
        except ProtocolError as error:
            self._refuse(request, flow, Refusal(400, f"Bad Request: {error}"))
            return
        transaction = self._servers.get(key)
        if request.method == "ACK":
            self._receive_ack(transaction, request, now)
        elif transaction is not None:
            self._perform(transaction, transaction.handle(Input.REQUEST, now), now)
        elif len(self._servers) >= self._limit:
            self.dropped["server transactions full"] += 1
        elif isinstance(admitted := self._screen(request, now), Refusal):
            self._refuse(request, flow, admitted)
        else:
            self._open_server(key, request, flow, admitted, now)

    def _receive_ack(self, transaction: Transaction | None, request: Request, now: float) -> None:
        if transaction is not None and not transaction.accepted:
            self._perform(transaction, transaction.handle(Input.ACK, now), now)
        elif check_request(request) is None:
            self._user.on_ack(request, now)
        else:
            self.dropped["malformed ACK"] += 1

    def _screen(self, request: Request, now: float) -> Refusal | str:
        refusal = check_request(request)
        if refusal is not None:
            return refusal
        if _merge_key(request) in self._merging and not request.to.tag and request.method != "CANCEL":
            return Refusal(482, "Merged Request")  # section 8.2.2.2: it came to us by two ways
        if self._is_own(request):
            return Refusal(482)
        return self._user.screen(request, now)

    def _is_own(self, request: Request) -> bool:
        """Whether a request that we are still sending came back to us."""
        for line in request.raw("via"):
            branch = line.partition("branch=")[2].partition(";")[0].partition(",")[0].strip()
            if (branch, request.method) in self._clients:
                return True
        return False

    def _open_server(self, key: tuple[str, ...], request: Request, flow: Flow, username: str, now: float) -> None:
        kind = Kind.INVITE_SERVER if request.method == "INVITE" else Kind.SERVER
        transaction = Transaction(kind, key, request, response_flow(request, flow), b"", now)
        self._servers[key] = transaction
        if request.method != "CANCEL" and not request.to.tag:
            self._merging[_merge_key(request)] = key
        self.timers.schedule(transaction)
        if kind is Kind.INVITE_SERVER:
            self.respond(transaction, respond(request, 100), now)
        self._user.on_request(transaction, flow, username, now)

    def _refuse(self, request: Request, flow: Flow, refusal: Refusal) -> None:
        """Answer without keeping anything; a copy of the request gets the same answer with the same tag."""
        if request.method == "ACK":
            return
        seed = f"{self._secret}{request.header('call-id')}{request.header('from')}{request.header('cseq')}"
        tag = hashlib.sha256(seed.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        answer = respond(request, refusal.status, refusal.reason, to_tag=tag, headers=refusal.headers)
        self.outgoing.append((answer.to_bytes(), response_flow(request, flow)))

    # Sending

    def send(self, request: Request, hop: Hop, on_response: OnResponse, now: float) -> Transaction:
        """Start a client transaction. ``request`` has no Via yet; ``on_response`` also gets local 408 and 503."""
        branch = COOKIE + self._mint.hex(24)
        wire, flow = self._address(request, hop, branch)
        kind = Kind.INVITE_CLIENT if request.method == "INVITE" else Kind.CLIENT
        return self._open_client(kind, (branch, request.method), request, flow, wire, on_response, now)

    def send_ack(self, request: Request, hop: Hop) -> tuple[bytes, Flow]:
        """Send the ACK of a 2xx: no transaction (17.1). The return is for :meth:`resend` at each copy of the 2xx."""
        sent = self._address(request, hop, COOKIE + self._mint.hex(24))
        self.outgoing.append(sent)
        return sent

    def resend(self, sent: tuple[bytes, Flow]) -> None:
        self.outgoing.append(sent)

    def cancel(self, transaction: Transaction, on_response: OnResponse, now: float) -> None:
        """Send CANCEL for an INVITE that has a provisional and no final response (section 9.1)."""
        request = cancel_for(transaction.request)
        key = (transaction.key[0], "CANCEL")
        if key not in self._clients:
            self._open_client(Kind.CLIENT, key, request, transaction.flow, request.to_bytes(), on_response, now)

    def respond(self, transaction: Transaction, response: Response, now: float) -> None:
        """Send a response; after a final one has gone, nothing happens."""
        if transaction.has_final:
            return
        transaction.wire = response.to_bytes()
        self._perform(transaction, transaction.handle(input_of(response.status), now), now)

    def acknowledge(self, transaction: Transaction, now: float) -> bool:
        """The ACK of a 2xx came: stop sending it. Returns whether it was the first."""
        first = transaction.state is State.ACCEPTED
        transaction.handle(Input.ACK, now)
        self._settle(transaction)
        return first

    def forget(self, transaction: Transaction) -> None:
        """Drop a transaction without telling anyone."""
        transaction.state = State.TERMINATED
        self._settle(transaction)

    def invite_of(self, cancel: Request) -> Transaction | None:
        """The INVITE transaction that a CANCEL means (section 9.2)."""
        branch, sent_by, _, *rest = server_key(cancel)
        return self._servers.get((branch, sent_by, "INVITE", *rest))

    def _open_client(
        self,
        kind: Kind,
        key: tuple[str, ...],
        request: Request,
        flow: Flow,
        wire: bytes,
        on_response: OnResponse,
        now: float,
    ) -> Transaction:
        transaction = Transaction(kind, key, request, flow, wire, now)
        transaction.on_response = on_response
        self._clients[key] = transaction
        self.outgoing.append((wire, flow))
        self.timers.schedule(transaction)
        return transaction

    def _address(self, request: Request, hop: Hop, branch: str) -> tuple[bytes, Flow]:
        """Put Via on top; a request too large for a datagram takes TCP (18.1.1) unless the hop is a fixed one."""
        flow = Flow(hop.transport, hop.host, hop.port, hop.connection)
        wire = self._with_via(request, flow, branch)
        if flow.transport == "udp" and len(wire) > PATH_MTU_LIMIT and not hop.pinned:
            flow = flow._replace(transport="tcp")
            wire = self._with_via(request, flow, branch)
        return wire, flow

    def _with_via(self, request: Request, flow: Flow, branch: str) -> bytes:
        host, port = self._address_for(flow.transport, flow.host)
        value = f"SIP/2.0/{flow.transport.upper()} {format_host_port(host, port)};branch={branch};rport"
        request.set_via(value)
        return request.to_bytes()

    # Time and trouble

    def handle_timer(self, now: float) -> None:
        for transaction in self.timers.pop_due(now):
            self._perform(transaction, transaction.handle_timer(now), now)
            if not transaction.is_terminated:
                self.timers.schedule(transaction)

    def transport_failed(self, flow: Flow, now: float) -> None:
        """Nothing can be sent on ``flow``. What had left UDP for its size only goes back to UDP."""
        failed = (flow, flow._replace(connection=0))  # a request without a connection of its own rode on any
        for transaction in [t for t in self._clients.values() if t.flow in failed and not t.has_final]:
            if flow.transport == "tcp" and not flow.connection and len(transaction.wire) > PATH_MTU_LIMIT:
                self._fall_back(transaction)
            else:
                self._perform(transaction, transaction.handle(Input.TRANSPORT_ERROR, now), now)

    def _fall_back(self, transaction: Transaction) -> None:
        transaction.flow = transaction.flow._replace(transport="udp")
        transaction.wire = self._with_via(transaction.request, transaction.flow, transaction.key[0])
        self.outgoing.append((transaction.wire, transaction.flow))

    def _perform(
        self, transaction: Transaction, do: tuple[Do, ...], now: float, answer: Response | None = None
    ) -> None:
        self._settle(transaction)
        for action in do:
            if action is Do.SEND:
                if transaction.wire:
                    self.outgoing.append((transaction.wire, transaction.flow))
            elif action is Do.SEND_ACK:
                assert answer is not None
                self.outgoing.append((ack_for(transaction.request, answer).to_bytes(), transaction.flow))
            elif action is Do.DELIVER:
                assert answer is not None
                self._deliver(transaction, answer, now)
            elif transaction.on_response is None:
                self._user.on_abandoned(transaction, now)
            else:
                status = 408 if action is Do.TIMEOUT else 503
                self._deliver(transaction, _local(transaction.request, status), now)

    def _deliver(self, transaction: Transaction, response: Response, now: float) -> None:
        if transaction.on_response is not None:
            transaction.on_response(response, now)

    def _settle(self, transaction: Transaction) -> None:
        """After a change of state: keep the timer right, or take the transaction out of the tables."""
        if not transaction.is_terminated:
            self.timers.schedule(transaction)
            return
        transaction.due = float("inf")
        if self._clients.get(transaction.key) is transaction:
            del self._clients[transaction.key]
        elif self._servers.get(transaction.key) is transaction:
            del self._servers[transaction.key]
            self._merging.pop(_merge_key(transaction.request), None)


def _local(request: Request, status: int) -> Response:
    answer = respond(request, status)
    return Response(status, answer.reason, answer.headers, local=True)


def _merge_key(request: Request) -> tuple[str, str, int, str]:
    return (request.call_id, request.from_.tag, request.cseq.number, request.method)
