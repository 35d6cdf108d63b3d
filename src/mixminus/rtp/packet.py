"""RTP headers (RFC 3550 §5.1): one at a time as a value, and a whole batch as arrays."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import ProtocolError

HEADER_BYTES = 12
VERSION_2 = 0x80

HEADER_LAYOUT = np.dtype(
    [("first", "u1"), ("second", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")],
)
"""The fixed header as a 12-byte record; ``first`` holds V, P, X, CC and ``second`` M, PT."""


@dataclass(frozen=True, slots=True)
class RtpHeader:
    """The fixed header, without what frames the payload (padding, extension, contributing sources)."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    marker: bool = False

    def pack(self) -> bytes:
        """12 bytes; sequence and timestamp wrap (16 and 32 bits)."""
        return struct.pack(
            ">BBHII",
            VERSION_2,
            self.marker << 7 | self.payload_type,
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFFFFFF,
            self.ssrc,
        )


def parse_packet(data: bytes) -> tuple[RtpHeader, bytes]:
    """Header and payload of one RTP datagram.

    Raises:
        ProtocolError: not version 2, or shorter than its own header, extension or padding says.
    """
    if len(data) < HEADER_BYTES:
        raise ProtocolError(f"RTP packet of {len(data)} bytes: a header alone has {HEADER_BYTES}")
    first, second, sequence, timestamp, ssrc = struct.unpack_from(">BBHII", data)
    if first >> 6 != 2:
        raise ProtocolError(f"RTP version {first >> 6}: only 2 is known")
    begin = HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < begin + 4:
            raise ProtocolError("RTP packet ends inside its header extension")
        begin += 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4])
    padding = data[-1] if first & 0x20 else 0
    if begin + padding > len(data) or (first & 0x20 and padding == 0):
        raise ProtocolError(f"RTP packet of {len(data)} bytes cannot hold {begin} of header and {padding} of padding")
    header = RtpHeader(second & 0x7F, sequence, timestamp, ssrc, bool(second & 0x80))
    return header, data[begin : len(data) - padding]


class HeaderBatch(NamedTuple):
    """Headers of P datagrams; all fields (P,). Rows that are not ``valid`` hold nothing of meaning."""

    valid: NDArray[np.bool_]
    """Well-formed RTP. RTCP on the same port is not valid."""
    rtcp: NDArray[np.bool_]
    """Looks like RTCP (RFC 5761 §4), so not malformed either."""
    marker: NDArray[np.bool_]
    payload_type: NDArray[np.uint8]
    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    ssrc: NDArray[np.uint32]
    offset: NDArray[np.int32]
    """Bytes before the payload: 12 unless there are contributing sources or an extension."""
    size: NDArray[np.int32]
    """Bytes of payload, padding taken off."""


def parse_headers(data: NDArray[np.uint8], length: NDArray[np.int32]) -> HeaderBatch:
    """Parse P datagrams at once.

    Args:
        data: (P, N) uint8, N at least 12; bytes past a datagram's length may be anything.
        length: (P,) int32 bytes, at most N.
    """
    fixed = np.ascontiguousarray(data[:, :HEADER_BYTES]).view(HEADER_LAYOUT)[:, 0]
    first = fixed["first"]
    second = fixed["second"]
    offset = np.full(length.size, HEADER_BYTES, np.int32)
    end = length
    valid = (length >= HEADER_BYTES) & (first >> 6 == 2)
    if ((first != VERSION_2) & valid).any():
        offset, end = _variable_parts(data, length, first)
        valid &= offset <= end
    rtcp = valid & (second >= 192) & (second <= 223)
    return HeaderBatch(
        valid=valid & ~rtcp,
        rtcp=rtcp,
        marker=second >= 128,
        payload_type=second & np.uint8(0x7F),
        sequence=fixed["sequence"].astype(np.uint16),
        timestamp=fixed["timestamp"].astype(np.uint32),
        ssrc=fixed["ssrc"].astype(np.uint32),
        offset=offset,
        size=end - offset,
    )


def _variable_parts(
    data: NDArray[np.uint8], length: NDArray[np.int32], first: NDArray[np.uint8]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Where each payload begins and ends; a begin past the end marks a datagram that lies about itself."""
    rows = np.arange(length.size)
    offset = HEADER_BYTES + 4 * (first & 0x0F).astype(np.int32)
    extended = (first & 0x10) != 0
    at = np.minimum(offset, data.shape[1] - 4)
    words = data[rows, at + 2].astype(np.int32) << 8 | data[rows, at + 3]
    offset += np.where(extended, 4 + 4 * words, 0).astype(np.int32)
    padded = (first & 0x20) != 0
    last = data[rows, np.maximum(length - 1, 0)].astype(np.int32)
    # Padding counts its own length byte, so 0 is as wrong as too much.
    padding = np.where(padded, np.where(last == 0, length + 1, last), 0).astype(np.int32)
    return offset, length - padding
