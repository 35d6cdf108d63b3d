from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.errors import ProtocolError
from mixminus.sip.transport import MAX_BODY, MAX_HEAD, Flow, Framer, Hop, hop_of
from mixminus.sip.uri import parse_uri
from sip.kit import Wire, request

MESSAGES = [request("OPTIONS", call_id=str(n), body=b"x" * n) for n in range(6)]


@given(st.lists(st.integers(1, 400), max_size=30))
def test_a_stream_cut_anywhere_gives_the_same_messages(cuts: list[int]) -> None:
    stream = b"\r\n\r\n".join(MESSAGES)
    framer = Framer()
    found = []
    for size in [*cuts, len(stream)]:
        found += framer.feed(stream[:size])
        stream = stream[size:]
    assert [head + b"\r\n\r\n" + body for head, body in found] == MESSAGES


def test_a_ping_is_counted_and_a_lone_line_break_passed_over() -> None:
    framer = Framer()
    assert framer.feed(b"\r\n") == [] and framer.pings == 0
    assert framer.feed(b"\r\n") == [] and framer.pings == 1
    assert len(framer.feed(b"\r\n" + MESSAGES[0])) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (MAX_HEAD + 1),
        b"\x16\x03\x01",
        b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n",
        b"A b SIP/2.0\r\nl: -1\r\n\r\n",
        f"A b SIP/2.0\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n".encode(),
    ],
)
def test_a_stream_that_cannot_be_cut_raises(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Framer().feed(data)


def test_a_broken_stream_is_closed_and_a_ping_answered() -> None:
    wire = Wire()
    flow = Flow("tcp", "10.0.0.9", 1, 5)
    wire.agent.receive_stream(b"\r\n\r\n", flow, wire.now)
    assert wire.agent.datagrams_to_send() == [(b"\r\n", flow)]
    wire.agent.receive_stream(MESSAGES[0], flow, wire.now)
    [(_, out)] = wire.agent.datagrams_to_send()
    assert out == flow
    wire.agent.receive_stream(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", flow, wire.now)
    assert wire.agent.connections_to_close() == [5]


def test_an_idle_stream_is_closed() -> None:
    wire = Wire()
    flow = Flow("tcp", "10.0.0.9", 1, 5)
    wire.agent.stream_opened(flow, wire.now)
    wire.wait(800)
    wire.agent.receive_stream(b"\r\n\r\n", flow, wire.now)
    wire.wait(800)
    assert wire.agent.connections_to_close() == []
    wire.wait(200)
    assert wire.agent.connections_to_close() == [5]


@pytest.mark.parametrize(
    ("uri", "hop"),
    [
        ("sip:a@b.example", Hop("udp", "b.example", 5060)),
        ("sip:a@[::1]:5070;transport=TCP", Hop("tcp", "::1", 5070)),
        ("sips:a@b", Hop("tls", "b", 5061)),
        ("SIPS:a@b:5071;transport=tcp", Hop("tls", "b", 5071)),
        ("sip:a@b;transport=tls", Hop("tls", "b", 5061)),
        ("sips:a@b;transport=ws", Hop("wss", "b", 443)),
        ("sip:a@b;maddr=10.0.0.1", Hop("udp", "10.0.0.1", 5060)),
    ],
)
def test_the_next_hop_of_a_uri(uri: str, hop: Hop) -> None:
    assert hop_of(parse_uri(uri)) == hop


@pytest.mark.parametrize("uri", ["tel:+1", "sip:a@b;transport=pigeon", "sips:a@b;transport=udp"])
def test_a_uri_without_a_hop(uri: str) -> None:
    with pytest.raises(ProtocolError):
        hop_of(parse_uri(uri))
