"""Whole calls between two agents, in fair weather."""

from __future__ import annotations

import pytest

from mixminus.errors import Conflict, InvalidParameter
from mixminus.sip.events import (
    Answered,
    Cancelled,
    Confirmed,
    Ended,
    IncomingCall,
    Reinvited,
    Rejected,
    Ringing,
    Updated,
    UpdateRefused,
)
from mixminus.sip.message import Request
from sip.kit import ANSWER, OFFER, dial, pair, talk


def test_a_call_is_set_up_and_hung_up_by_the_caller() -> None:
    link, caller, callee = pair()
    ours, theirs = talk(link, caller, callee)
    incoming = callee.one(IncomingCall)
    assert (incoming.from_uri, incoming.sdp, incoming.source) == ("sip:555@10.0.0.1", OFFER, ("10.0.0.1", 5060))
    assert caller.one(Ringing) == Ringing(ours, 180, b"")
    assert caller.one(Answered).sdp == ANSWER
    assert callee.one(Confirmed) == Confirmed(theirs, b"")
    caller.agent.hangup(ours, (), link.now)
    link.run(0.1)
    assert caller.one(Ended) == Ended(ours, "local")
    assert callee.one(Ended) == Ended(theirs, "remote")


def test_the_callee_hangs_up_with_a_reason() -> None:
    link, caller, callee = pair()
    ours, theirs = talk(link, caller, callee)
    callee.agent.hangup(theirs, [("Reason", 'Q.850;cause=16;text="bye"')], link.now)
    link.run(0.1)
    assert caller.one(Ended) == Ended(ours, "remote", 16, "bye")


def test_nothing_is_kept_after_a_call() -> None:
    link, caller, callee = pair()
    ours, _ = talk(link, caller, callee)
    caller.agent.hangup(ours, (), link.now)
    link.run(64)
    for end in (caller, callee):
        assert end.agent.counters()["calls"] == 0
        assert end.agent.counters()["transactions"] == 0
        assert end.agent.get_timer() is None


def test_early_media_comes_with_183_and_stands_in_for_a_200_without_sdp() -> None:
    link, caller, callee = pair()
    dial(link, caller)
    link.run(0.1)
    callee.agent.ring(callee.one(IncomingCall).call, ANSWER, link.now)
    link.run(0.1)
    assert (caller.one(Ringing).status, caller.one(Ringing).sdp) == (183, ANSWER)


@pytest.mark.parametrize("status", [302, 404, 486, 603])
def test_a_refusal_reaches_the_caller(status: int) -> None:
    link, caller, callee = pair()
    ours = dial(link, caller)
    link.run(0.1)
    callee.agent.reject(callee.one(IncomingCall).call, status, "", [("X-PH-Why", "so")], link.now)
    link.run(0.1)
    rejected = caller.one(Rejected)
    assert (rejected.call, rejected.status) == (ours, status)
    assert ("X-PH-Why", "so") in rejected.headers


def test_a_caller_who_gives_up_cancels() -> None:
    link, caller, callee = pair()
    ours = dial(link, caller)
    link.run(0.1)
    caller.agent.hangup(ours, (), link.now)
    link.run(1)
    assert caller.one(Ended) == Ended(ours, "local")
    assert callee.one(Cancelled)
    assert len(link.sent("200 CANCEL")) == len(link.sent("487")) == 1
    assert caller.of(Rejected) == []


def test_cancel_waits_for_a_provisional() -> None:
    link, caller, callee = pair()
    ours = dial(link, caller)
    caller.agent.hangup(ours, (), link.now)
    link.flush()
    assert link.sent("CANCEL") == []
    link.run(1)
    assert len(link.sent("CANCEL")) == 1
    assert callee.one(Cancelled)


def test_an_answer_that_crosses_cancel_is_acknowledged_and_ended() -> None:
    link, caller, callee = pair()
    ours = dial(link, caller)
    link.run(0.1)
    theirs = callee.one(IncomingCall).call
    callee.agent.answer(theirs, ANSWER, (), link.now)
    caller.agent.hangup(ours, (), link.now)
    link.run(1)
    assert caller.of(Answered) == []
    assert caller.one(Ended) == Ended(ours, "local")
    assert callee.one(Ended).by == "remote"
    assert link.sent("ACK") and link.sent("BYE", "10.0.0.1")


def test_a_callee_that_hangs_up_before_the_ack_waits_for_it() -> None:
    link, caller, callee = pair()
    dial(link, caller)
    link.run(0.1)
    theirs = callee.one(IncomingCall).call
    callee.agent.answer(theirs, ANSWER, (), link.now)
    callee.agent.hangup(theirs, (), link.now)
    link.flush()
    assert link.sent("BYE") == []
    link.run(0.5)
    assert len(link.sent("BYE", "10.0.0.2")) == 1
    assert callee.one(Ended).by == "local"
    assert caller.one(Ended).by == "remote"


def test_delayed_offer() -> None:
    link, caller, callee = pair()
    dial(link, caller, sdp=b"")
    link.run(0.1)
    assert callee.one(IncomingCall).sdp == b""
    callee.agent.answer(callee.one(IncomingCall).call, OFFER, (), link.now)
    link.run(0.1)
    assert caller.one(Answered).sdp == OFFER


