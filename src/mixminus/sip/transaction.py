"""The four transactions as tables (RFC 3261 section 17, with the Accepted states of RFC 6026).

``TABLES`` says, per kind and state, what each input leads to; an input that is not there changes nothing. ``TIMERS``
says which timers a state runs. The code below only reads the two. Timer C is a proxy's and has no place here.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, TypeAlias

from mixminus.sip.message import Request, Response
from mixminus.sip.transport import Flow

T1 = 0.5
"""Seconds: estimate of the round trip."""
T2 = 4.0
"""Seconds: longest interval between retransmissions."""
T4 = 5.0
"""Seconds: longest time a message stays in the network."""
COOKIE = "z9hG4bK"


OnResponse: TypeAlias = Callable[[Response, float], None]


class Kind(Enum):
    __hash__ = object.__hash__  # Enum's own is slow, and every step below looks members up

    INVITE_CLIENT = "INVITE client"
    CLIENT = "non-INVITE client"
    INVITE_SERVER = "INVITE server"
    SERVER = "non-INVITE server"


class State(Enum):
    __hash__ = object.__hash__

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class Input(Enum):
    """What can happen to a transaction. For a client the first three were received, for a server they are sent."""

    __hash__ = object.__hash__

    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "300-699"
    REQUEST = "request again"
    ACK = "ACK"
    RETRANSMIT = "timer A, E, G"
    EXPIRE = "timer B, D, F, H, I, J, K, L, M"
    TRANSPORT_ERROR = "transport error"


class Do(Enum):
    """What the owner of the transaction does next."""

    SEND = "send the request or the last response again"
    SEND_ACK = "acknowledge a non-2xx"
    DELIVER = "hand the message to the user"
    TIMEOUT = "tell the user: nobody answered"
    BROKEN = "tell the user: the transport failed"


class Step(NamedTuple):
    state: State
    do: tuple[Do, ...] = ()


class Timing(NamedTuple):
    """Timers of a state; letters as in RFC 3261 table 4 and RFC 6026.

    ``first`` and ``longest``: seconds of the retransmission interval, doubling up to ``longest``; 0: none.
    ``retransmit_on_reliable``: also over TCP (a 2xx, section 13.3.1.4).
    ``expire``: seconds until EXPIRE, ``expire_reliable`` the same over TCP; ``None``: the one already running goes on.
    """

    letters: str
    first: float = 0.0
    longest: float = float("inf")
    retransmit_on_reliable: bool = False
    expire: float | None = None
    expire_reliable: float | None = None


_NEVER = float("inf")

TABLES: dict[Kind, dict[State, dict[Input, Step]]] = {
    Kind.INVITE_CLIENT: {
        State.CALLING: {
            Input.RETRANSMIT: Step(State.CALLING, (Do.SEND,)),
            Input.EXPIRE: Step(State.TERMINATED, (Do.TIMEOUT,)),
            Input.TRANSPORT_ERROR: Step(State.TERMINATED, (Do.BROKEN,)),
            Input.PROVISIONAL: Step(State.PROCEEDING, (Do.DELIVER,)),
            Input.SUCCESS: Step(State.ACCEPTED, (Do.DELIVER,)),
            Input.FAILURE: Step(State.COMPLETED, (Do.SEND_ACK, Do.DELIVER)),
        },
        State.PROCEEDING: {
            Input.PROVISIONAL: Step(State.PROCEEDING, (Do.DELIVER,)),
            Input.SUCCESS: Step(State.ACCEPTED, (Do.DELIVER,)),
            Input.FAILURE: Step(State.COMPLETED, (Do.SEND_ACK, Do.DELIVER)),
            Input.TRANSPORT_ERROR: Step(State.TERMINATED, (Do.BROKEN,)),
        },
        State.COMPLETED: {
            Input.FAILURE: Step(State.COMPLETED, (Do.SEND_ACK,)),
            Input.EXPIRE: Step(State.TERMINATED),
        },
        State.ACCEPTED: {
            Input.SUCCESS: Step(State.ACCEPTED, (Do.DELIVER,)),
            Input.EXPIRE: Step(State.TERMINATED),
        },
    },
    Kind.CLIENT: {
        State.TRYING: {
            Input.RETRANSMIT: Step(State.TRYING, (Do.SEND,)),
            Input.EXPIRE: Step(State.TERMINATED, (Do.TIMEOUT,)),
            Input.TRANSPORT_ERROR: Step(State.TERMINATED, (Do.BROKEN,)),
            Input.PROVISIONAL: Step(State.PROCEEDING, (Do.DELIVER,)),
            Input.SUCCESS: Step(State.COMPLETED, (Do.DELIVER,)),
            Input.FAILURE: Step(State.COMPLETED, (Do.DELIVER,)),
        },
        State.PROCEEDING: {
            Input.RETRANSMIT: Step(State.PROCEEDING, (Do.SEND,)),
            Input.EXPIRE: Step(State.TERMINATED, (Do.TIMEOUT,)),
            Input.TRANSPORT_ERROR: Step(State.TERMINATED, (Do.BROKEN,)),
            Input.PROVISIONAL: Step(State.PROCEEDING, (Do.DELIVER,)),
            Input.SUCCESS: Step(State.COMPLETED, (Do.DELIVER,)),
            Input.FAILURE: Step(State.COMPLETED, (Do.DELIVER,)),
        },
        State.COMPLETED: {Input.EXPIRE: Step(State.TERMINATED)},
    },
    Kind.INVITE_SERVER: {
        State.PROCEEDING: {
            Input.REQUEST: Step(State.PROCEEDING, (Do.SEND,)),
            Input.PROVISIONAL: Step(State.PROCEEDING, (Do.SEND,)),
            Input.SUCCESS: Step(State.ACCEPTED, (Do.SEND,)),
            Input.FAILURE: Step(State.COMPLETED, (Do.SEND,)),
        },
        State.COMPLETED: {
            Input.REQUEST: Step(State.COMPLETED, (Do.SEND,)),
            Input.RETRANSMIT: Step(State.COMPLETED, (Do.SEND,)),
            Input.ACK: Step(State.CONFIRMED),
            Input.EXPIRE: Step(State.TERMINATED),
        },
        State.CONFIRMED: {Input.EXPIRE: Step(State.TERMINATED)},
        # RFC 6026 lets the user retransmit the 2xx; here the transaction does, until ACK moves it to Confirmed, where
        # it still absorbs copies of the INVITE until timer L.
        State.ACCEPTED: {
            Input.REQUEST: Step(State.ACCEPTED, (Do.SEND,)),
            Input.RETRANSMIT: Step(State.ACCEPTED, (Do.SEND,)),
            Input.ACK: Step(State.CONFIRMED, (Do.DELIVER,)),
            Input.EXPIRE: Step(State.TERMINATED, (Do.TIMEOUT,)),
        },
    },
    Kind.SERVER: {
        # An answer later than the client's timer F is of no use to anybody (RFC 4320), so the row is given up then.
        State.TRYING: {
            Input.PROVISIONAL: Step(State.PROCEEDING, (Do.SEND,)),
            Input.SUCCESS: Step(State.COMPLETED, (Do.SEND,)),
            Input.FAILURE: Step(State.COMPLETED, (Do.SEND,)),
            Input.EXPIRE: Step(State.TERMINATED, (Do.TIMEOUT,)),
        },
        State.PROCEEDING: {
            Input.REQUEST: Step(State.PROCEEDING, (Do.SEND,)),
            Input.PROVISIONAL: Step(State.PROCEEDING, (Do.SEND,)),
            Input.SUCCESS: Step(State.COMPLETED, (Do.SEND,)),
            Input.FAILURE: Step(State.COMPLETED, (Do.SEND,)),
            Input.EXPIRE: Step(State.TERMINATED, (Do.TIMEOUT,)),
        },
        State.COMPLETED: {
            Input.REQUEST: Step(State.COMPLETED, (Do.SEND,)),
            Input.EXPIRE: Step(State.TERMINATED),
        },
    },
}

TIMERS: dict[Kind, dict[State, Timing]] = {
    Kind.INVITE_CLIENT: {
        State.CALLING: Timing("AB", first=T1, expire=64 * T1, expire_reliable=64 * T1),
        State.PROCEEDING: Timing("", expire=_NEVER, expire_reliable=_NEVER),
        State.COMPLETED: Timing("D", expire=64 * T1, expire_reliable=0.0),
        State.ACCEPTED: Timing("M", expire=64 * T1, expire_reliable=64 * T1),
    },
    Kind.CLIENT: {
        State.TRYING: Timing("EF", first=T1, longest=T2, expire=64 * T1, expire_reliable=64 * T1),
        State.PROCEEDING: Timing("EF", first=T2, longest=T2),
        State.COMPLETED: Timing("K", expire=T4, expire_reliable=0.0),
    },
    Kind.INVITE_SERVER: {
        State.PROCEEDING: Timing(""),
        State.COMPLETED: Timing("GH", first=T1, longest=T2, expire=64 * T1, expire_reliable=64 * T1),
        State.CONFIRMED: Timing("IL", expire=T4, expire_reliable=0.0),
        State.ACCEPTED: Timing(
            "L", first=T1, longest=T2, retransmit_on_reliable=True, expire=64 * T1, expire_reliable=64 * T1
        ),
    },
    Kind.SERVER: {
        State.TRYING: Timing("", expire=64 * T1, expire_reliable=64 * T1),
        State.PROCEEDING: Timing(""),
        State.COMPLETED: Timing("J", expire=64 * T1, expire_reliable=0.0),
    },
}

_INITIAL = {
    Kind.INVITE_CLIENT: State.CALLING,
    Kind.CLIENT: State.TRYING,
    Kind.INVITE_SERVER: State.PROCEEDING,
    Kind.SERVER: State.TRYING,
}
_FORGET = Timing("")


def input_of(status: int) -> Input:
    """The input that a response of ``status`` is."""
    if status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if status < 300 else Input.FAILURE


class Transaction:
    """One row of the tables in motion. ``due`` is the monotonic second of the next timer, ``inf`` if none runs."""

    __slots__ = (
        "_expire_at",
        "_interval",
        "_retransmit_at",
        "accepted",
        "due",
        "flow",
        "key",
        "kind",
        "on_response",
        "request",
        "state",
        "wire",
    )

    def __init__(self, kind: Kind, key: tuple[str, ...], request: Request, flow: Flow, wire: bytes, now: float) -> None:
        self.kind = kind
        self.key = key
        self.request = request
        self.flow = flow
        self.wire = wire
        """Bytes to send again: a client's request, a server's last response (empty: none yet)."""
        self.accepted = False
        """Whether a 2xx went through: timer L then outlives the ACK."""
        self.on_response: OnResponse | None = None
        """A client's user: gets every response to be delivered."""
        self.due = _NEVER
        self._retransmit_at = self._expire_at = _NEVER
        self._interval = 0.0
        self._enter(_INITIAL[kind], now)

    @property
    def is_terminated(self) -> bool:
        return self.state is State.TERMINATED

    @property
    def has_final(self) -> bool:
        """Whether a final response was sent or received."""
        return self.state not in (State.CALLING, State.TRYING, State.PROCEEDING)

    def handle(self, what: Input, now: float) -> tuple[Do, ...]:
        """Take one input; what to do now. An input the state does not know changes nothing."""
        step = TABLES[self.kind].get(self.state, {}).get(what)
        if step is None:
            return ()
        if what is Input.SUCCESS:
            self.accepted = True
        if step.state is not self.state:
            self._enter(step.state, now)
        return step.do

    def handle_timer(self, now: float) -> tuple[Do, ...]:
        """Let the due timer fire: expiry first, so that nothing is sent in the moment of giving up."""
        if now >= self._expire_at:
            self._expire_at = _NEVER
            do = self.handle(Input.EXPIRE, now)
        elif now >= self._retransmit_at:
            timing = TIMERS[self.kind][self.state]
            self._interval = min(2 * self._interval, timing.longest)
            # From the due time, not from now: a late wake-up must not stretch every later interval.
            self._retransmit_at = max(self._retransmit_at + self._interval, now)
            do = self.handle(Input.RETRANSMIT, now)
        else:
            do = ()
        self.due = min(self._retransmit_at, self._expire_at)
        return do

    def _enter(self, state: State, now: float) -> None:
        self.state = state
        timing = TIMERS[self.kind].get(state, _FORGET)
        reliable = self.flow.reliable
        repeats = timing.first > 0 and (not reliable or timing.retransmit_on_reliable)
        self._interval = timing.first
        self._retransmit_at = now + timing.first if repeats else _NEVER
        if state is State.TERMINATED:
            self._expire_at = _NEVER
        elif not (state is State.CONFIRMED and self.accepted):  # timer L, begun with the 2xx, goes on
            expire = timing.expire_reliable if reliable else timing.expire
            if expire is not None:
                self._expire_at = now + expire
        self.due = min(self._retransmit_at, self._expire_at)


