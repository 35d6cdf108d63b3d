"""What a stranger may send into a call, by hand."""

from __future__ import annotations

import pytest

from mixminus.sip.dtmf_info import read_key
from mixminus.sip.events import Cancelled, Confirmed, DtmfInfo, Ended, IncomingCall, Reinvited
from mixminus.sip.message import Response
from mixminus.sip.transport import Flow
from sip.kit import ANSWER, OFFER, Wire, request


class InCall(Wire):
    """A call from 10.0.0.9, answered and acknowledged."""

    def __init__(self, *, offer: bytes = OFFER, ack: bool = True) -> None:
        super().__init__()
        self.put(request(body=offer, extra="Allow: INVITE, UPDATE"))
        [incoming] = [e for e in self.events if isinstance(e, IncomingCall)]
        self.call = incoming.call
        self.agent.answer(self.call, ANSWER, (), self.now)
        [answer] = self.take()
        self.tag = answer.to.tag
        self.count = 1
        if ack:
            self.inside("ACK", cseq=1)

    def inside(self, method: str, *, cseq: int = 0, body: bytes = b"", extra: str = "") -> list[int]:
        self.count += 1
        data = request(
            method, cseq=cseq or self.count, branch=f"z9hG4bKin{self.count}", to_tag=self.tag, extra=extra, body=body
        )
        return self.statuses(data)


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", ("5", 160)),
        ("application/dtmf-relay", b"Signal= * \nDuration= x\n", ("*", 0)),
        ("application/dtmf-relay", b"signal=11", ("#", 0)),
        ("application/dtmf", b"d", ("D", 0)),
        ("application/dtmf", b"55", None),
        ("application/dtmf-relay", b"\xff\x00", None),
    ],
)
def test_keys_by_info(kind: str, body: bytes, key: tuple[str, int] | None) -> None:
    assert read_key(kind, body) == key
    wire = InCall()
    data = request("INFO", cseq=2, branch="z9hG4bKinfo", to_tag=wire.tag, body=body)
    statuses = wire.statuses(data.replace(b"application/sdp", kind.encode()))
    assert statuses == [200 if key else 400]
    assert [e for e in wire.events if isinstance(e, DtmfInfo)] == ([DtmfInfo(wire.call, *key)] if key else [])


def test_info_of_another_kind_is_415() -> None:
    assert InCall().inside("INFO", body=b"hello") == [415]


def test_options_inside_and_outside_a_call() -> None:
    wire = InCall()
    assert wire.inside("OPTIONS") == [200]
    [answer] = wire.put(request("OPTIONS", branch="z9hG4bKo", call_id="other"))
    assert isinstance(answer, Response)
    assert (answer.status, answer.header("accept"), answer.header("supported")) == (200, "application/sdp", "timer")
    assert "INVITE" in (answer.header("allow") or "")


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "INVITE", "OPTIONS"])
def test_a_request_into_no_call_is_481(method: str) -> None:
    assert Wire().statuses(request(method, to_tag="nobody"))[-1] == 481


def test_update_without_sdp_is_answered_and_with_sdp_asked_about() -> None:
    wire = InCall()
    assert wire.inside("UPDATE") == [200]
    assert wire.inside("UPDATE", body=OFFER) == []
    assert wire.events[-1] == Reinvited(wire.call, OFFER)
    wire.agent.accept_update(wire.call, ANSWER, wire.now)
    [answer] = wire.take()
    assert answer.sdp == ANSWER


def test_an_update_left_unanswered_does_not_block_the_call() -> None:
    wire = InCall()
    wire.inside("UPDATE", body=OFFER)
    wire.wait(33)
    assert wire.inside("INVITE", body=OFFER) == [100]
    assert wire.events[-1] == Reinvited(wire.call, OFFER)


def test_a_second_offer_before_the_first_is_answered_is_500_with_retry_after() -> None:
    wire = InCall()
    assert wire.inside("INVITE", body=OFFER) == [100]
    assert wire.inside("INVITE", body=OFFER) == [100, 500]


def test_an_offer_while_ours_is_under_way_is_491() -> None:
    wire = InCall()
    wire.agent.reinvite(wire.call, OFFER, wire.now)
    wire.take()
    assert wire.inside("INVITE", body=OFFER) == [100, 491]
    assert wire.inside("UPDATE", body=OFFER) == [491]


