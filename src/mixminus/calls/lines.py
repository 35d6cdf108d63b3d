"""Every leg's line: SIP signalling joined to a row of media. A shell between the leg machines and the two engines.

A line knows the SIP call, what is negotiated (:mod:`mixminus.calls.negotiation`), and the local port. What happens on
it is posted to the leg, in the leg's own words (:mod:`mixminus.calls.inputs`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import structlog

from mixminus.calls.applications import Destination
from mixminus.calls.effects import PlaceCall
from mixminus.calls.inputs import Answered, Gone, LegInput, PickedUp, Rang, Refused
from mixminus.calls.leg.inputs import EarlyMediaUp
from mixminus.calls.leg.line import Incoming
from mixminus.calls.model import HangupCause, HangupSource
from mixminus.calls.negotiation import NO_CARE, PLAN_TO_COME, Negotiation, signalled
from mixminus.calls.routing import NoRoute, Route
from mixminus.errors import MediaError, MixminusError, Overloaded
from mixminus.ids import Mint
from mixminus.media import protocol as media
from mixminus.sdp.answer import CODECS, Codec, MediaPlan, NoCommonCodec
from mixminus.sip import events as sip
from mixminus.sip.auth import DigestCredentials
from mixminus.sip.endpoint import SipEndpoint
from mixminus.sip.uri import is_address, parse_uri

RETRY_AFTER = "30"
"""Seconds, told to callers who cannot be taken now."""

log = structlog.get_logger(__name__)

Tell = Callable[[str, LegInput], None]
FindRoute = Callable[[str], Route | NoRoute]
"""Destination as the API names it → where to send the INVITE."""


class MediaPorts(Protocol):
    """What the lines need of the media workers."""

    def reserve(
        self, room: str, leg: str, *, remote: media.Address | None, latchable: bool, peer_host: str | None = None
    ) -> tuple[str, int]: ...
    def release(self, leg: str) -> None: ...
    def send(self, command: media.Command) -> Awaitable[object]: ...


@dataclass
class _Line:
    """One leg's line. ``media`` is the local address, once a port is reserved; ``open`` once the worker has the leg."""

    call_uuid: str
    sip: str
    session: Negotiation
    source: str = ""
    """Host the signalling comes from."""
    media: media.Address | None = None
    room: str = ""
    open: bool = False
    early: bytes = b""
    """The answer that went out in a 183."""
    up: bool = True


