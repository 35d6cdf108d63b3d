"""The registrar (RFC 3261 section 10.3): user name → bindings. Pure; expiry is asked for, not waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mixminus.errors import ProtocolError
from mixminus.sip import grammar
from mixminus.sip.check import Refusal
from mixminus.sip.message import Request
from mixminus.sip.transport import Flow, Hop, hop_of, is_behind_nat
from mixminus.sip.uri import NameAddr, Uri, format_host_port

DEFAULT_EXPIRES = 3600
MIN_EXPIRES = 60
MAX_EXPIRES = 7200
MAX_BINDINGS = 16
"""Per user."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a user is to be reached: ``invite(binding.uri, route=binding.hop)``."""

    uri: str
    hop: Hop
    expires_at: float
    """Monotonic seconds."""
    call_id: str = ""
    cseq: int = 0
    user_agent: str = ""


class Change(NamedTuple):
    """What a REGISTER or the passing of time did to one binding; ``expires`` 0: removed."""

    username: str
    contact: str
    expires: int


class Registrar:
    """Bindings by user name."""

    def __init__(self) -> None:
        self._users: dict[str, dict[str, Binding]] = {}

    def contacts(self, username: str, now: float) -> list[Binding]:
        """Live bindings, the newest first."""
        bindings = self._users.get(username, {}).values()
        return sorted((b for b in bindings if b.expires_at > now), key=lambda b: b.expires_at, reverse=True)

    def register(self, request: Request, username: str, flow: Flow, now: float) -> list[Change] | Refusal:
        """Apply one authenticated REGISTER, wholly or not at all."""
        try:
            wanted = self._wanted(request)
        except ProtocolError as error:
            return Refusal(400, f"Bad Request: {error}")
        if isinstance(wanted, Refusal):
            return wanted
        old = self._users.get(username, {})
        new = {key: binding for key, binding in old.items() if binding.expires_at > now}
        changes = []
        for contact, expires in wanted:
            key = _key(contact.uri)
            held = new.get(key)
            if held is not None and held.call_id == request.call_id and request.cseq.number <= held.cseq:
                return Refusal(500, "CSeq out of order")
            changes.append(Change(username, contact.uri.raw, expires))
            if expires:
                new[key] = _bind(request, contact.uri, flow, now + expires)
            else:
                new.pop(key, None)
        if request.values("contact") == ["*"]:
            changes = [Change(username, binding.uri, 0) for binding in new.values()]
            new = {}
        if len(new) > MAX_BINDINGS:
            return Refusal(403, f"No more than {MAX_BINDINGS} contacts")
        self._put(username, new)
        return changes

    def expire(self, now: float) -> list[Change]:
        """Remove what ran out."""
        gone = []
        for username, bindings in list(self._users.items()):
            dead = [key for key, binding in bindings.items() if binding.expires_at <= now]
            gone += [Change(username, bindings.pop(key).uri, 0) for key in dead]
            self._put(username, bindings)
        return gone

    def next_expiry(self) -> float | None:
        """Monotonic second at which :meth:`expire` has something to do."""
        return min((b.expires_at for bindings in self._users.values() for b in bindings.values()), default=None)

    def drop_connection(self, connection: int) -> list[Change]:
        """A stream closed: what was reachable only over it is not any more."""
        gone = []
        for username, bindings in list(self._users.items()):
            dead = [key for key, binding in bindings.items() if binding.hop.connection == connection]
            gone += [Change(username, bindings.pop(key).uri, 0) for key in dead]
            self._put(username, bindings)
        return gone

    def answer_headers(self, username: str, now: float) -> list[tuple[str, str]]:
        """Contact headers of the 200: every binding with its seconds left."""
        return [
            ("Contact", f"<{binding.uri}>;expires={max(1, round(binding.expires_at - now))}")
            for binding in self.contacts(username, now)
        ]

    def _put(self, username: str, bindings: dict[str, Binding]) -> None:
        if bindings:
            self._users[username] = bindings
        else:
            self._users.pop(username, None)

    def _wanted(self, request: Request) -> list[tuple[NameAddr, int]] | Refusal:
        """Each contact with its seconds (0: remove)."""
        header = request.header("expires")
        default = DEFAULT_EXPIRES if header is None else _expires(header)
        contacts = request.values("contact")
        if "*" in contacts:
            if contacts != ["*"] or header is None or default != 0:
                return Refusal(400, "Bad Request: Contact * goes alone and with Expires: 0")
            return []
        wanted = []
        for contact in request.contacts:
            if not contact.uri.is_sip:
                raise ProtocolError("Contact: a SIP URI expected")
            if contact.uri.is_secure and not request.request_uri.is_secure:
                raise ProtocolError("Contact: a sips URI can be bound by a sips Request-URI only")  # RFC 5630, 5.3
            text = contact.parameters.get("expires")
            expires = default if text is None else _expires(text)
            if 0 < expires < MIN_EXPIRES:
                return Refusal(423, "", (("Min-Expires", str(MIN_EXPIRES)),))
            wanted.append((contact, min(expires, MAX_EXPIRES)))
        return wanted


def _expires(text: str) -> int:
    # A malformed value counts as 3600 (section 20.19); only digits are read, so it cannot be huge work.
    if not text or not grammar.DIGITS.issuperset(text):
        return DEFAULT_EXPIRES
    return int(text) if len(text) <= 10 else MAX_EXPIRES


def _key(uri: Uri) -> str:
    return f"{uri.user}@{format_host_port(uri.host.lower(), uri.port)};{uri.transport}"


def _bind(request: Request, uri: Uri, flow: Flow, expires_at: float) -> Binding:
    if flow.reliable or is_behind_nat(request, flow):
        hop = Hop(flow.transport, flow.host, flow.port, flow.connection, True)
    else:
        hop = hop_of(uri)
    agent = request.header("user-agent") or ""
    return Binding(uri.raw, hop, expires_at, request.call_id, request.cseq.number, agent[:100])