def test_a_delayed_offer_is_answered_in_the_ack() -> None:
    wire = InCall(offer=b"", ack=False)
    wire.inside("ACK", cseq=1, body=OFFER)
    assert wire.events[-1] == Confirmed(wire.call, OFFER)


def test_an_old_cseq_is_refused() -> None:
    wire = InCall()
    assert wire.inside("INFO", cseq=10) == [200]
    assert wire.inside("INFO", cseq=9) == [500]


def test_cancel_of_a_ringing_call() -> None:
    wire = Wire()
    wire.put(request())
    answers = wire.put(request("CANCEL", extra='Reason: SIP;cause=200;text="Call completed elsewhere"'))
    assert [(m.status, m.cseq.method) for m in answers if isinstance(m, Response)] == [(200, "CANCEL"), (487, "INVITE")]
    assert isinstance(wire.events[-1], Cancelled)
    assert wire.events[-1].reason == "Call completed elsewhere"
    assert wire.statuses(request("ACK", to_tag=answers[1].to.tag)) == []
    wire.wait(10)
    assert wire.agent.counters()["calls"] == 0


def test_cancel_after_the_200_is_answered_and_changes_nothing() -> None:
    wire = InCall(ack=False)
    assert wire.statuses(request("CANCEL")) == [200]
    assert not [e for e in wire.events if isinstance(e, Cancelled | Ended)]
    assert wire.statuses(request("CANCEL", branch="z9hG4bKnone")) == [481]


def test_bye_before_the_answer_and_before_the_ack() -> None:
    wire = Wire()
    wire.put(request())
    call = wire.events[0]
    assert isinstance(call, IncomingCall)
    wire.agent.ring(call.call, None, wire.now)
    [ringing] = wire.take()
    assert wire.statuses(request("BYE", cseq=2, branch="z9hG4bKb", to_tag=ringing.to.tag)) == [200, 487]
    assert isinstance(wire.events[-1], Cancelled)

    answered = InCall(ack=False)
    assert answered.inside("BYE") == [200]
    assert answered.events[-1] == Ended(answered.call, "remote")
    assert answered.wait(40) == []


def test_the_same_request_by_two_ways_is_482() -> None:
    wire = Wire()
    assert wire.statuses(request(branch="z9hG4bKa")) == [100]
    assert wire.statuses(request(branch="z9hG4bKb")) == [482]


def test_our_own_request_come_back_is_482() -> None:
    wire = Wire()
    wire.agent.invite("sip:7@10.0.0.9", wire.now, from_="1", sdp=OFFER)
    [(invite, _)] = wire.agent.datagrams_to_send()
    assert wire.statuses(invite) == [482]


def test_answers_go_to_rport_or_to_the_port_of_via() -> None:
    wire = Wire()
    for via, port in (("SIP/2.0/UDP 10.0.0.9:5070;rport", 40000), ("SIP/2.0/UDP 10.0.0.9:5070", 5070)):
        wire.agent.receive_datagram(
            request("OPTIONS", via=via, branch=f"z9hG4bK{port}", call_id=str(port)),
            Flow("udp", "203.0.113.5", 40000),
            wire.now,
        )
        [(data, flow)] = wire.agent.datagrams_to_send()
        assert (flow.host, flow.port) == ("203.0.113.5", port)
        assert b";received=203.0.113.5" in data


def test_record_route_makes_the_route_of_later_requests() -> None:
    wire = Wire()
    wire.put(request(extra="Record-Route: <sip:p2@10.0.0.8;lr>\r\nRecord-Route: <sip:p1@10.0.0.7;lr>"))
    incoming = wire.events[0]
    assert isinstance(incoming, IncomingCall)
    wire.agent.answer(incoming.call, ANSWER, (), wire.now)
    [answer] = wire.take()
    assert answer.raw("record-route") == ["<sip:p2@10.0.0.8;lr>", "<sip:p1@10.0.0.7;lr>"]
    wire.put(request("ACK", to_tag=answer.to.tag, branch="z9hG4bKack"))
    wire.agent.hangup(incoming.call, (), wire.now)
    [(data, flow)] = wire.agent.datagrams_to_send()
    assert flow.host == "10.0.0.8"
    assert data.startswith(b"BYE sip:555@10.0.0.9 SIP/2.0\r\n")
    assert data.index(b"Route: <sip:p2@10.0.0.8;lr>") < data.index(b"Route: <sip:p1@10.0.0.7;lr>")
