from __future__ import annotations

import pytest

from mixminus.errors import ProtocolError
from mixminus.sip.auth import (
    NONCE_LIFETIME,
    DigestCredentials,
    DigestServer,
    authorization,
    choose_challenge,
    digest_response,
    parse_digest,
)
from mixminus.sip.events import Answered, Ended, IncomingCall, Rejected
from mixminus.sip.message import Request, Response
from sip.kit import ACCOUNTS, ANSWER, OFFER, Wire, pair, parse, request

ALICE = DigestCredentials("alice", "open sesame")


def password_of(username: str) -> str | None:
    account = ACCOUNTS.get(username)
    return account.password if account else None


def answer(server: DigestServer, *, now: float = 0.0, credentials: DigestCredentials = ALICE, count: int = 1) -> str:
    challenge = choose_challenge(server.challenges(now), credentials)
    assert challenge is not None
    return authorization(challenge, credentials, "REGISTER", "sip:test", cnonce="c", count=count)


def test_the_example_of_rfc_2617() -> None:
    parameters = parse_digest(
        'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b"'
    )
    assert digest_response(parameters, "Mufasa", "Circle Of Life", "GET") == "6629fae49393a05397450978507c4ef1"


def test_the_example_of_rfc_7616() -> None:
    parameters = {
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": "SHA-256",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "qop": "auth",
    }
    expected = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    assert digest_response(parameters, "Mufasa", "Circle of Life", "GET") == expected


@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256",), ("SHA-256", "MD5")])
def test_what_the_client_answers_the_server_accepts(algorithms: tuple[str, ...]) -> None:
    server = DigestServer("test", "secret", algorithms)
    verdict = server.judge([answer(server)], "REGISTER", "sip:test", password_of, 1.0)
    assert verdict == ("accepted", "alice")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (("open", "close"), "accepted"),
        (('username="alice"', 'username="bob"'), "refused"),
        (('uri="sip:test"', 'uri="sip:other"'), "refused"),
        (('realm="test"', 'realm="other"'), "missing"),
        (('nonce="', 'nonce="1'), "stale"),
        (("nc=00000001", "nc=00000002"), "refused"),
        (("algorithm=MD5", "algorithm=MD4"), "refused"),
        (('response="', 'response="\u00e9'), "refused"),
        (("Digest ", "Basic "), "missing"),
    ],
)
def test_anything_changed_is_refused(change: tuple[str, str], outcome: str) -> None:
    server = DigestServer("test", "secret")
    value = answer(server).replace(*change)
    assert server.judge([value], "REGISTER", "sip:test", password_of, 1.0).outcome == outcome


def test_an_old_nonce_is_stale_and_a_wrong_password_refused() -> None:
    server = DigestServer("test", "secret")
    value = answer(server)
    assert server.judge([value], "REGISTER", "sip:test", password_of, NONCE_LIFETIME + 1).outcome == "stale"
    wrong = answer(server, credentials=DigestCredentials("alice", "open barley"))
    assert server.judge([wrong], "REGISTER", "sip:test", password_of, 1.0).outcome == "refused"
    nobody = answer(server, credentials=DigestCredentials("mallory", ""))
    assert server.judge([nobody], "REGISTER", "sip:test", password_of, 1.0).outcome == "refused"
    assert "stale=true" in server.challenges(0.0, stale=True)[0]


def test_an_answer_cannot_be_played_again() -> None:
    server = DigestServer("test", "secret")
    value = answer(server)
    assert server.judge([value], "REGISTER", "sip:test", password_of, 1.0).outcome == "accepted"
    assert server.judge([value], "REGISTER", "sip:test", password_of, 1.0).outcome == "stale"
    assert server.judge([answer(server, count=2)], "REGISTER", "sip:test", password_of, 1.0).outcome == "accepted"


def test_the_first_challenge_that_can_be_answered_is_chosen() -> None:
    challenges = [
        "Bearer x",
        'Digest realm="a", nonce="1", algorithm=FANCY-512',
        'Digest realm="a", nonce="2", qop="auth-int"',
        'Digest realm="b", nonce="3", qop="auth-int, auth", algorithm=SHA-256',
        'Digest realm="b", nonce="4"',
    ]
    chosen = choose_challenge(challenges, ALICE)
    assert chosen is not None and chosen["nonce"] == "3"
    assert choose_challenge(challenges, DigestCredentials("a", "b", realm="c")) is None


def test_a_password_is_not_shown() -> None:
    assert "sesame" not in repr(ALICE)


def test_another_scheme_is_not_digest() -> None:
    with pytest.raises(ProtocolError, match="not Digest"):
        parse_digest("Basic YTpi")


def test_a_known_user_must_prove_itself_and_a_number_need_not() -> None:
    link, caller, callee = pair()
    ours = caller.agent.invite("sip:7@10.0.0.2", link.now, from_="sip:alice@test", sdp=OFFER, credentials=ALICE)
    link.run(1)
    assert callee.one(IncomingCall).account == "alice"
    assert len(link.sent("407")) == 1
    callee.agent.answer(callee.one(IncomingCall).call, ANSWER, (), link.now)
    link.run(0.1)
    assert caller.one(Answered).call == ours
    callee.agent.hangup(callee.one(IncomingCall).call, (), link.now)
    link.run(1)
    assert caller.one(Ended).by == "remote"


@pytest.mark.parametrize("credentials", [None, DigestCredentials("alice", "wrong")])
def test_without_the_right_password_there_is_no_call(credentials: DigestCredentials | None) -> None:
    link, caller, callee = pair()
    caller.agent.invite("sip:7@10.0.0.2", link.now, from_="sip:alice@test", sdp=OFFER, credentials=credentials)
    link.run(2)
    assert caller.one(Rejected).status == 407
    assert callee.of(IncomingCall) == []
    assert len(link.sent("INVITE")) <= 2


def test_a_challenge_of_ours_leaves_nothing_behind() -> None:
    wire = Wire()
    data = request(extra="X: y").replace(b"<sip:555@10.0.0.9>;tag", b"<sip:alice@test>;tag")
    [challenge] = wire.put(data)
    assert isinstance(challenge, Response) and challenge.status == 407
    assert wire.put(data)[0].header("to") == challenge.header("to")
    assert wire.agent.counters()["transactions"] == 0


def test_a_stale_nonce_inside_a_call_is_answered_with_the_fresh_one() -> None:
    """BYE challenged by a proxy, twice: once afresh, once as stale."""
    link, caller, callee = pair()
    ours = caller.agent.invite("sip:7@10.0.0.2", link.now, from_="sip:alice@test", sdp=OFFER, credentials=ALICE)
    link.run(1)
    callee.agent.answer(callee.one(IncomingCall).call, ANSWER, (), link.now)
    link.run(1)
    caller.agent.hangup(ours, (), link.now)
    seen = []
    for nonce, stale in (("n1", "false"), ("n2", "true"), ("n2", "false")):
        [(data, flow)] = [(d, f) for d, f in caller.agent.datagrams_to_send() if d.startswith(b"BYE")]
        bye = _request(data)
        seen.append(bye.cseq.number)
        lines = [f"{name}: {bye.header(name.lower())}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        challenge = f'Proxy-Authenticate: Digest realm="proxy", nonce="{nonce}", qop="auth", stale={stale}'
        text = "\r\n".join(["SIP/2.0 407 X", *lines, challenge, "Content-Length: 0\r\n\r\n"])
        caller.agent.receive_datagram(text.encode(), flow, link.now)
    assert caller.agent.datagrams_to_send() == []
    assert seen == [3, 4, 5]


def _request(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message
