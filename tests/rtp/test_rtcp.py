"""RTCP against the RFC's own examples, the E-model's published points, and garbage."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.errors import ProtocolError
from mixminus.rtp.rtcp import (
    Block,
    Report,
    extend,
    fraction_lost,
    middle,
    mos,
    ntp_time,
    pack_compound,
    parse_compound,
    r_factor,
    round_trip_ms,
)

WORD = st.integers(0, 0xFFFFFFFF)


@given(ssrc=WORD, ntp=st.none() | st.integers(0, (1 << 64) - 1), name=st.text(max_size=40), data=st.data())
def test_what_is_packed_is_read_again(ssrc: int, ntp: int | None, name: str, data: st.DataObject) -> None:
    blocks = tuple(
        Block(*data.draw(st.tuples(WORD, st.integers(0, 255).map(lambda n: n / 256))), *rest)
        for rest in data.draw(st.lists(st.tuples(st.integers(-0x800000, 0x7FFFFF), WORD, WORD, WORD, WORD), max_size=3))
    )
    counts = {} if ntp is None else {"timestamp": 7, "packets": 8, "octets": 9}
    report = Report(ssrc, blocks, ntp, **counts)
    packet = pack_compound(report, name, goodbye=True)
    assert len(packet) % 4 == 0
    assert parse_compound(packet) == (report,)


def test_a_report_lies_on_the_wire_as_the_rfc_draws_it() -> None:
    report = Report(0x01020304, (Block(0x0A0B0C0D, 0.25, -2, 0x00010002, 3, 4, 5),), 1 << 32, 6, 7, 8)
    packet = pack_compound(report, "ab")
    assert packet[:52].hex() == (
        "81c8000c" "01020304" "0000000100000000" "00000006" "00000007" "00000008"
        "0a0b0c0d" "40fffffe" "00010002" "00000003" "00000004" "00000005"
    )  # fmt: skip
    assert packet[52:].hex() == "81ca0003010203040102616200000000"


def test_round_trip_is_that_of_the_example_in_the_rfc() -> None:
    """RFC 3550 figure 2: received 0xb710:8000, last report 0xb705:2000, delay 0x0005:4000: 6.125 s."""
    block = Block(1, 0, 0, 0, 0, last_report=0xB705_2000, delay=0x0005_4000)
    assert round_trip_ms(block, 0xB710_8000 << 16) == 6125
    assert round_trip_ms(Block(1, 0, 0, 0, 0), 5 << 32) is None
    assert round_trip_ms(Block(1, 0, 0, 0, 0, last_report=9), 0) is None


def test_ntp_time_counts_seconds_in_the_upper_half() -> None:
    assert ntp_time(1_500_000_000) == 1 << 32 | 1 << 31
    assert middle(ntp_time(1_500_000_000)) == 1 << 16 | 1 << 15


@given(st.binary(max_size=120))
def test_garbage_is_refused_or_read_never_more(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        parse_compound(data)


@pytest.mark.parametrize("cut", [1, 3, 5, 27, 40])
def test_a_cut_packet_is_refused(cut: int) -> None:
    packet = pack_compound(Report(1, (Block(2, 0, 0, 0, 0),), 5), "name")
    with pytest.raises(ProtocolError, match="RTCP"):
        parse_compound(packet[:cut])


def test_more_blocks_than_bytes_are_refused() -> None:
    packet = bytearray(pack_compound(Report(1), "name"))
    packet[0] |= 3
    with pytest.raises(ProtocolError, match="3 report blocks"):
        parse_compound(bytes(packet))


def test_rating_and_score_are_those_of_the_recommendation() -> None:
    assert r_factor(0, 0) == pytest.approx(93.2)
    assert mos(93.2) == pytest.approx(4.41, abs=0.01)
    assert mos(70) == pytest.approx(3.60, abs=0.01)
    assert mos(50) == pytest.approx(2.58, abs=0.01)
    assert mos(-5) == 1.0
    assert r_factor(0.05, 0) == pytest.approx(93.2 - 95 * 5 / 30.1)
    assert r_factor(0, 300) < r_factor(0, 150) < r_factor(0, 20)
    scores = [mos(r_factor(loss / 100, 50)) for loss in range(30)]
    assert scores == sorted(scores, reverse=True)


def test_wraps_and_shares() -> None:
    assert extend(65530, 3) == 65539
    assert extend(65539, 65530) == 65530
    assert (fraction_lost(100, 95), fraction_lost(100, 110), fraction_lost(0, 0)) == (0.05, 0.0, 0.0)
