"""Malformed and odd messages: answered as the RFC says, and never a raise."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixminus.sip.message import Response
from mixminus.sip.transport import Flow
from sip.kit import Wire
from sip.torture import CASES, OPTIONS, message


@pytest.mark.parametrize(("data", "status"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_shape_is_answered_as_it_should_be(data: bytes, status: int | None) -> None:
    wire = Wire()
    statuses = wire.statuses(data)
    assert statuses[-1:] == ([] if status is None else [status])
    assert wire.statuses(message(OPTIONS, Call_ID="after", Via="SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKafter")) == [200]


def test_a_refusal_names_what_is_wrong_and_carries_a_tag() -> None:
    [answer] = Wire().put(message(CSeq="1 BYE"))
    assert isinstance(answer, Response)
    assert answer.reason.startswith("Bad Request: CSeq")
    assert answer.to.tag


@pytest.mark.parametrize("key", ["Allow", "Unsupported", "Accept"])
def test_a_refusal_says_what_would_be_taken(key: str) -> None:
    shapes = {
        "Allow": message("REFER sip:777@10.0.0.2 SIP/2.0"),
        "Unsupported": message(OPTIONS, extra="Require: foo"),
        "Accept": message(Content_Type="text/plain"),
    }
    [answer] = Wire().put(shapes[key])
    assert answer.header(key.lower())


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_bytes(data: bytes) -> None:
    wire = Wire()
    wire.put(data)
    wire.agent.receive_stream(data, Flow("tcp", "10.0.0.9", 1, 1), wire.now)
    wire.take()


@given(st.sampled_from([case[1] for case in CASES]), st.data())
@settings(max_examples=400, deadline=None)
def test_any_message_damaged_anywhere(original: bytes, data: st.DataObject) -> None:
    wire = Wire()
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, max(0, len(damaged) - 1)))
        if data.draw(st.booleans()):
            damaged[position : position + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=6))
        elif damaged:
            damaged[position] = data.draw(st.integers(0, 255))
    wire.put(bytes(damaged))
    wire.agent.receive_stream(bytes(damaged), Flow("tcp", "10.0.0.9", 1, 1), wire.now)
    wire.take()
    wire.wait(70)
    assert wire.agent.counters()["transactions"] <= 1  # an INVITE that nobody answered


_EVIL = {
    "quoted parameters and a bad tail": "Digest " + ", ".join(f'a{n}="x"' for n in range(20_000)) + ', b="',
    "backslashes": 'Digest a="' + "\\" * 40_000,
    "quotes": "Digest " + '"' * 40_001,
    "commas": "Digest " + "," * 40_000,
    "brackets": "Digest " + "<" * 40_000,
}


@pytest.mark.parametrize("name", _EVIL)
def test_no_header_takes_long(name: str) -> None:
    """The budget is a hundred times what a linear scanner needs; a quadratic or worse one exceeds it by far."""
    begun = time.process_time()
    Wire().put(message("REGISTER sip:10.0.0.2 SIP/2.0", extra=f"Authorization: {_EVIL[name]}"))
    Wire().put(message(OPTIONS, To=_EVIL[name], Contact=_EVIL[name]))
    assert time.process_time() - begun < 2.0


def test_a_long_telephone_number_takes_linear_time() -> None:
    begun = time.process_time()
    Wire().put(message(f"OPTIONS tel:{'1' * 60_000} SIP/2.0"))
    assert time.process_time() - begun < 1.0
