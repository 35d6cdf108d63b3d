"""Where an outgoing call goes: registered endpoint, SIP address, or trunk. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from mixminus.calls.model import HangupCause
from mixminus.settings import Trunk, split_host_port
from mixminus.sip.auth import DigestCredentials
from mixminus.sip.registrar import Binding
from mixminus.sip.transport import SECURE, Hop


class Route(msgspec.Struct, frozen=True):
    """``target`` is the request URI; ``hop`` where the packet goes when that is elsewhere."""

    target: str
    hop: Hop | None = None
    credentials: DigestCredentials | None = None


class NoRoute(msgspec.Struct, frozen=True):
    """The destination cannot be dialled; ``reason`` is for the log."""

    cause: HangupCause
    reason: str


def find_route(
    to: str, *, trunks: Sequence[Trunk], domains: frozenset[str], contacts: Callable[[str], Sequence[Binding]]
) -> Route | NoRoute:
    """The route to ``to``: a ``sip:`` address, or digits with or without ``+``.

    ``domains`` are the names under which our own endpoints are addressed; ``contacts(username)`` where one is
    registered,
    newest first.
    """
    if to.lower().startswith(("sip:", "sips:")):
        return _sip_route(to, domains, contacts)
    if not to.lstrip("+").isdigit():
        return NoRoute(HangupCause.INVALID_DESTINATION, f"{to!r} is neither a number nor a sip: address")
    return _trunk_route(to, trunks)


def _sip_route(to: str, domains: frozenset[str], contacts: Callable[[str], Sequence[Binding]]) -> Route | NoRoute:
    scheme, _, rest = to.partition(":")
    user, _, host = rest.rpartition("@")
    host = host.partition(";")[0].partition("?")[0]
    if not host:
        return NoRoute(HangupCause.INVALID_DESTINATION, f"{to!r} has no host")
    if host.lower() not in domains:
        return Route(to)
    secure = scheme.lower() == "sips"
    registered = [each for each in contacts(user) if each.hop.transport in SECURE or not secure] if user else []
    if not registered:
        how = " over TLS" if secure else ""
        return NoRoute(HangupCause.ENDPOINT_NOT_REGISTERED, f"endpoint {user!r} is not registered{how}")
    return Route(registered[0].uri, registered[0].hop)


def _trunk_route(to: str, trunks: Sequence[Trunk]) -> Route | NoRoute:
    digits = to.lstrip("+")
    trunk = next((trunk for trunk in trunks if digits.startswith(trunk.prefix.lstrip("+"))), None)
    if trunk is None:
        reason = "no [[trunk]] is configured" if not trunks else "no [[trunk]] has a prefix that fits"
        return NoRoute(HangupCause.ROUTING_ERROR, f"{to}: {reason}; add one to mixminus.toml or dial a sip: address")
    credentials = DigestCredentials(trunk.username, trunk.password, trunk.realm) if trunk.username else None
    return Route(f"sip:{to}@{trunk.address}", Hop(trunk.transport, *split_host_port(trunk.address)), credentials)
