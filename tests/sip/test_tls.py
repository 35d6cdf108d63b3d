"""SIP over TLS: real sockets on loopback, certificates made here."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mixminus.errors import InvalidParameter
from mixminus.intercept.authority import Authority
from mixminus.sip.auth import DigestCredentials
from mixminus.sip.check import Refusal
from mixminus.sip.dialog import dialog_of_request, dialog_of_response
from mixminus.sip.endpoint import TlsListener
from mixminus.sip.events import Answered, Confirmed, Ended, IncomingCall, Registered, Reinvited, Rejected, Updated
from mixminus.sip.message import Request, Response, respond
from mixminus.sip.registrar import Change, Registrar
from mixminus.sip.transport import Flow, Hop
from sip.kit import ANSWER, OFFER, Wire, make_agent, parse, request
from sip.test_endpoint import Side, sides

NOW = datetime.now(UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.open(tmp_path, NOW)


def trust(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.pem.decode())


def listener(authority: Authority, *names: str) -> TlsListener:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue(names or ("localhost", "127.0.0.1"), NOW))
    return TlsListener("127.0.0.1", 0, context, names[0] if names else "")


@asynccontextmanager
async def secure_sides(authority: Authority, name: str = "localhost") -> AsyncIterator[tuple[Side, Side, int]]:
    """A caller, a callee, and the callee's TLS port."""
    async with sides(trust=trust(authority), tls=listener(authority, name)) as (caller, callee):
        assert callee.endpoint.tls_address is not None
        yield caller, callee, callee.endpoint.tls_address[1]


@pytest.mark.parametrize("uri", ["sips:7@localhost:{port}", "sip:7@localhost:{port};transport=tls"])
async def test_a_call_over_tls_with_a_change_from_either_side(authority: Authority, uri: str) -> None:
    async with secure_sides(authority) as (caller, callee, port):
        callee.answer_all()
        call = caller.endpoint.invite(uri.format(port=port), from_="555", sdp=OFFER)
        answered = await caller.next(Answered)
        incoming = await callee.next(IncomingCall)
        assert isinstance(answered, Answered) and isinstance(incoming, IncomingCall)
        assert incoming.transport == "tls"
        scheme, suffix = ("sips", "") if uri.startswith("sips") else ("sip", ";transport=tls")
        assert dict(answered.headers)["Contact"] == f"<{scheme}:mixminus@localhost:{port}{suffix}>"
        await callee.next(Confirmed)
        for one, other in ((caller, callee), (callee, caller)):
            one.endpoint.reinvite(call if one is caller else incoming.call, OFFER)
            await other.next(Reinvited)
            other.endpoint.accept_update(call if other is caller else incoming.call, ANSWER)
            await one.next(Updated)
            await other.next(Confirmed)
        callee.endpoint.hangup(incoming.call)
        ended = await caller.next(Ended)
        assert isinstance(ended, Ended) and ended.by == "remote"
        assert callee.endpoint.counters()["connections"] == 1


async def test_a_registration_over_tls_is_called_on_its_own_connection(authority: Authority) -> None:
    async with secure_sides(authority) as (phone, server, port):
        phone.answer_all()
        login = DigestCredentials("alice", "open sesame")
        phone.endpoint.register(f"sips:alice@localhost:{port}", credentials=login)
        await server.next(Registered)
        [binding] = server.endpoint.contacts("alice")
        assert binding.hop.connection and binding.hop.transport == "tls" and binding.uri.startswith("sips:")
        server.endpoint.invite(binding.uri, from_="555", sdp=OFFER, route=binding.hop)
        await server.next(Answered)
        assert server.endpoint.counters()["connections"] == 1


@pytest.mark.parametrize("problem", ["another name", "an unknown authority", "no TLS at all"])
async def test_who_cannot_prove_its_name_is_not_called(authority: Authority, tmp_path: Path, problem: str) -> None:
    name = "elsewhere.test" if problem == "another name" else "localhost"
    async with secure_sides(authority, name) as (_, callee, port):
        trusted = authority if problem != "an unknown authority" else Authority.open(tmp_path / "other", NOW)
        async with sides(1, trust=trust(trusted)) as (caller,):
            target = callee.port if problem == "no TLS at all" else port
            caller.endpoint.invite(f"sips:7@localhost:{target}", from_="555", sdp=OFFER)
            rejected = await caller.next(Rejected)
            assert isinstance(rejected, Rejected) and rejected.status == 503
        assert callee.queue.empty()