def server_key(request: Request) -> tuple[str, ...]:
    """Section 17.2.3: branch, sent-by and method; ACK belongs to INVITE. Without the cookie, the RFC 2543 fields."""
    via = request.via
    method = "INVITE" if request.method == "ACK" else request.method
    branch = via.branch
    if branch.startswith(COOKIE) and len(branch) > len(COOKIE):
        return (branch, via.sent_by, method)
    return (branch, via.sent_by, method, request.call_id, request.from_.tag, str(request.cseq.number), request.uri)


def client_key(response: Response) -> tuple[str, ...]:
    """Section 17.1.3: branch and the method of CSeq."""
    return (response.via.branch, response.cseq.method)


def ack_for(request: Request, response: Response) -> Request:
    """The ACK of a non-2xx (section 17.1.1.3): branch, Request-URI and Route of the INVITE, To of the response."""
    return _companion(request, "ACK", response.need("to"))


def cancel_for(request: Request) -> Request:
    """The CANCEL of a request (section 9.1): branch, Request-URI, Route and CSeq number of the request."""
    return _companion(request, "CANCEL", request.need("to"))


def _companion(request: Request, method: str, to: str) -> Request:
    headers = [("Via", request.raw("via")[0])]
    headers += [("Route", value) for value in request.raw("route")]
    headers += [
        ("Max-Forwards", "70"),
        ("From", request.need("from")),
        ("To", to),
        ("Call-ID", request.call_id),
        ("CSeq", f"{request.cseq.number} {method}"),
    ]
    return Request(method, request.uri, headers)
