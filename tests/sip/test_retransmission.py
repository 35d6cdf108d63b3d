"""Loss, copies and late packets: each rule that other stacks break."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mixminus.sip.events import Answered, Ended, IncomingCall, Registered, Rejected, Ringing
from mixminus.sip.message import Message, Request, Response
from mixminus.sip.transport import Flow
from sip.kit import ANSWER, Wire, dial, pair, request, talk


def first_of(what: str, times: int = 1) -> Callable[[Request | Response], bool]:
    """Drop the first ``times`` messages of that name."""
    left = [times]

    def drop(message: Request | Response) -> bool:
        name = message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"
        if name != what or not left[0]:
            return False
        left[0] -= 1
        return True

    return drop


@pytest.mark.parametrize("lost", ["INVITE", "100 INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_call_survives_the_loss_of_any_message(lost: str, times: int) -> None:
    link, caller, callee = pair()
    link.drop = first_of(lost, times)
    dial(link, caller)
    link.run(8)
    theirs = callee.one(IncomingCall).call
    callee.agent.ring(theirs, None, link.now)
    link.run(0.5)
    callee.agent.answer(theirs, ANSWER, (), link.now)
    link.run(8)
    ours = caller.one(Answered).call
    caller.agent.hangup(ours, (), link.now)
    link.run(40)
    assert callee.one(Ended) == Ended(theirs, "remote")
    assert caller.one(Ended) == Ended(ours, "local")
    assert caller.agent.counters()["transactions"] == callee.agent.counters()["transactions"] == 0


@pytest.mark.parametrize("seed", range(12))
def test_calls_succeed_in_bad_weather(seed: int) -> None:
    link, caller, callee = pair(seed=seed, loss=0.25, copies=0.2, delay=(0.0, 0.3))  # type: ignore[arg-type]

    def pick_up(event: object) -> None:
        if isinstance(event, IncomingCall):
            callee.agent.ring(event.call, None, link.now)
            callee.agent.answer(event.call, ANSWER, (), link.now)

    callee.on_event = pick_up
    for _ in range(5):
        dial(link, caller)
    link.run(40)
    assert len(callee.of(IncomingCall)) == 5
    assert len(caller.of(Answered)) == 5
    for answered in caller.of(Answered):
        caller.agent.hangup(answered.call, (), link.now)
    link.run(80)
    assert sorted(e.call for e in callee.of(Ended)) == sorted(e.call for e in callee.of(IncomingCall))
    assert all(e.by == "remote" for e in callee.of(Ended))
    assert caller.agent.counters()["transactions"] == callee.agent.counters()["transactions"] == 0


def test_a_copy_of_the_invite_gets_the_last_response_and_makes_no_second_call() -> None:
    wire = Wire()
    assert wire.statuses(request()) == [100]
    call = wire.events[0].call  # type: ignore[union-attr]
    assert wire.statuses(request()) == [100]
    wire.agent.ring(call, None, wire.now)
    wire.take()
    [ringing] = wire.put(request())
    wire.agent.answer(call, ANSWER, (), wire.now)
    wire.take()
    [answer] = wire.put(request())
    assert isinstance(ringing, Response) and isinstance(answer, Response)
    assert (ringing.status, answer.status) == (180, 200)
    assert ringing.to.tag == answer.to.tag
    assert [type(e) for e in wire.events] == [IncomingCall]


@pytest.mark.parametrize("method", ["OPTIONS", "BYE", "REGISTER", "INFO", "UPDATE"])
def test_a_copy_of_a_request_gets_the_same_bytes(method: str) -> None:
    wire = Wire()
    once = wire.put(request(method, to_tag="" if method in ("OPTIONS", "REGISTER") else "x"))
    again = wire.put(request(method, to_tag="" if method in ("OPTIONS", "REGISTER") else "x"))
    assert len(once) == 1
    assert [without_nonce(m) for m in once] == [without_nonce(m) for m in again]


def without_nonce(message: Message) -> list[tuple[str, str]]:
    return [header for header in message.headers if header[0] != "WWW-Authenticate"]


def test_the_200_is_sent_until_the_ack_and_then_the_call_is_dropped() -> None:
    link, caller, callee = pair()
    link.drop = lambda message: isinstance(message, Request) and message.method == "ACK"
    _, theirs = talk(link, caller, callee)
    link.run(40)
    assert len(link.sent("200 INVITE")) == 11
    assert callee.one(Ended) == Ended(theirs, "remote", 408, "No ACK")
    assert len(link.sent("BYE", "10.0.0.2")) == 1
    assert caller.one(Ended).by == "remote"


def test_a_ringing_call_rings_as_long_as_it_likes() -> None:
    link, caller, callee = pair()
    dial(link, caller)
    link.run(0.1)
    callee.agent.ring(callee.one(IncomingCall).call, None, link.now)
    link.run(600)
    assert caller.of(Rejected) == []
    callee.agent.answer(callee.one(IncomingCall).call, ANSWER, (), link.now)
    link.run(1)
    assert caller.one(Answered)


def test_nobody_there_is_408_after_32_seconds() -> None:
    link, caller, _ = pair()
    ours = dial(link, caller, target="sip:7@10.0.0.77")
    link.run(31.9)
    assert caller.events == []
    link.run(0.2)
    assert caller.one(Rejected) == Rejected(ours, 408, "Request Timeout", caller.one(Rejected).headers)
    assert len(link.sent("INVITE")) == 7


def test_a_copy_of_the_200_is_acknowledged_again_with_the_same_bytes() -> None:
    link, caller, callee = pair(copies=1.0)
    talk(link, caller, callee)
    acks = [m.to_bytes() for _, _, m in link.wire if isinstance(m, Request) and m.method == "ACK"]
    assert len(acks) >= 2
    assert len(set(acks)) == 1
    assert caller.one(Answered)


def test_of_a_forked_invite_the_first_200_wins_and_the_other_is_ended() -> None:
    link, caller, _ = pair()
    dial(link, caller, target="sip:7@10.0.0.77")
    [(data, _)] = caller.agent.datagrams_to_send()
    invite = data.decode()
    via = invite.split("Via: ")[1].split("\r\n")[0]
    field = {line.partition(": ")[0]: line.partition(": ")[2] for line in invite.split("\r\n")}

    def response(status: int, tag: str, host: str) -> bytes:
        return (
            f"SIP/2.0 {status} X\r\nVia: {via}\r\nFrom: {field['From']}\r\nTo: {field['To']};tag={tag}\r\n"
            f"Call-ID: {field['Call-ID']}\r\nCSeq: 1 INVITE\r\nContact: <sip:x@{host}>\r\nContent-Length: 0\r\n\r\n"
        ).encode()

    flow = Flow("udp", "10.0.0.77", 5060)
    for data in (response(180, "a", "10.0.0.3"), response(183, "b", "10.0.0.4"), response(200, "b", "10.0.0.4")):
        caller.agent.receive_datagram(data, flow, link.now)
    assert [(f.host, d[:3]) for d, f in caller.agent.datagrams_to_send()] == [("10.0.0.4", b"ACK")]
    caller.agent.receive_datagram(response(200, "a", "10.0.0.3"), flow, link.now)
    assert [(f.host, d[:3]) for d, f in caller.agent.datagrams_to_send()] == [
        ("10.0.0.3", b"ACK"),
        ("10.0.0.3", b"BYE"),
    ]
    link.flush()
    assert len(caller.of(Ringing)) == 2
    assert caller.one(Answered)
    assert caller.of(Ended) == []


def test_a_lost_487_is_sent_again() -> None:
    link, caller, callee = pair()
    link.drop = first_of("487 INVITE", 2)
    ours = dial(link, caller)
    link.run(0.1)
    caller.agent.hangup(ours, (), link.now)
    link.run(40)
    assert len(link.sent("487")) == 3
    assert callee.agent.counters()["transactions"] == 0


def test_cancel_unanswered_is_given_up_after_32_seconds() -> None:
    link, caller, _ = pair()
    ours = dial(link, caller)
    link.run(0.1)
    del link.ends["10.0.0.2"]
    caller.agent.hangup(ours, (), link.now)
    link.run(40)
    assert caller.agent.counters()["calls"] == caller.agent.counters()["transactions"] == 0


def test_tables_are_bounded_and_what_is_dropped_is_counted() -> None:
    wire = Wire(max_transactions=10)
    for number in range(50):
        wire.put(request("OPTIONS", branch=f"z9hG4bK{number}", call_id=f"c{number}"))
    assert wire.agent.counters()["transactions"] == 10
    assert wire.agent.counters()["dropped: server transactions full"] == 40


def test_a_flood_of_unauthenticated_requests_keeps_no_state() -> None:
    wire = Wire()
    for number in range(200):
        data = request("REGISTER", branch=f"z9hG4bK{number}", call_id=f"c{number}", uri="sip:alice@test")
        assert wire.statuses(data) == [401]
    assert wire.agent.counters()["transactions"] == 0
    assert not any(isinstance(e, Registered) for e in wire.events)
