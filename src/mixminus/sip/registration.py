"""Our own registrations at somebody else's registrar (RFC 3261 section 10.2): a virtual phone, or a trunk that asks."""

from __future__ import annotations

from dataclasses import dataclass

from mixminus.errors import InvalidParameter, ProtocolError
from mixminus.sip import grammar
from mixminus.sip.auth import DigestCredentials
from mixminus.sip.core import Core
from mixminus.sip.dialog import require_sip
from mixminus.sip.events import RegistrationFailed, RegistrationSucceeded
from mixminus.sip.exchange import Exchange
from mixminus.sip.message import Response
from mixminus.sip.timers import Alarm
from mixminus.sip.transport import Hop, hop_of
from mixminus.sip.uri import format_host_port, format_name_addr

RETRY_AFTER = 60.0
"""Seconds between attempts after a failure."""


@dataclass(slots=True, eq=False)
class _Registration:
    address: str
    credentials: DigestCredentials | None
    hop: Hop
    call_id: str
    tag: str
    expires: int
    cseq: int = 0
    alarm: Alarm | None = None

    def next_cseq(self) -> int:
        self.cseq += 1
        return self.cseq


class Registrations:
    """Addresses of record we keep registered. Events: RegistrationSucceeded, RegistrationFailed."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._held: dict[str, _Registration] = {}

    def register(
        self, address: str, now: float, *, credentials: DigestCredentials | None, route: Hop | None, expires: int
    ) -> None:
        """Register ``sip:user@domain`` and keep it registered."""
        try:
            hop = route or hop_of(require_sip(address))
        except ProtocolError as error:
            raise InvalidParameter("address", f"{error}; use sip:user@domain") from None
        self._stop(address)
        core = self._core
        held = _Registration(address, credentials, hop, core.mint.hex(32), core.mint.hex(16), expires)
        self._held[address] = held
        self._send(held, now)

    def unregister(self, address: str, now: float) -> None:
        held = self._stop(address)
        if held is not None:
            held.expires = 0
            self._send(held, now)

    def _stop(self, address: str) -> _Registration | None:
        held = self._held.pop(address, None)
        if held is not None and held.alarm is not None:
            held.alarm.cancel()
        return held

    def _send(self, held: _Registration, now: float) -> None:
        uri = require_sip(held.address)
        headers = [
            ("From", format_name_addr(held.address, tag=held.tag)),
            ("To", f"<{held.address}>"),
            ("Call-ID", held.call_id),
            ("Contact", self._core.contact(held.hop, uri.user, secure=uri.is_secure)),
            ("Expires", str(held.expires)),
        ]
        exchange = self._core.exchange(
            "REGISTER",
            f"{uri.scheme}:{format_host_port(uri.host, uri.port)}",
            headers,
            b"",
            hop=held.hop,
            next_cseq=held.next_cseq,
            on_response=lambda exchange, response, later: self._on_response(held, exchange, response, later),
            credentials=held.credentials,
        )
        exchange.send(now)

    def _on_response(self, held: _Registration, exchange: Exchange, response: Response, now: float) -> None:
        if response.status < 200:
            return
        is_kept = self._held.get(held.address) is held
        if response.status < 300:
            granted = _granted(response, held.expires)
            self._core.emit(RegistrationSucceeded(held.address, granted))
            delay = max(granted * 0.8, 1.0)
        elif response.status == 423 and (minimum := _number(response.header("min-expires"))) > held.expires > 0:
            held.expires = minimum
            exchange.set_header("Expires", str(minimum))
            exchange.send(now)
            return
        else:
            self._core.emit(RegistrationFailed(held.address, response.status, response.reason))
            delay = RETRY_AFTER
        if is_kept:
            held.alarm = self._core.alarm(now + delay, lambda later: self._send(held, later))


def _granted(response: Response, asked: int) -> int:
    """Seconds of our binding: the Contact's, else the Expires header's, else what we asked for."""
    found = [_number(contact.parameters.get("expires")) for contact in response.contacts]
    return max((n for n in found if n), default=_number(response.header("expires")) or asked)


def _number(text: str | None) -> int:
    try:
        return grammar.parse_number(text or "0", "expires", 2**31)
    except ProtocolError:
        return 0