async def test_a_caller_on_tls_is_not_found_by_its_address(authority: Authority) -> None:
    """Only who was called by name has proved it: a request elsewhere never rides on a connection that came in."""
    async with secure_sides(authority) as (caller, callee, port):
        callee.answer_all()
        caller.endpoint.invite(f"sips:7@localhost:{port}", from_="555", sdp=OFFER)
        incoming = await callee.next(IncomingCall)
        assert isinstance(incoming, IncomingCall)
        host, peer_port = incoming.source
        callee.endpoint.invite(f"sips:8@{host}:{peer_port}", from_="555", sdp=OFFER)
        rejected = await callee.next(Rejected)
        assert isinstance(rejected, Rejected) and rejected.status == 503


async def test_plain_text_on_the_tls_port_is_cut_off(authority: Authority) -> None:
    async with secure_sides(authority) as (_, callee, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("OPTIONS"))
        async with asyncio.timeout(10):
            assert b"SIP/2.0" not in await reader.read()
        writer.close()
        assert callee.endpoint.counters()["connections"] == 0


# -- sips URIs, without sockets

CONTACT = b"Contact: <sip:555@10.0.0.9>"


def invite(contact: bytes = CONTACT, **fields: str) -> Request:
    message = parse(request("INVITE", **fields).replace(CONTACT, contact))  # type: ignore[arg-type]
    assert isinstance(message, Request)
    return message


def test_sips_is_refused_where_nobody_listens_for_it() -> None:
    wire = Wire()
    answers = wire.put(request("INVITE", uri="sips:7@test"))
    assert [message.status for message in answers if isinstance(message, Response)] == [100, 480]
    assert answers[-1].header("warning") == '380 mixminus "SIPS Not Allowed"'
    assert wire.events == []


def test_a_dialog_made_by_sips_stays_on_tls_whatever_the_contact_says() -> None:
    asked = invite(b"Contact: <sip:a@10.0.0.9:5070;transport=tcp>", uri="sips:7@test")
    dialog = dialog_of_request(asked, Flow("udp", "10.0.0.9", 5060), "tag")
    assert dialog.secure and dialog.hop() == Hop("tls", "10.0.0.9", 5070)
    answer = respond(asked, 200, to_tag="t", headers=[("Contact", "<sip:b@10.0.0.8>")])
    assert dialog_of_response(asked, answer, Hop("tls", "test", 5061)).hop() == Hop("tls", "10.0.0.8", 5061)


def test_a_contact_or_record_route_of_sips_makes_the_dialog_secure_too() -> None:
    flow = Flow("udp", "10.0.0.9", 5060)
    proxied = invite(b"Record-Route: <sips:proxy.test;lr>, <sip:a.test;lr>\r\n" + CONTACT)
    unproxied = invite(b"Record-Route: <sip:proxy.test;lr>\r\nContact: <sips:555@10.0.0.9>")
    assert dialog_of_request(proxied, flow, "tag").secure
    assert dialog_of_request(invite(b"Contact: <sips:555@10.0.0.9>"), flow, "tag").secure
    assert not dialog_of_request(unproxied, flow, "tag").secure
    assert not dialog_of_request(invite(), flow, "tag").secure


def test_a_sips_uri_is_never_routed_over_anything_but_tls() -> None:
    agent = make_agent("10.0.0.2")
    with pytest.raises(InvalidParameter, match="sips"):
        agent.invite("sips:7@test", 0.0, from_="555", sdp=OFFER, route=Hop("tcp", "10.0.0.9", 5060))
    agent.invite("sips:7@test", 0.0, from_="555", sdp=OFFER, route=Hop("tls", "10.0.0.9", 5061))
    [(data, flow)] = agent.datagrams_to_send()
    assert flow == Flow("tls", "10.0.0.9", 5061)
    assert b"Via: SIP/2.0/TLS 10.0.0.2:5060;" in data and b"Contact: <sips:" in data


def test_a_sips_contact_is_bound_by_a_sips_request_only() -> None:
    registrar, flow = Registrar(), Flow("tls", "10.0.0.9", 4000, 3)
    bound = {}
    for uri in ("sip:test", "sips:test"):
        asked = parse(request("REGISTER", uri=uri, call_id=uri).replace(CONTACT, b"Contact: <sips:alice@10.0.0.9>"))
        assert isinstance(asked, Request)
        bound[uri] = registrar.register(asked, "alice", flow, 0.0)
    refusal = bound["sip:test"]
    assert isinstance(refusal, Refusal) and refusal.status == 400
    assert bound["sips:test"] == [Change("alice", "sips:alice@10.0.0.9", 3600)]