def test_reinvite_is_accepted_both_ways() -> None:
    link, caller, callee = pair()
    ours, theirs = talk(link, caller, callee)
    for one, handle, other, other_handle in ((caller, ours, callee, theirs), (callee, theirs, caller, ours)):
        one.agent.reinvite(handle, OFFER + b"a=sendonly\r\n", link.now)
        link.run(0.1)
        assert other.one(Reinvited) == Reinvited(other_handle, OFFER + b"a=sendonly\r\n")
        other.agent.accept_update(other_handle, ANSWER, link.now)
        link.run(0.1)
        assert one.one(Updated) == Updated(handle, ANSWER)
    assert callee.of(Confirmed) == [Confirmed(theirs, b""), Confirmed(theirs, b"")]


def test_a_refused_reinvite_leaves_the_call_alone() -> None:
    link, caller, callee = pair()
    ours, theirs = talk(link, caller, callee)
    caller.agent.reinvite(ours, OFFER, link.now)
    link.run(0.1)
    callee.agent.refuse_update(theirs, 488, link.now)
    link.run(0.1)
    assert caller.one(UpdateRefused).status == 488
    caller.agent.hangup(ours, (), link.now)
    link.run(0.1)
    assert callee.one(Ended).by == "remote"


def test_two_reinvites_that_cross_both_succeed_in_the_end() -> None:
    link, caller, callee = pair()
    ours, theirs = talk(link, caller, callee)
    caller.on_event = lambda e: caller.agent.accept_update(ours, ANSWER, link.now) if isinstance(e, Reinvited) else None
    callee.on_event = lambda e: (
        callee.agent.accept_update(theirs, ANSWER, link.now) if isinstance(e, Reinvited) else None
    )
    caller.agent.reinvite(ours, OFFER, link.now)
    callee.agent.reinvite(theirs, OFFER, link.now)
    link.run(10)
    assert len(link.sent("491")) == 2
    assert caller.one(Updated) and callee.one(Updated)


def test_a_second_reinvite_before_the_first_is_answered_is_a_conflict() -> None:
    link, caller, callee = pair()
    ours, theirs = talk(link, caller, callee)
    caller.agent.reinvite(ours, OFFER, link.now)
    with pytest.raises(Conflict):
        caller.agent.reinvite(ours, OFFER, link.now)
    with pytest.raises(Conflict):
        callee.agent.accept_update(theirs, ANSWER, link.now)


def test_custom_headers_travel_and_cannot_forge() -> None:
    link, caller, callee = pair()
    caller.agent.invite(
        "sip:7@10.0.0.2", link.now, from_="+15551234", display_name='A "B"', sdp=OFFER, headers=[("X-PH-Order", "7")]
    )
    link.run(0.1)
    incoming = callee.one(IncomingCall)
    assert ("X-PH-Order", "7") in incoming.headers
    assert (incoming.from_display, incoming.from_uri) == ('A "B"', "sip:+15551234@10.0.0.1:5060")
    for bad in ([("X-A", "1\r\nVia: x")], [("Via", "x")], [("X A", "1")]):
        with pytest.raises(InvalidParameter, match="headers"):
            caller.agent.invite("sip:7@10.0.0.2", link.now, from_="1", sdp=OFFER, headers=bad)


@pytest.mark.parametrize("target", ["alice", "http://x", "sip:a@b c", "sip:", "sip:a@b\r\nX: y", "tel:", "sip:a@b?X=y"])
def test_a_target_that_cannot_be_called_is_named(target: str) -> None:
    link, caller, _ = pair()
    with pytest.raises(InvalidParameter, match="to:"):
        dial(link, caller, target=target)


def test_tcp_carries_a_call_over_one_stream() -> None:
    link, caller, callee = pair()
    link.transport = "tcp"
    ours = caller.agent.invite("sip:777@10.0.0.2;transport=tcp", link.now, from_="1", sdp=OFFER)
    link.run(0.1)
    assert callee.one(IncomingCall).transport == "tcp"
    callee.agent.answer(callee.one(IncomingCall).call, ANSWER, (), link.now)
    link.run(0.1)
    assert caller.one(Answered)
    caller.agent.hangup(ours, (), link.now)
    link.run(0.1)
    assert callee.one(Ended).by == "remote"


def test_a_request_too_large_for_a_datagram_takes_tcp_and_falls_back() -> None:
    link, caller, _ = pair()
    caller.agent.invite("sip:7@10.0.0.2", link.now, from_="1", sdp=OFFER, headers=[("X-PH-Long", "x" * 1300)])
    [(data, flow)] = caller.agent.datagrams_to_send()
    assert flow.transport == "tcp" and b"Via: SIP/2.0/TCP" in data
    caller.agent.send_failed(flow, link.now)
    [(data, flow)] = caller.agent.datagrams_to_send()
    assert flow.transport == "udp" and b"Via: SIP/2.0/UDP" in data
    assert caller.agent.next_event() is None


def test_a_broken_transport_rejects_with_503() -> None:
    link, caller, _ = pair()
    caller.agent.invite("sip:7@10.0.0.2;transport=tcp", link.now, from_="1", sdp=OFFER)
    [(_, flow)] = caller.agent.datagrams_to_send()
    caller.agent.send_failed(flow, link.now)
    event = caller.agent.next_event()
    assert isinstance(event, Rejected) and event.status == 503


def test_requests_inside_a_call_go_to_the_remote_target_by_the_route() -> None:
    link, caller, callee = pair()
    ours, _ = talk(link, caller, callee)
    caller.agent.hangup(ours, (), link.now)
    link.flush()
    bye = next(m for _, _, m in link.wire if isinstance(m, Request) and m.method == "BYE")
    assert bye.uri == "sip:mixminus@10.0.0.2:5060"
    assert bye.cseq.number == 2
