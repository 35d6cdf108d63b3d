from __future__ import annotations

import pytest

from mixminus.sip.auth import DigestCredentials, authorization, parse_digest
from mixminus.sip.events import (
    Answered,
    IncomingCall,
    Registered,
    RegistrationFailed,
    RegistrationSucceeded,
    Unregistered,
)
from mixminus.sip.message import Response
from mixminus.sip.transport import Flow, Hop
from sip.kit import ANSWER, OFFER, Wire, pair, request

ALICE = DigestCredentials("alice", "open sesame")
URI = "sip:test"
HOP = Hop("udp", "10.0.0.2", 5060)


class Phone:
    """Registers by hand, with credentials."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.cseq = 0

    def register(
        self, *headers: str, to: str = "alice", credentials: DigestCredentials = ALICE, flow: Flow | None = None
    ) -> Response:
        challenge = self._send(headers, to, flow)
        assert challenge.status == 401
        value = authorization(
            parse_digest(challenge.need("www-authenticate")),
            credentials,
            "REGISTER",
            URI,
            cnonce=str(self.cseq),
            count=1,
        )
        return self._send((*headers, f"Authorization: {value}"), to, flow)

    def _send(self, headers: tuple[str, ...], to: str, flow: Flow | None) -> Response:
        self.cseq += 1
        data = request("REGISTER", uri=URI, cseq=self.cseq, branch=f"z9hG4bK{self.cseq}", extra="\r\n".join(headers))
        data = data.replace(b"To: <sip:test>", f"To: <sip:{to}@test>".encode())
        if any(header.startswith("Contact") for header in headers):
            data = data.replace(b"Contact: <sip:555@10.0.0.9>\r\n", b"")
        [answer] = self.wire.put(data, flow)
        assert isinstance(answer, Response)
        return answer

    def contacts(self) -> list[str]:
        return [binding.uri for binding in self.wire.agent.contacts("alice", self.wire.now)]


def test_a_binding_is_made_refreshed_and_runs_out() -> None:
    phone = Phone()
    answer = phone.register("Expires: 100")
    assert answer.status == 200
    assert answer.raw("contact") == ["<sip:555@10.0.0.9>;expires=100"]
    assert phone.wire.events == [Registered("alice", "sip:555@10.0.0.9", 100)]
    phone.wire.wait(60)
    phone.register("Expires: 100")
    phone.wire.wait(99)
    assert phone.contacts() == ["sip:555@10.0.0.9"]
    phone.wire.wait(2)
    assert phone.contacts() == []
    assert phone.wire.events[-1] == Unregistered("alice", "sip:555@10.0.0.9")


def test_a_binding_is_removed_by_expires_0_and_all_by_a_star() -> None:
    phone = Phone()
    phone.register("Contact: <sip:a@10.0.0.9>, <sip:b@10.0.0.9:5070>;expires=300")
    assert set(phone.contacts()) == {"sip:a@10.0.0.9", "sip:b@10.0.0.9:5070"}
    phone.register("Contact: <sip:a@10.0.0.9>;expires=0")
    assert phone.contacts() == ["sip:b@10.0.0.9:5070"]
    phone.register("Contact: *", "Expires: 0")
    assert phone.contacts() == []
    assert phone.wire.events[-1] == Unregistered("alice", "sip:b@10.0.0.9:5070")


def test_asking_changes_nothing() -> None:
    phone = Phone()
    phone.register("Contact: <sip:a@10.0.0.9>")
    events = list(phone.wire.events)
    phone.cseq += 1
    answer = phone.register("Contact:")
    assert answer.raw("contact") == ["<sip:a@10.0.0.9>;expires=3600"]
    assert phone.wire.events == events


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (("Contact: *",), 400),
        (("Contact: *, <sip:a@b>", "Expires: 0"), 400),
        (("Contact: <tel:+1>",), 400),
        (("Contact: <sip:a@10.0.0.9>;expires=5",), 423),
        ((f"Contact: {', '.join(f'<sip:{n}@10.0.0.9>' for n in range(20))}",), 403),
    ],
)
def test_what_cannot_be_registered(headers: tuple[str, ...], status: int) -> None:
    phone = Phone()
    assert phone.register(*headers).status == status
    assert phone.contacts() == []


def test_nobody_registers_for_somebody_else() -> None:
    phone = Phone()
    assert phone.register(to="bob").status == 403
    assert phone.register(credentials=DigestCredentials("alice", "wrong")).status == 401


def test_an_older_cseq_is_refused() -> None:
    phone = Phone()
    phone.cseq = 10
    phone.register()
    phone.cseq = 4
    phone.wire.wait(40)
    assert phone.register().status == 500


def test_a_phone_behind_a_nat_is_reached_where_it_came_from() -> None:
    phone = Phone()
    phone.register(flow=Flow("udp", "203.0.113.5", 40000))
    [binding] = phone.wire.agent.contacts("alice", phone.wire.now)
    assert binding.hop == ("udp", "203.0.113.5", 40000, 0, True)


def test_a_binding_over_a_stream_dies_with_it() -> None:
    phone = Phone()
    flow = Flow("tcp", "10.0.0.9", 40000, 7)
    phone.register(flow=flow)
    [binding] = phone.wire.agent.contacts("alice", phone.wire.now)
    assert binding.hop.connection == 7
    phone.wire.agent.stream_closed(flow, phone.wire.now)
    assert phone.contacts() == []


def test_our_own_registration_is_kept_refreshed_and_can_be_called() -> None:
    link, phone, server = pair()
    phone.agent.register("sip:alice@test", link.now, credentials=ALICE, route=HOP, expires=120)
    link.run(1)
    assert phone.one(RegistrationSucceeded) == RegistrationSucceeded("sip:alice@test", 120)
    link.run(500)
    assert len(phone.of(RegistrationSucceeded)) == 6
    [binding] = server.agent.contacts("alice", link.now)
    server.agent.invite(binding.uri, link.now, from_="555", sdp=OFFER, route=binding.hop)
    link.run(0.1)
    phone.agent.answer(phone.one(IncomingCall).call, ANSWER, (), link.now)
    link.run(0.1)
    assert server.one(Answered)
    phone.agent.unregister("sip:alice@test", link.now)
    link.run(1)
    assert server.agent.contacts("alice", link.now) == []
    assert server.of(Unregistered)


def test_a_refused_registration_is_reported_and_tried_again() -> None:
    link, phone, _ = pair()
    phone.agent.register("sip:alice@test", link.now, credentials=DigestCredentials("alice", "no"), route=HOP)
    link.run(1)
    assert phone.one(RegistrationFailed).status == 401
    link.run(61)
    assert len(phone.of(RegistrationFailed)) == 2
