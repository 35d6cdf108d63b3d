"""Where calls go: endpoints, addresses, trunks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mixminus.calls.model import HangupCause
from mixminus.calls.routing import NoRoute, Route, find_route
from mixminus.settings import Trunk
from mixminus.sip.auth import DigestCredentials
from mixminus.sip.registrar import Binding
from mixminus.sip.transport import Hop

UDP = Binding("sip:alice@10.0.0.9:5070", Hop("udp", "10.0.0.9", 5070), 60.0)
TLS = Binding("sip:alice@10.0.0.8;transport=tls", Hop("tls", "10.0.0.8", 4000, 7, True), 60.0)
TRUNKS = (
    Trunk(name="us", address="us.carrier.test:5061", transport="tls", prefix="+1", username="me", password="secret"),
    Trunk(name="rest", address="carrier.test:5060"),
)


def route(to: str, registered: Sequence[Binding] = (UDP, TLS), trunks: Sequence[Trunk] = TRUNKS) -> Route | NoRoute:
    domains = frozenset({"pbx.test", "pbx.test:5061"})
    return find_route(to, trunks=trunks, domains=domains, contacts=lambda user: registered if user == "alice" else ())


def cause(found: Route | NoRoute) -> HangupCause:
    assert isinstance(found, NoRoute) and found.reason
    return found.cause


def test_an_endpoint_is_called_where_it_registered_last() -> None:
    assert route("sip:alice@PBX.test") == Route(UDP.uri, UDP.hop)
    assert cause(route("sip:bob@pbx.test")) == HangupCause.ENDPOINT_NOT_REGISTERED


def test_by_sips_an_endpoint_is_called_over_tls_or_not_at_all() -> None:
    assert route("sips:alice@pbx.test:5061") == Route(TLS.uri, TLS.hop)
    assert cause(route("sips:alice@pbx.test", [UDP])) == HangupCause.ENDPOINT_NOT_REGISTERED


@pytest.mark.parametrize("address", ["sip:carol@10.0.0.1:5080", "sips:carol@elsewhere.test;transport=tcp"])
def test_another_address_is_dialled_as_it_is(address: str) -> None:
    assert route(address) == Route(address)


def test_numbers_go_to_the_first_trunk_whose_prefix_fits() -> None:
    credentials = DigestCredentials("me", "secret", "")
    assert route("+14155550100") == Route(
        "sip:+14155550100@us.carrier.test:5061", Hop("tls", "us.carrier.test", 5061), credentials
    )
    assert route("4930123") == Route("sip:4930123@carrier.test:5060", Hop("udp", "carrier.test", 5060))


def test_what_cannot_be_dialled() -> None:
    assert cause(route("alice")) == HangupCause.INVALID_DESTINATION
    assert cause(route("100", trunks=())) == HangupCause.ROUTING_ERROR
    assert cause(route("44", trunks=TRUNKS[:1])) == HangupCause.ROUTING_ERROR
