"""SIP on real sockets: UDP and TCP on one port, TLS on another, the one timer, and name look-up.

All decisions are the agent's.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Unpack

from mixminus.clock import Clock
from mixminus.errors import ConfigurationError
from mixminus.ids import Mint
from mixminus.sip.agent import SipAgent
from mixminus.sip.auth import Account, DigestCredentials
from mixminus.sip.caller import InviteOptions
from mixminus.sip.core import AgentConfig
from mixminus.sip.events import SipEvent
from mixminus.sip.message import Request
from mixminus.sip.netio import Connections
from mixminus.sip.registrar import Binding
from mixminus.sip.transport import Flow, Hop
from mixminus.sip.uri import is_address

_WILDCARDS = ("0.0.0.0", "::")
_PORT_ATTEMPTS = 20
_RECEIVE_BUFFER = 4 * 1024 * 1024


@dataclass(frozen=True)
class TlsListener:
    """Where SIP over TLS is taken. ``name``: the host name of the certificate, written into Contact and Via; empty: the
    address is.
    """

    host: str
    port: int
    context: ssl.SSLContext
    name: str = ""


class SipEndpoint:
    """One SIP user agent and registrar on UDP and TCP, and with ``tls`` on TLS.

    ``handler`` is called for each event, in order, never from inside a command. ``credentials(username)`` gives the
    account of an endpoint that may register; ``authenticate(request)`` says whether an INVITE must prove its sender
    (default: if its From or Contact user has an account). ``session_expires``: seconds, 0 for no session timers.
    ``digest_algorithms``: what challenges offer, ``MD5`` and ``SHA-256`` are known.
    ``public_host``: the address to write into messages, when it is not the one bound to (NAT).
    ``trust``: authorities of the TLS peers that are called; default: the system's.
    """

    def __init__(
        self,
        *,
        mint: Mint,
        clock: Clock,
        handler: Callable[[SipEvent], None],
        credentials: Callable[[str], Account | None],
        realm: str,
        session_expires: int = 1800,
        user_agent: str = "mixminus",
        authenticate: Callable[[Request], bool] | None = None,
        public_host: str = "",
        digest_algorithms: tuple[str, ...] = ("MD5",),
        tls: TlsListener | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._clock = clock
        self._handler = handler
        self._public_host = public_host
        self._bound = ("127.0.0.1", 0)
        self._tls = tls
        self.tls_address: tuple[str, int] | None = None
        """Where TLS is taken, once started."""
        self._local_addresses: dict[str, str] = {}
        config = AgentConfig(
            realm=realm,
            user_agent=user_agent,
            address_for=self._address_for,
            credentials=credentials,
            authenticate=authenticate,
            session_expires=session_expires,
            digest_algorithms=digest_algorithms,
            takes_tls=tls is not None,
        )
        self.agent = SipAgent(config, mint)
        self._connections = Connections(self._on_stream_opened, self._on_stream_data, self._on_stream_closed, trust)
        self._udp: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: float | None = None
        self._is_draining = False
        self._resolving: set[asyncio.Task[None]] = set()

    # Life

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Bind UDP and TCP to the same port and return (host, port); port 0 takes one that is free for both. Bind TLS.

        Raises :class:`~mixminus.errors.ConfigurationError` if a port is taken.
        """
        await self._start_plain(host, port)
        if self._tls is not None:
            try:
                self.tls_address = await self._connections.listen(self._tls.host, self._tls.port, self._tls.context)
            except OSError as error:
                await self.stop()
                raise ConfigurationError(
                    f"sip_tls: cannot listen on {self._tls.host}:{self._tls.port}: {error}"
                ) from None
        return self._bound

    async def _start_plain(self, host: str, port: int) -> None:
        for attempt in range(_PORT_ATTEMPTS):
            try:
                self._bound = await self._bind(host, port)
                return
            except OSError as error:
                if port or attempt == _PORT_ATTEMPTS - 1:
                    raise ConfigurationError(f"sip: cannot listen on {host}:{port}: {error}") from None
        raise AssertionError("unreachable")

    async def stop(self) -> None:
        """Close sockets and connections. Calls are not ended; hang up first, and let the BYEs go out."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._resolving:
            task.cancel()
        await self._connections.close()
        if self._udp is not None:
            self._udp.close()
            self._udp = None

    async def _bind(self, host: str, port: int) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=(host, port))
        bound: tuple[str, int] = transport.get_extra_info("sockname")[:2]
        try:
            await self._connections.listen(*bound)
        except OSError:
            transport.close()
            raise
        # Room for a burst of calls while the loop is busy; the kernel grants what it allows.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._udp = transport
        return bound

    # Commands. A handle whose call is over is ignored, since its end may cross any command.

    def invite(self, target: str, **options: Unpack[InviteOptions]) -> str:
        """Call ``target`` (``sip:…``, ``sips:…`` or ``tel:…``) and return the call's handle.

        Raises :class:`~mixminus.errors.InvalidParameter`.
        """
        call = self.agent.invite(target, self._now(), **options)
        self._drain_soon()
        return call

    def ring(self, call: str, sdp: bytes | None = None) -> None:
        """180, or 183 if there is early media."""
        self.agent.ring(call, sdp, self._now())
        self._drain_soon()

    def answer(self, call: str, sdp: bytes, headers: Sequence[tuple[str, str]] = ()) -> None:
        """200, sent until the ACK comes; without one the call ends after 32 s."""
        self.agent.answer(call, sdp, headers, self._now())
        self._drain_soon()

    def reject(self, call: str, status: int, reason: str = "", headers: Sequence[tuple[str, str]] = ()) -> None:
        """3xx-6xx to an incoming call."""
        self.agent.reject(call, status, reason, headers, self._now())
        self._drain_soon()

    def cancel(self, call: str) -> None:
        """Give up an outgoing call. The same as :meth:`hangup`."""
        self.hangup(call)

    def hangup(self, call: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        """End a call in whatever state: CANCEL, 480 or BYE."""
        self.agent.hangup(call, headers, self._now())
        self._drain_soon()

    def reinvite(self, call: str, sdp: bytes) -> None:
        """Offer another session; :class:`Updated` or :class:`UpdateRefused` follows. Raises ``Conflict`` if busy."""
        self.agent.reinvite(call, sdp, self._now())
        self._drain_soon()

    def accept_update(self, call: str, sdp: bytes) -> None:
        """Answer :class:`Reinvited`."""
        self.agent.accept_update(call, sdp, self._now())
        self._drain_soon()

    def refuse_update(self, call: str, status: int = 488) -> None:
        """Refuse :class:`Reinvited`; the session stays as it was."""
        self.agent.refuse_update(call, status, self._now())
        self._drain_soon()

    def contacts(self, username: str) -> list[Binding]:
        """Where a registered user is: ``invite(binding.uri, route=binding.hop)``."""
        return self.agent.contacts(username, self._now())

    def register(
        self,
        address: str,
        *,
        credentials: DigestCredentials | None = None,
        route: Hop | None = None,
        expires: int = 3600,
    ) -> None:
        """Register ``sip:user@domain`` elsewhere and keep it so."""
        self.agent.register(address, self._now(), credentials=credentials, route=route, expires=expires)
        self._drain_soon()

    def unregister(self, address: str) -> None:
        self.agent.unregister(address, self._now())
        self._drain_soon()

    def counters(self) -> dict[str, int]:
        """Live calls, transactions, connections, and what was dropped and why."""
        return {**self.agent.counters(), "connections": len(self._connections)}

    # The four moves: hand in, send, tell, re-arm

    def on_datagram(self, data: bytes, address: tuple[str, int]) -> None:
        self.agent.receive_datagram(data, Flow("udp", address[0], address[1]), self._now())
        self._drain()

    def on_refused(self) -> None:
        """An ICMP error says nothing about which packet; retransmission and timers decide."""

    def _on_stream_opened(self, flow: Flow) -> None:
        self.agent.stream_opened(flow, self._now())

    def _on_stream_data(self, data: bytes, flow: Flow) -> None:
        self.agent.receive_stream(data, flow, self._now())
        self._drain()

    def _on_stream_closed(self, flow: Flow) -> None:
        self.agent.stream_closed(flow, self._now())
        self._drain()

    def _on_timer(self) -> None:
        self._timer_due = None
        self.agent.handle_timer(self._now())
        self._drain()

    def _drain_soon(self) -> None:
        # What a command queued is sent now; its events come from the loop, so a handler never runs inside its caller.
        if self._is_draining:
            return
        self._send_all()
        asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        if self._is_draining:
            return
        self._is_draining = True
        try:
            self._send_all()
            while (event := self.agent.next_event()) is not None:
                self._handler(event)
                self._send_all()
        finally:
            self._is_draining = False
            self._arm()

    def _send_all(self) -> None:
        for data, flow in self.agent.datagrams_to_send():
            if flow.transport == "udp":
                self._send_udp(data, flow)
            else:
                self._connections.send(data, flow)
        for connection in self.agent.connections_to_close():
            self._connections.drop(connection)

    def _arm(self) -> None:
        due = self.agent.get_timer()
        if due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_due = due
        if due is not None:
            delay = max(0.0, due - self._now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _now(self) -> float:
        return self._clock.now().monotonic_ns / 1e9

    # Addresses

    def _send_udp(self, data: bytes, flow: Flow) -> None:
        if self._udp is None:
            return
        if is_address(flow.host):
            self._send_to(data, flow, (flow.host, flow.port))
            return
        task = asyncio.get_running_loop().create_task(self._resolve_and_send(data, flow))
        self._resolving.add(task)
        task.add_done_callback(self._resolving.discard)

    async def _resolve_and_send(self, data: bytes, flow: Flow) -> None:
        family = socket.AF_INET6 if ":" in self._bound[0] else socket.AF_INET
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                flow.host, flow.port, family=family, type=socket.SOCK_DGRAM
            )
        except (OSError, ValueError):  # ValueError: a host that is no name (IDNA)
            self.agent.send_failed(flow, self._now())
            self._drain()
            return
        self._send_to(data, flow, (str(found[0][4][0]), flow.port))

    def _send_to(self, data: bytes, flow: Flow, address: tuple[str, int]) -> None:
        if self._udp is None:
            return
        try:
            self._udp.sendto(data, address)
        except (OSError, ValueError):  # uvloop raises at once, for instance at an IPv6 target on an IPv4 socket
            asyncio.get_running_loop().call_soon(self._on_unsendable, flow)

    def _on_unsendable(self, flow: Flow) -> None:
        self.agent.send_failed(flow, self._now())
        self._drain()

    def _address_for(self, transport: str, remote_host: str) -> tuple[str, int]:
        """Host and port to be reached at from ``remote_host``: bound to a wildcard, that depends on the route there."""
        host, port = self._bound
        if transport == "tls" and self._tls is not None and self.tls_address is not None:
            host, port = self.tls_address
            if self._tls.name:
                return self._tls.name, port
        if self._public_host:
            return self._public_host, port
        if host not in _WILDCARDS:
            return host, port
        if remote_host not in self._local_addresses:
            if len(self._local_addresses) > 1000:
                self._local_addresses.clear()
            self._local_addresses[remote_host] = _source_address(remote_host, host)
        return self._local_addresses[remote_host], port


def _source_address(remote_host: str, wildcard: str) -> str:
    """The address packets to ``remote_host`` leave from. Connecting a UDP socket asks the routes; nothing is sent."""
    family = socket.AF_INET6 if ":" in wildcard else socket.AF_INET
    target = remote_host if is_address(remote_host) else ("2001:db8::1" if ":" in wildcard else "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "::1" if ":" in wildcard else "127.0.0.1"


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, endpoint: SipEndpoint) -> None:
        self._endpoint = endpoint

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._endpoint.on_datagram(data, addr)

    def error_received(self, exc: Exception) -> None:
        self._endpoint.on_refused()
