from __future__ import annotations

import pytest

from mixminus.errors import ProtocolError
from mixminus.sip import grammar
from mixminus.sip.message import CSeq, Request, Response, parse_cseq, parse_via, respond
from mixminus.sip.uri import format_host_port, format_name_addr, parse_name_addr, parse_uri
from sip.kit import OFFER, parse, request


def test_a_request_is_read_and_written_back() -> None:
    message = parse(request(extra="X-PH-Order: 7"))
    assert isinstance(message, Request)
    assert (message.method, message.uri, message.cseq, message.call_id) == (
        "INVITE",
        "sip:777@10.0.0.2",
        CSeq(1, "INVITE"),
        "c1",
    )
    assert message.from_.tag == "f1"
    assert message.sdp == OFFER
    written = Request("INVITE", message.uri, [h for h in message.headers if h[0] != "Content-Length"], OFFER)
    assert parse(written.to_bytes()).headers == message.headers


def test_compact_folded_and_repeated_headers() -> None:
    message = parse(
        b"OPTIONS sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP a;branch=1\r\nVia: SIP/2.0/UDP b, SIP/2.0/UDP c\r\n"
        b'm: <sip:a,c@b>,\r\n\t"D, E" <sip:d@e>;q=0.5\r\nSupported:\r\n\r\n'
    )
    assert message.values("via") == ["SIP/2.0/UDP a;branch=1", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    assert [contact.display for contact in message.contacts] == ["", "D, E"]
    assert message.contacts[1].parameters == {"q": "0.5"}
    assert message.values("supported") == []
    assert message.defect == ""


def test_equal_single_character_headers_are_still_two() -> None:
    message = parse(b"OPTIONS sip:a@b SIP/2.0\r\nMax-Forwards: 7\r\nMax-Forwards: 7\r\n\r\n")
    assert message.raw("max-forwards") == ["7", "7"]


def test_lines_that_end_in_lf_alone_are_read() -> None:
    message = parse(b"OPTIONS sip:a@b SIP/2.0\nCall-ID: x\n\nbody")
    assert (message.call_id, message.body) == ("x", b"body")


def test_a_body_is_cut_to_its_length() -> None:
    assert parse(b"OPTIONS sip:a@b SIP/2.0\r\nl: 2\r\n\r\nabcd").body == b"ab"


def test_bytes_that_are_not_utf8_survive() -> None:
    data = b"OPTIONS sip:a@b SIP/2.0\r\nSubject: \xff\xfe\r\nContent-Length: 0\r\n\r\n"
    message = parse(data)
    message.headers.pop()
    assert message.to_bytes() == data


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 20 OK\r\n\r\n", b"SIP/2.0 999 X\r\n\r\n", b"\xff" * 50]
)
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(data)


def test_a_response_copies_what_it_must() -> None:
    message = parse(request(extra="Via: SIP/2.0/UDP p;branch=2"))
    assert isinstance(message, Request)
    answer = parse(respond(message, 486, to_tag="t", headers=[("Retry-After", "5")]).to_bytes())
    assert isinstance(answer, Response)
    assert (answer.status, answer.reason, answer.to.tag) == (486, "Busy Here", "t")
    assert answer.raw("via") == message.raw("via")
    assert "tag" not in (respond(message, 100, to_tag="t").header("to") or "")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("SIP/2.0/UDP a.b", "a.b", None),
        ("SIP / 2.0 / TCP  [::1]:5060 ; branch = z", "::1", 5060),
        ("sip/2.0/udp my_host:1;rport", "my_host", 1),
    ],
)
def test_vias(text: str, host: str, port: int | None) -> None:
    via = parse_via(text)
    assert (via.host, via.port) == (host, port)


@pytest.mark.parametrize(
    "text", ["", "SIP/2.0/UDP", "SIP/3.0/UDP a", "HTTP/2.0/UDP a", "SIP/2.0/UDP a:x", "SIP/2.0/ a"]
)
def test_what_is_no_via(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_via(text)


@pytest.mark.parametrize("text", ["", "1", "INVITE 1", "-1 INVITE", "2147483648 INVITE", "1 INVITE x", "\u0661 INVITE"])
def test_what_is_no_cseq(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_cseq(text)


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("sip:alice@example.com", "alice", "example.com", None),
        ("SIP:a%20b:pw@[2001:db8::1]:5070;transport=tcp?X=y", "a b", "2001:db8::1", 5070),
        ("sip:example.com", "", "example.com", None),
        ("sip:user;par=u%40e@host", "user;par=u@e", "host", None),
        ("tel:+1-201-555-0123;phone-context=x", "+1-201-555-0123", "", None),
    ],
)
def test_uris(text: str, user: str, host: str, port: int | None) -> None:
    uri = parse_uri(text)
    assert (uri.user, uri.host, uri.port, str(uri)) == (user, host, port, text)


@pytest.mark.parametrize(
    "text", ["", "sip", "sip:", "sip:@h", "sip:a@b c", "sip:a@[::1", "sip:a@b:", "tel:x", "a b:c", "x:"]
)
def test_what_is_no_uri(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_uri(text)


def test_names_and_addresses() -> None:
    address = parse_name_addr('"A \\"B\\" <x>" <sip:a@b;lr>;tag=1;lr')
    assert (address.display, address.uri.raw, address.tag) == ('A "B" <x>', "sip:a@b;lr", "1")
    assert parse_name_addr("sip:a@b;tag=2").tag == "2"
    assert parse_name_addr("Bob Smith <sip:a@b>").display == "Bob Smith"
    written = format_name_addr("sip:a@b", 'A "B\\', "t")
    assert parse_name_addr(written).display == 'A "B\\'
    assert format_host_port("::1", 5060) == "[::1]:5060"


@pytest.mark.parametrize("text", ['"a', '"a" sip:a@b', "<sip:a@b", "<sip:a@b> x", "a,b <sip:a@b>", "sip:a@b?X=y", ""])
def test_what_is_no_name_addr(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_name_addr(text)


def test_lists_and_parameters() -> None:
    assert grammar.split_list('"a,b" <c,d>, e,') == ['"a,b" <c,d>', "e", ""]
    assert grammar.parse_parameters(';A=1; b = "x;\\"y" ;lr;a=2') == {"a": "1", "b": 'x;"y', "lr": None}
    for bad in ('a="x', 'a="x"y', "=1"):
        with pytest.raises(ProtocolError):
            grammar.parse_parameters(bad)
