"""Agents joined in memory, under virtual time, in weather of one's choice; and raw messages by hand."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mixminus.ids import Mint
from mixminus.sip.agent import SipAgent
from mixminus.sip.auth import Account
from mixminus.sip.core import AgentConfig
from mixminus.sip.events import IncomingCall, SipEvent
from mixminus.sip.message import Request, Response, parse_message, split_datagram
from mixminus.sip.transport import Flow

OFFER = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = b"v=0\r\no=- 2 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"

EventT = TypeVar("EventT")
ACCOUNTS = {"alice": Account("alice", "open sesame"), "bob": Account("bob", "swordfish")}


def parse(data: bytes) -> Request | Response:
    return parse_message(*split_datagram(data))


def make_agent(host: str, seed: int = 1, *, session_expires: int = 0, max_transactions: int = 50_000) -> SipAgent:
    config = AgentConfig(
        realm="test",
        user_agent="kit",
        address_for=lambda transport, remote: (host, 5060),
        credentials=ACCOUNTS.get,
        session_expires=session_expires,
        max_transactions=max_transactions,
    )
    return SipAgent(config, Mint(seed))


@dataclass
class End:
    """One agent on the link, and what it was told."""

    agent: SipAgent
    host: str
    events: list[SipEvent] = field(default_factory=list)
    on_event: Callable[[SipEvent], None] = lambda event: None

    def of(self, kind: type[EventT]) -> list[EventT]:
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[EventT]) -> EventT:
        found = self.of(kind)
        assert len(found) == 1, f"{kind.__name__}: {self.events}"
        return found[0]


@dataclass
class Link:
    """Carries datagrams between ends by host. ``loss``, ``copies``: chances; ``delay``: seconds (least, most)."""

    seed: int = 0
    loss: float = 0.0
    copies: float = 0.0
    delay: tuple[float, float] = (0.01, 0.01)
    transport: str = "udp"
    now: float = 100.0
    drop: Callable[[Request | Response], bool] = lambda message: False
    ends: dict[str, End] = field(default_factory=dict)
    wire: list[tuple[float, str, Request | Response]] = field(default_factory=list)
    """Everything sent: when, by which host, what."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._air: list[tuple[float, int, str, str, bytes]] = []
        self._count = 0

    def add(self, host: str, **options: int) -> End:
        end = self.ends[host] = End(make_agent(host, len(self.ends) + 1, **options), host)
        return end

    def flush(self) -> None:
        """Send what agents have queued and take their events."""
        for end in self.ends.values():
            self._pump(end)

    def run(self, seconds: float) -> None:
        """Let time pass: packets arrive, timers fire, in order."""
        end_time = self.now + seconds
        self.flush()
        while (due := self._next()) is not None and due <= end_time:
            self.now = max(self.now, due)
            while self._air and self._air[0][0] <= self.now:
                _, _, source, target, data = heapq.heappop(self._air)
                if target in self.ends:
                    self._hand_in(self.ends[target], data, source)
            for end in self.ends.values():
                timer = end.agent.get_timer()
                if timer is not None and timer <= self.now:
                    end.agent.handle_timer(self.now)
            self.flush()
        self.now = end_time

    def sent(self, what: str, host: str = "") -> list[float]:
        """When ``INVITE``, ``200``, ``200 BYE``… was sent (by ``host``)."""
        return [at for at, source, message in self.wire if host in ("", source) and what in _names(message)]

    def _hand_in(self, end: End, data: bytes, source: str) -> None:
        flow = Flow(self.transport, source, 5060, 0 if self.transport == "udp" else 1)
        if self.transport == "udp":
            end.agent.receive_datagram(data, flow, self.now)
        else:
            end.agent.receive_stream(data, flow, self.now)

    def _next(self) -> float | None:
        due = [self._air[0][0]] if self._air else []
        due += [t for end in self.ends.values() if (t := end.agent.get_timer()) is not None]
        return min(due, default=None)

    def _pump(self, end: End) -> None:
        busy = True
        while busy:
            busy = False
            for data, flow in end.agent.datagrams_to_send():
                busy = True
                self._send(end.host, flow.host, data)
            while (event := end.agent.next_event()) is not None:
                busy = True
                end.events.append(event)
                end.on_event(event)

    def _send(self, source: str, target: str, data: bytes) -> None:
        message = parse(data)
        self.wire.append((self.now, source, message))
        if self.drop(message):
            return
        copies = 2 if self._random.random() < self.copies else 1
        for _ in range(copies):
            if self._random.random() < self.loss:
                continue
            self._count += 1
            at = self.now + self._random.uniform(*self.delay)
            heapq.heappush(self._air, (at, self._count, source, target, data))


