from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mixminus.errors import ProtocolError
from mixminus.rtp.packet import RtpHeader, parse_headers, parse_packet

SPARE = 1500


Bytes = NDArray[np.uint8]


def batch(packets: list[bytes]) -> tuple[Bytes, NDArray[np.int32]]:
    """As the receive loop leaves them: what lies behind a datagram is garbage of an earlier one."""
    data = np.full((len(packets), SPARE), 0xEE, np.uint8)
    for row, packet in enumerate(packets):
        data[row, : len(packet)] = np.frombuffer(packet, np.uint8)
    return data, np.array([len(packet) for packet in packets], np.int32)


def test_a_header_survives_packing_and_parsing() -> None:
    header = RtpHeader(101, 65535, 0xFFFFFFFF, 0xDEADBEEF, marker=True)
    assert parse_packet(header.pack() + b"abc") == (header, b"abc")


def test_sequence_and_timestamp_wrap_when_packed() -> None:
    header, _ = parse_packet(RtpHeader(0, 65536 + 7, (1 << 32) + 9, 1).pack())
    assert (header.sequence, header.timestamp) == (7, 9)


def test_sources_extension_and_padding_are_taken_off() -> None:
    plain = RtpHeader(0, 1, 2, 3).pack()
    sources = b"\x01\x02\x03\x04" * 2
    extension = struct.pack(">HH", 0xBEDE, 1) + b"abcd"
    packet = bytes([0x80 | 0x20 | 0x10 | 2]) + plain[1:] + sources + extension + b"payload" + b"\0\0\3"
    assert parse_packet(packet)[1] == b"payload"
    headers = parse_headers(*batch([packet]))
    assert (headers.offset[0], headers.size[0]) == (12 + 8 + 8, 7)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "a header alone"),
        (b"\x80" * 11, "a header alone"),
        (b"\x00" * 12, "version 0"),
        (b"\x9f" + b"\0" * 11, "extension"),
        (b"\x8f" + b"\0" * 20, "cannot hold"),
        (b"\xa0" + b"\0" * 11 + b"xx\0", "cannot hold"),
        (b"\xa0" + b"\0" * 11 + b"xx\4", "cannot hold"),
        (b"\x90" + b"\0" * 11 + b"\xbe\xde\0\2abcd", "cannot hold"),
    ],
)
def test_what_is_malformed_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        parse_packet(data)


def test_rtcp_on_the_same_port_is_neither_valid_nor_malformed() -> None:
    headers = parse_headers(*batch([b"\x80\xc8" + b"\0" * 26, b"\x80\xbf" + b"\0" * 26]))
    assert headers.rtcp.tolist() == [True, False]
    assert headers.valid.tolist() == [False, True]


first_bytes = st.one_of(
    st.just(b"\x80"), st.integers(0x80, 0xBF).map(lambda first: bytes([first])), st.binary(max_size=1)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.builds(bytes.__add__, first_bytes, st.binary(max_size=60)), min_size=1, max_size=8))
def test_a_batch_is_parsed_as_its_packets_are_one_by_one(packets: list[bytes]) -> None:
    data, length = batch(packets)
    headers = parse_headers(data, length)
    for row, packet in enumerate(packets):
        try:
            header, payload = parse_packet(packet)
        except ProtocolError:
            assert not headers.valid[row]
            continue
        if 192 <= packet[1] <= 223:
            assert headers.rtcp[row]
            assert not headers.valid[row]
            continue
        assert headers.valid[row]
        found = RtpHeader(
            int(headers.payload_type[row]),
            int(headers.sequence[row]),
            int(headers.timestamp[row]),
            int(headers.ssrc[row]),
            bool(headers.marker[row]),
        )
        assert found == header
        begin = headers.offset[row]
        assert data[row, begin : begin + headers.size[row]].tobytes() == payload