class SipLines:
    """The :class:`~mixminus.calls.ports.Lines` of the real server."""

    def __init__(
        self, *, endpoint: SipEndpoint, ports: MediaPorts, mint: Mint, domain: str, find_route: FindRoute
    ) -> None:
        self._endpoint = endpoint
        self._ports = ports
        self._mint = mint
        self._domain = domain
        self._find_route = find_route
        self.codecs: Sequence[Codec] = CODECS
        """What is offered and taken, the best first."""
        self._lines: dict[str, _Line] = {}
        self._by_sip: dict[str, _Line] = {}
        self.tell: Tell = lambda call_uuid, event: None
        self.incoming: Callable[[Incoming], None] = lambda call: None
        self.key_pressed: Callable[[str, str], None] = lambda call_uuid, key: None
        self.find_destination: Callable[[str | None, str], Coroutine[Any, Any, Destination | None]] = _nobody
        self.accepting: Callable[[], bool] = lambda: True
        self.overloaded: Callable[[], str] = lambda: ""
        """Why no call can be taken for now; empty when it can."""
        self.media_timeout = 0.0
        """Seconds without a packet after which a leg is ended; 0: never."""
        self.care = NO_CARE
        self.spawn: Callable[[Coroutine[Any, Any, Any]], None] = _spawn_nothing
        self._handlers: dict[type, Callable[[Any], None]] = {
            sip.IncomingCall: self._incoming,
            sip.Ringing: self._ringing,
            sip.Answered: self._answered,
            sip.Rejected: self._rejected,
            sip.Cancelled: self._cancelled,
            sip.Ended: self._ended,
            sip.Reinvited: self._reinvited,
            sip.Confirmed: self._confirmed,
            sip.DtmfInfo: self._dtmf_info,
        }

    # -- what the machines want -----------------------------------------------------------------------------------

    def ring(self, call_uuid: str) -> None:
        line = self._lines.get(call_uuid)
        if line is not None and line.up:
            self._endpoint.ring(line.sip)

    def place(self, call_uuid: str, order: PlaceCall, room: str) -> None:
        route = self._find_route(order.to)
        if isinstance(route, NoRoute):
            log.warning("cannot dial", call_uuid=call_uuid, to=order.to, reason=route.reason)
            self.tell(call_uuid, Gone(route.cause, HangupSource.PLIVO))
            return
        try:
            self._invite(call_uuid, order, room, route)
        except MixminusError as error:
            log.warning("cannot dial", call_uuid=call_uuid, to=order.to, reason=str(error))
            cause = HangupCause.INTERNAL_ERROR if isinstance(error, MediaError) else HangupCause.INVALID_DESTINATION
            self.tell(call_uuid, Gone(cause, HangupSource.PLIVO))

    def _invite(self, call_uuid: str, order: PlaceCall, room: str, route: Route) -> None:
        line = _Line(call_uuid, "", self._new_session(), room=room)
        host = route.hop.host if route.hop else parse_uri(route.target).host
        peer_host = host if is_address(host) else None
        line.media = self._ports.reserve(room, call_uuid, remote=None, latchable=True, peer_host=peer_host)
        self._lines[call_uuid] = line
        line.sip = self._endpoint.invite(
            route.target,
            from_=order.from_ if order.from_.startswith("sip:") else f"sip:{order.from_}@{self._domain}",
            display_name=order.caller_name,
            sdp=line.session.make_offer(line.media),
            headers=[(f"X-PH-{name}", value) for name, value in order.sip_headers],
            route=route.hop,
            credentials=DigestCredentials(*order.credentials) if order.credentials else route.credentials,
        )
        self._by_sip[line.sip] = line

    async def pick_up(self, call_uuid: str, room: str) -> LegInput:
        line = self._lines.get(call_uuid)
        if line is None or not line.up:
            return Gone()
        try:
            body = line.early or await self._open_inbound(line, room)
        except MixminusError as error:
            log.warning("cannot answer", call_uuid=call_uuid, error=str(error))
            self._refuse_media(line, error)
            return Gone(HangupCause.INTERNAL_ERROR, HangupSource.PLIVO)
        if not line.up:
            return Gone()
        self._endpoint.answer(line.sip, body)
        return PickedUp()

    async def pre_answer(self, call_uuid: str, room: str) -> EarlyMediaUp | Gone:
        """183 with our answer; the 200 repeats it (RFC 3261 §13.2.1)."""
        line = self._lines.get(call_uuid)
        if line is None or not line.up:
            return Gone()
        if not line.session.offer:
            log.warning("an INVITE without an offer: nothing is heard before the answer", call_uuid=call_uuid)
            return EarlyMediaUp()
        try:
            line.early = await self._open_inbound(line, room)
        except MixminusError as error:
            log.warning("no early media", call_uuid=call_uuid, error=str(error))
            self._refuse_media(line, error)
            return Gone(HangupCause.INTERNAL_ERROR, HangupSource.PLIVO)
        if not line.up:
            return Gone()
        self._endpoint.ring(line.sip, line.early)
        return EarlyMediaUp()

    async def _open_inbound(self, line: _Line, room: str) -> bytes:
        """Media for an incoming call; returns the SDP of the 200: our answer, or our offer when the INVITE had none."""
        session = line.session
        remote = session.check().remote if session.offer else None
        line.media = self._ports.reserve(room, line.call_uuid, remote=remote, latchable=True)
        line.room = room
        if session.offer:
            body, plan = session.answer(line.media)
        else:
            body, plan = session.make_late_offer(line.media), PLAN_TO_COME
        await self._open(line, plan)
        return body

    def _refuse_media(self, line: _Line, error: MixminusError) -> None:
        if isinstance(error, Overloaded):
            self._endpoint.reject(line.sip, 503, headers=[("Retry-After", RETRY_AFTER)])
        else:
            self._endpoint.reject(line.sip, 488 if isinstance(error, NoCommonCodec) else 500)

    def refuse(self, call_uuid: str, status: int) -> None:
        line = self._lines.get(call_uuid)
        if line is not None and line.up:
            self._endpoint.reject(line.sip, status)

    def hang_up(self, call_uuid: str, cause: HangupCause) -> None:
        line = self._lines.get(call_uuid)
        if line is not None and line.up and line.sip:
            self._endpoint.hangup(line.sip, headers=[("Reason", f'Q.850;cause=16;text="{cause.text}"')])

    async def close(self, call_uuid: str) -> None:
        line = self._lines.pop(call_uuid, None)
        if line is None:
            return
        line.up = False
        if not line.open:
            self._ports.release(call_uuid)
            return
        try:
            await self._ports.send(media.CloseLeg(call_uuid))
        except MediaError as error:
            log.info("closing a leg failed", call_uuid=call_uuid, error=str(error))

    async def send_digits(self, call_uuid: str, digits: str) -> None:
        try:
            await self._ports.send(media.SendDigits(call_uuid, digits))
        except MediaError as error:
            log.warning("digits not sent", call_uuid=call_uuid, error=str(error))

    # -- what happens on the line ---------------------------------------------------------------------------------

    def on_event(self, event: sip.SipEvent) -> None:
        """Take one event of the SIP endpoint."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _incoming(self, event: sip.IncomingCall) -> None:
        line = _Line(self._mint.uuid(), event.call, self._new_session(event.sdp), source=event.source[0])
        if not self.accepting() or self.overloaded():
            self._endpoint.reject(event.call, 503, headers=[("Retry-After", RETRY_AFTER)])
            return
        try:
            if event.sdp:
                line.session.check()
        except MixminusError as error:
            log.info("offer refused", call_id=event.call_id, reason=str(error))
            self._endpoint.reject(event.call, 488 if isinstance(error, NoCommonCodec) else 400)
            return
        self._lines[line.call_uuid] = self._by_sip[event.call] = line
        self.spawn(self._introduce(line, event))

    async def _introduce(self, line: _Line, event: sip.IncomingCall) -> None:
        called = parse_uri(event.request_uri).user
        destination = await self.find_destination(event.account, called)
        if not line.up:
            self._lines.pop(line.call_uuid, None)
            return
        if destination is None:
            log.info("nobody answers here", to=event.request_uri, call_id=event.call_id)
            self._endpoint.reject(event.call, 404)
            self._lines.pop(line.call_uuid, None)
            return
        self.incoming(
            Incoming(
                call_uuid=line.call_uuid,
                by=destination.by,
                from_number=address_of(event.from_uri),
                to_number=address_of(event.to_uri),
                caller_name=event.from_display,
                sip_call_id=event.call_id,
                headers=custom_headers(event.headers),
                answer=destination.answer,
                fallback=destination.fallback,
                hangup=destination.hangup,
            )
        )

    def _ringing(self, event: sip.Ringing) -> None:
        line = self._by_sip.get(event.call)
        if line is None:
            return
        if event.sdp and not line.open:
            self.spawn(self._ring_early(line, event))
        else:
            self.tell(line.call_uuid, Rang())

    async def _ring_early(self, line: _Line, event: sip.Ringing) -> None:
        """The far end rings with sound of its own; should that be unusable, it just rings."""
        try:
            early = await self._open(line, line.session.read_answer(event.sdp))
        except MixminusError as error:
            log.info("early media unusable", call_uuid=line.call_uuid, error=str(error))
            early = False
        self.tell(line.call_uuid, Rang(early))

    def _answered(self, event: sip.Answered) -> None:
        line = self._by_sip.get(event.call)
        if line is not None:
            line.source = event.peer
            self.spawn(self._connect(line, event))

    async def _connect(self, line: _Line, event: sip.Answered) -> None:
        try:
            plan = line.session.read_answer(event.sdp)
            opened = await self._open(line, plan)
        except MixminusError as error:
            log.warning("answer unusable", call_uuid=line.call_uuid, error=str(error))
            self.hang_up(line.call_uuid, HangupCause.ROUTING_ERROR)
            self.tell(line.call_uuid, Gone(HangupCause.ROUTING_ERROR, HangupSource.PLIVO))
            return
        if opened:
            self.tell(line.call_uuid, Answered())

    async def _open(self, line: _Line, plan: MediaPlan) -> bool:
        """Give the leg its row in the worker. False: the line has gone meanwhile."""
        if not line.up:
            return False
        if line.open:  # since it rang with sound of its own
            await self._update(line, plan)
            return True
        assert line.media is not None
        line.open = True
        known = msgspec.structs.asdict(self._signalled(line, plan))
        await self._ports.send(media.OpenLeg(room=line.room, port=line.media[1], agc=self.care.agc, **known))
        return True

    async def _update(self, line: _Line, plan: MediaPlan) -> None:
        await self._ports.send(self._signalled(line, plan))

    def _signalled(self, line: _Line, plan: MediaPlan) -> media.UpdateLeg:
        return signalled(line.call_uuid, plan, line.source, self.media_timeout, self.care)

    def media_lost(self, call_uuid: str) -> None:
        """Nothing comes from the peer any more: end the call."""
        line = self._lines.get(call_uuid)
        if line is not None and line.up:
            self.hang_up(call_uuid, HangupCause.MEDIA_TIMEOUT)
            self.tell(call_uuid, Gone(HangupCause.MEDIA_TIMEOUT, HangupSource.PLIVO))

    def _rejected(self, event: sip.Rejected) -> None:
        line = self._by_sip.pop(event.call, None)
        if line is not None:
            line.up = False
            self.tell(line.call_uuid, Refused(event.status, event.reason))

    def _cancelled(self, event: sip.Cancelled) -> None:
        self._down(event.call, Gone())

    def _ended(self, event: sip.Ended) -> None:
        cause = HangupCause.NETWORK_ERROR if event.status == 408 else HangupCause.NORMAL_HANGUP
        source = HangupSource.PLIVO if event.by == "local" else HangupSource.UNKNOWN
        self._down(event.call, Gone(cause, source))

    def _down(self, call: str, gone: Gone) -> None:
        line = self._by_sip.pop(call, None)
        if line is not None:
            line.up = False
            self.tell(line.call_uuid, gone)

    def _reinvited(self, event: sip.Reinvited) -> None:
        line = self._by_sip.get(event.call)
        if line is None or not line.open:
            self._endpoint.refuse_update(event.call, 488)
            return
        assert line.media is not None
        if not event.sdp:
            line.session.renew()
            self._endpoint.accept_update(event.call, line.session.make_late_offer(line.media))
            return
        try:
            body, plan = line.session.answer_again(event.sdp, line.media)
        except MixminusError as error:
            log.info("new offer refused", call_uuid=line.call_uuid, reason=str(error))
            self._endpoint.refuse_update(event.call, 488)
            return
        self.spawn(self._accept_offer(line, body, plan))

    async def _accept_offer(self, line: _Line, body: bytes, plan: MediaPlan) -> None:
        try:
            await self._update(line, plan)
        except MediaError as error:
            log.warning("new offer refused by the media worker", call_uuid=line.call_uuid, error=str(error))
            self._endpoint.refuse_update(line.sip, 500)
            return
        if line.up:
            self._endpoint.accept_update(line.sip, body)

    def _confirmed(self, event: sip.Confirmed) -> None:
        line = self._by_sip.get(event.call)
        if line is None or not line.session.answer_expected:
            return
        try:
            plan = line.session.read_answer(event.sdp)
        except MixminusError as error:
            log.warning("answer in the ACK unusable", call_uuid=line.call_uuid, error=str(error))
            self.hang_up(line.call_uuid, HangupCause.ROUTING_ERROR)
            return
        self.spawn(self._update(line, plan))

    def _dtmf_info(self, event: sip.DtmfInfo) -> None:
        line = self._by_sip.get(event.call)
        if line is not None:
            self.key_pressed(line.call_uuid, event.key)

    def _new_session(self, offer: bytes = b"") -> Negotiation:
        return Negotiation(int(self._mint.digits(9)), self.codecs, offer, comfort_noise=self.care.comfort_noise)


def address_of(uri: str) -> str:
    """A SIP or tel URI as the API names people: digits for numbers, else ``sip:user@host``."""
    parsed = parse_uri(uri)
    digits = parsed.user.lstrip("+")
    return digits if digits.isdigit() else f"sip:{parsed.user}@{parsed.host}" if parsed.user else f"sip:{parsed.host}"


def custom_headers(headers: sip.Headers) -> dict[str, str]:
    """``X-PH-…`` headers, and the To header as ``SIP-H-To``."""
    found = {name: value for name, value in headers if name.lower().startswith("x-ph-")}
    to = next((value for name, value in headers if name.lower() in ("to", "t")), "")
    return {**found, "SIP-H-To": to}


async def _nobody(caller: str | None, called: str) -> Destination | None:
    return None


def _spawn_nothing(work: Coroutine[Any, Any, Any]) -> None:
    work.close()
    raise AssertionError("the lines are not wired to a service")
