"""Which addresses a customer's URL may lead to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether ``address`` (IP literal, scope allowed) is unicast on the open Internet.

    An IPv4 address that hides in an IPv6 one (mapped, 6to4, NAT64, Teredo) is judged itself.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = _inner(parsed) if isinstance(parsed, IPv6Address) else None
    judged = parsed if inner is None else inner
    return judged.is_global and not judged.is_multicast


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour
