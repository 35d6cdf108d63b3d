"""RFC 4028, in both roles and by both methods."""

from __future__ import annotations

import pytest

from mixminus.sip.events import Answered, Confirmed, Ended, IncomingCall, Reinvited, Rejected, Updated
from mixminus.sip.message import Request, Response
from mixminus.sip.session_timer import Terms, grant, read_grant
from mixminus.sip.transport import Flow
from sip.kit import ANSWER, OFFER, End, Link, Wire, dial, pair, parse, request, talk


def invite(extra: str) -> Request:
    message = parse(request(extra=extra))
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize(
    ("extra", "wish", "terms", "header"),
    [
        ("Supported: timer", 0, None, None),
        ("Supported: timer", 1800, Terms(1800, True), "1800;refresher=uas"),
        ("Supported: timer\r\nSession-Expires: 600", 1800, Terms(600, True), "600;refresher=uas"),
        ("Supported: timer\r\nx: 600;refresher=uac", 1800, Terms(600, False), "600;refresher=uac"),
        ("Session-Expires: 600;refresher=uac", 1800, Terms(600, True), "600;refresher=uas"),
        ("Supported: timer\r\nSession-Expires: 4000\r\nMin-SE: 3000", 1800, Terms(3000, True), "3000;refresher=uas"),
        ("Session-Expires: soon", 1800, Terms(1800, True), "1800;refresher=uas"),
    ],
)
def test_what_a_callee_grants(extra: str, wish: int, terms: Terms | None, header: str | None) -> None:
    granted, headers = grant(invite(extra), wish)
    assert granted == terms
    assert dict(headers).get("Session-Expires") == header


def test_what_a_caller_reads() -> None:
    def response(value: str) -> Response:
        return Response(200, "OK", [("Session-Expires", value)])

    assert read_grant(response("300;refresher=uas")) == Terms(300, False)
    assert read_grant(response("300;refresher=uac")) == Terms(300, True)
    assert read_grant(response("never")) is None
    assert read_grant(Response(200, "OK", [])) is None


def test_too_short_an_interval_is_422_with_the_least() -> None:
    answer = Wire().put(request(extra="Supported: timer\r\nSession-Expires: 30"))[-1]
    assert isinstance(answer, Response)
    assert (answer.status, answer.header("min-se")) == (422, "90")


def timed() -> tuple[Link, End, End]:
    return pair(session_expires=600)


def test_the_callee_refreshes_by_update_and_the_call_lasts() -> None:
    link, caller, callee = timed()
    talk(link, caller, callee)
    link.run(3600)
    assert len(link.sent("UPDATE", "10.0.0.2")) == 11
    assert caller.of(Ended) == callee.of(Ended) == []
    assert caller.of(Reinvited) == []


def test_without_update_the_refresh_is_a_reinvite_with_the_same_sdp() -> None:
    link, caller, callee = timed()
    ours = dial(link, caller)
    link.run(0.1)
    theirs = callee.one(IncomingCall).call
    callee.agent._core.calls[theirs].peer_updates = False
    callee.agent.answer(theirs, ANSWER, (), link.now)
    caller.on_event = lambda e: caller.agent.accept_update(ours, OFFER, link.now) if isinstance(e, Reinvited) else None
    link.run(1000)
    assert [event.sdp for event in caller.of(Reinvited)] == [ANSWER] * 3
    assert callee.of(Updated) == []
    assert len(caller.of(Confirmed)) == 3
    assert caller.of(Ended) == []


def test_a_peer_that_vanished_is_noticed_and_the_call_ended() -> None:
    link, caller, callee = timed()
    ours, _ = talk(link, caller, callee)
    del link.ends["10.0.0.2"]
    link.run(600)
    assert caller.one(Ended) == Ended(ours, "remote", 408, "Session expired")
    assert len(link.sent("BYE", "10.0.0.1")) >= 1


def test_a_refresh_that_nobody_answers_ends_the_call() -> None:
    link, caller, callee = timed()
    _, theirs = talk(link, caller, callee)
    del link.ends["10.0.0.1"]
    link.run(600)
    assert callee.one(Ended) == Ended(theirs, "remote", 408, "Request Timeout")


def test_a_caller_told_422_asks_for_longer_once() -> None:
    link, caller, _ = timed()
    caller.agent.invite("sip:7@10.0.0.77", link.now, from_="1", sdp=OFFER)
    for minimum, expected in ((900, "900"), (900, None)):
        sent = [d for d, _ in caller.agent.datagrams_to_send() if d.startswith(b"INVITE")]
        message = parse(sent[0])
        assert isinstance(message, Request)
        lines = [f"{name}: {message.header(name.lower())}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        text = "\r\n".join(["SIP/2.0 422 X", *lines, f"Min-SE: {minimum}", "Content-Length: 0\r\n\r\n"])
        caller.agent.receive_datagram(text.encode(), Flow("udp", "10.0.0.77", 5060), link.now)
        if expected:
            assert message.header("session-expires") == "600"
    event = caller.agent.next_event()
    assert isinstance(event, Rejected) and event.status == 422


def test_a_reinvite_that_finds_no_dialog_ends_the_call() -> None:
    link, caller, callee = pair()
    ours, theirs = talk(link, caller, callee)
    callee.agent._core.close(callee.agent._core.calls[theirs])
    caller.agent.reinvite(ours, OFFER, link.now)
    link.run(1)
    assert caller.one(Ended) == Ended(ours, "remote", 481, "Call/Transaction Does Not Exist")
    assert caller.one(Answered)
