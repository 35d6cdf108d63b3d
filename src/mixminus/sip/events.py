"""What the SIP endpoint tells the application, as values.

``call`` is the handle that :meth:`~mixminus.sip.endpoint.SipEndpoint.invite` returned or :class:`IncomingCall`
brought. Every call ends with exactly one of :class:`Rejected`, :class:`Cancelled` and :class:`Ended`, whoever ended
it, and nothing about that call follows.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Header fields in order of arrival, names as the sender wrote them."""


class IncomingCall(msgspec.Struct, frozen=True, kw_only=True):
    """An INVITE outside a dialog. Answer with ``ring``, ``answer``, ``reject`` or ``hangup``; 100 is already sent."""

    call: str
    from_uri: str
    from_display: str
    to_uri: str
    request_uri: str
    call_id: str
    headers: Headers
    sdp: bytes
    """The offer; empty: a delayed offer, so ``answer`` carries ours and :class:`Confirmed` brings the answer."""
    source: tuple[str, int]
    """Where the packet came from."""
    account: str | None
    """User name that proved itself by digest; ``None``: not asked to."""
    transport: str
    """``udp``, ``tcp``, ``tls``, ``ws`` or ``wss``."""
    max_forwards: int = 70
    """A leg dialled on behalf of this one should carry one less (RFC 7332)."""


class Ringing(msgspec.Struct, frozen=True):
    """A provisional response other than 100; ``sdp`` is its early answer or empty."""

    call: str
    status: int
    sdp: bytes


class Answered(msgspec.Struct, frozen=True):
    """Our INVITE was answered with 2xx, and the ACK is on its way. ``sdp``: the answer (also if it came early)."""

    call: str
    sdp: bytes
    headers: Headers
    peer: str = ""
    """IP address our INVITE was sent to; empty if it was a name. Media may come from there, whatever the SDP says."""


class Rejected(msgspec.Struct, frozen=True):
    """Our INVITE ended in 3xx-6xx; 408 also when nobody answered, 503 when it could not be sent."""

    call: str
    status: int
    reason: str
    headers: Headers


class Cancelled(msgspec.Struct, frozen=True):
    """The caller gave up before the answer; 487 is already sent. ``reason``: text of the Reason header or empty."""

    call: str
    reason: str = ""


class Ended(msgspec.Struct, frozen=True):
    """The call is over. ``by`` says who ended it; ``status`` and ``reason`` why.

    ``status``: Q.850 or SIP cause of a Reason header where there is one; 408 no ACK, no answer to a refresh or an
    expired session (``by="remote"``: the peer is gone); 0 an ordinary end.
    """

    call: str
    by: Literal["local", "remote"]
    status: int = 0
    reason: str = ""


class Reinvited(msgspec.Struct, frozen=True):
    """re-INVITE, or UPDATE with an offer: reply with ``accept_update`` or ``refuse_update``.

    Empty ``sdp``: the peer asks for an offer, ``accept_update`` carries it and :class:`Confirmed` brings the answer.
    """

    call: str
    sdp: bytes


class Updated(msgspec.Struct, frozen=True):
    """Our ``reinvite`` was accepted; ``sdp`` is the answer."""

    call: str
    sdp: bytes


class UpdateRefused(msgspec.Struct, frozen=True):
    """Our ``reinvite`` was refused; the session stays as it was."""

    call: str
    status: int
    reason: str


class Confirmed(msgspec.Struct, frozen=True):
    """The ACK of our 2xx came. ``sdp``: its body, the answer to an offer of ours; else empty."""

    call: str
    sdp: bytes


class DtmfInfo(msgspec.Struct, frozen=True):
    """A key by INFO (``application/dtmf-relay`` or ``application/dtmf``)."""

    call: str
    key: str
    """One of ``0-9 * # A-D``."""
    duration: int
    """Milliseconds; 0 if not said."""


class Registered(msgspec.Struct, frozen=True):
    """A binding was made or refreshed at our registrar."""

    username: str
    contact: str
    expires: int
    """Seconds from now."""


class Unregistered(msgspec.Struct, frozen=True):
    """A binding was removed or ran out."""

    username: str
    contact: str = ""


class RegistrationSucceeded(msgspec.Struct, frozen=True):
    """Our own ``register`` was accepted; it is refreshed until ``unregister``."""

    address: str
    expires: int


class RegistrationFailed(msgspec.Struct, frozen=True):
    """Our own ``register`` was refused or unanswered (408, 503)."""

    address: str
    status: int
    reason: str


SipEvent: TypeAlias = (
    IncomingCall
    | Ringing
    | Answered
    | Rejected
    | Cancelled
    | Ended
    | Reinvited
    | Updated
    | UpdateRefused
    | Confirmed
    | DtmfInfo
    | Registered
    | Unregistered
    | RegistrationSucceeded
    | RegistrationFailed
)