def _names(message: Request | Response) -> tuple[str, ...]:
    if isinstance(message, Request):
        return (message.method,)
    return (str(message.status), f"{message.status} {message.cseq.method}")


def pair(*, session_expires: int = 0, **options: float) -> tuple[Link, End, End]:
    """A caller at 10.0.0.1 and a callee at 10.0.0.2."""
    link = Link(**options)  # type: ignore[arg-type]
    return (
        link,
        link.add("10.0.0.1", session_expires=session_expires),
        link.add("10.0.0.2", session_expires=session_expires),
    )


def dial(link: Link, caller: End, *, sdp: bytes = OFFER, target: str = "sip:777@10.0.0.2") -> str:
    return caller.agent.invite(target, link.now, from_="sip:555@10.0.0.1", sdp=sdp)


def talk(link: Link, caller: End, callee: End) -> tuple[str, str]:
    """Set a call up in fair weather; the handles of both ends."""
    ours = dial(link, caller)
    link.run(0.1)
    theirs = callee.one(IncomingCall).call
    callee.agent.ring(theirs, None, link.now)
    link.run(0.1)
    callee.agent.answer(theirs, ANSWER, (), link.now)
    link.run(0.1)
    return ours, theirs


class Wire:
    """One agent spoken to by hand from 10.0.0.9:5060."""

    def __init__(self, **options: int) -> None:
        self.agent = make_agent("10.0.0.2", **options)
        self.flow = Flow("udp", "10.0.0.9", 5060)
        self.now = 100.0
        self.events: list[SipEvent] = []

    def put(self, data: bytes, flow: Flow | None = None) -> list[Request | Response]:
        """Hand a datagram in; what comes out."""
        self.agent.receive_datagram(data, flow or self.flow, self.now)
        return self.take()

    def take(self) -> list[Request | Response]:
        out = [parse(data) for data, _ in self.agent.datagrams_to_send() if data.strip()]
        while (event := self.agent.next_event()) is not None:
            self.events.append(event)
        return out

    def statuses(self, data: bytes) -> list[int]:
        return [message.status for message in self.put(data) if isinstance(message, Response)]

    def wait(self, seconds: float) -> list[Request | Response]:
        """Let time pass, timers on the way."""
        end = self.now + seconds
        while (due := self.agent.get_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self.agent.handle_timer(self.now)
        self.now = end
        return self.take()


def request(
    method: str = "INVITE",
    *,
    branch: str = "z9hG4bK1",
    cseq: int = 1,
    call_id: str = "c1",
    to_tag: str = "",
    from_tag: str = "f1",
    uri: str = "sip:777@10.0.0.2",
    extra: str = "",
    body: bytes | None = None,
    via: str = "SIP/2.0/UDP 10.0.0.9:5060",
) -> bytes:
    """A request as a stranger at 10.0.0.9 would write it."""
    body = OFFER if body is None and method == "INVITE" else body or b""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: {via};branch={branch}",
        "Max-Forwards: 70",
        f"From: <sip:555@10.0.0.9>;tag={from_tag}",
        f"To: <{uri}>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:555@10.0.0.9>",
    ]
    if body:
        lines.append("Content-Type: application/sdp")
    if extra:
        lines.append(extra)
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "\r\n".join(lines).encode() + body
