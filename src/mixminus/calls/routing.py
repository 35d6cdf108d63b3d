"""Where an outgoing call goes: registered endpoint, SIP address, or trunk. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from mixminus.calls.model import HangupCause
from mixminus.settings import Trunk, split_host_port


class Route(msgspec.Struct, frozen=True):
    """``target`` is the request URI; ``next_hop`` where the packet goes when that is elsewhere."""

    target: str
    next_hop: tuple[str, int] | None = None
    transport: str = "udp"
    username: str = ""
    password: str = ""
    realm: str = ""


class NoRoute(msgspec.Struct, frozen=True):
    """The destination cannot be dialled; ``reason`` is for the log."""

    cause: HangupCause
    reason: str


def find_route(
    to: str, *, trunks: Sequence[Trunk], domains: frozenset[str], contacts: Callable[[str], Sequence[str]]
) -> Route | NoRoute:
    """The route to ``to``: a ``sip:`` address, or digits with or without ``+``.

    ``domains`` are the names under which our own endpoints are addressed; ``contacts(username)`` where one is registered,
    newest first.
    """
    if to.lower().startswith(("sip:", "sips:")):
        return _sip_route(to, domains, contacts)
    if not to.lstrip("+").isdigit():
        return NoRoute(HangupCause.INVALID_DESTINATION, f"{to!r} is neither a number nor a sip: address")
    return _trunk_route(to, trunks, domains)


def _sip_route(to: str, domains: frozenset[str], contacts: Callable[[str], Sequence[str]]) -> Route | NoRoute:
    user, _, host = to.partition(":")[2].rpartition("@")
    host = host.partition(";")[0].partition("?")[0]
    if not host:
        return NoRoute(HangupCause.INVALID_DESTINATION, f"{to!r} has no host")
    registered = contacts(user) if user else ()
    if registered and host.lower() in domains:
        return Route(registered[0])
    if host.lower() in domains:
        return NoRoute(HangupCause.ENDPOINT_NOT_REGISTERED, f"endpoint {user!r} is not registered")
    return Route(to)


def _trunk_route(to: str, trunks: Sequence[Trunk], domains: frozenset[str]) -> Route | NoRoute:
    digits = to.lstrip("+")
    trunk = next((trunk for trunk in trunks if digits.startswith(trunk.prefix.lstrip("+"))), None)
    if trunk is None:
        reason = "no [[trunk]] is configured" if not trunks else "no [[trunk]] has a prefix that fits"
        return NoRoute(HangupCause.ROUTING_ERROR, f"{to}: {reason}; add one to mixminus.toml or dial a sip: address")
    return Route(
        f"sip:{to}@{trunk.address}",
        next_hop=split_host_port(trunk.address),
        transport=trunk.transport,
        username=trunk.username,
        password=trunk.password,
        realm=trunk.realm,
    )
