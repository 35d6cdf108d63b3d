"""Datagrams as arrays: what the socket shell hands to the engine each tick, and what it gets back.

Addresses are raw socket addresses in the layout of Linux, whatever the machine: ``sockaddr_in`` (16 bytes: family 2 as
two bytes in little-endian order, port and address in network order) or ``sockaddr_in6`` (28 bytes: family 10), zero
padded to 32.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import MediaError
from mixminus.media.protocol import Address

MAX_DATAGRAM = 1500
"""Bytes kept of a received datagram; a longer one is cut and so fails to parse as the audio it claims to be."""
ADDRESS_BYTES = 32
FAMILY_IPV4 = 2
FAMILY_IPV6 = 10
LENGTH_IPV4 = 16
LENGTH_IPV6 = 28

Bytes = NDArray[np.uint8]
Int32s = NDArray[np.int32]


class PacketBatch:
    """Received datagrams; arrays are preallocated and reused by the shell, only the first ``count`` rows are valid.

    Attributes:
        data: (P, 1500) uint8.
        length: (P,) int32, bytes.
        address: (P, 32) uint8, raw sender address.
        port: (P,) int32, index (not number) of the local port in the pool on which it came.
    """

    def __init__(self, size: int) -> None:
        self.data: Bytes = np.zeros((size, MAX_DATAGRAM), np.uint8)
        self.length: Int32s = np.zeros(size, np.int32)
        self.address: Bytes = np.zeros((size, ADDRESS_BYTES), np.uint8)
        self.port: Int32s = np.zeros(size, np.int32)
        self.count = 0

    def append(self, data: bytes, address: Bytes, port: int) -> bool:
        """Add one datagram (portable receive loop, tests); False if the batch is full."""
        row = self.count
        if row == self.length.size:
            return False
        kept = data[:MAX_DATAGRAM]
        self.data[row, : len(kept)] = np.frombuffer(kept, np.uint8)
        self.length[row] = len(kept)
        self.address[row] = address
        self.port[row] = port
        self.count = row + 1
        return True


class DatagramBatch:
    """Datagrams to send; owned by the engine and valid until its next tick.

    Datagram ``d`` is ``header[d]`` followed by ``payload[payload_row[d], :payload_length[d]]``: listeners of one mix
    share a payload row, so a scatter-gather send needs no copy.

    Attributes:
        header: (D, 12) uint8, each listener's own RTP header.
        payload_row: (D,) int32.
        payload: (Q, 160) uint8, encoded frames and telephone events.
        payload_length: (D,) int32, bytes.
        address: (D, 32) uint8; address_length: (D,) int32, 16 or 28.
        port: (D,) int32, index of the local port in the pool.
        listening: indices of the local ports that have a leg, rising; another tuple when they may be others.
    """

    def __init__(self, size: int, payload: Bytes) -> None:
        self.header: Bytes = np.zeros((size, 12), np.uint8)
        self.payload_row: Int32s = np.zeros(size, np.int32)
        self.payload = payload
        self.payload_length: Int32s = np.zeros(size, np.int32)
        self.address: Bytes = np.zeros((size, ADDRESS_BYTES), np.uint8)
        self.address_length: Int32s = np.zeros(size, np.int32)
        self.port: Int32s = np.zeros(size, np.int32)
        self.listening: tuple[int, ...] = ()
        self.count = 0

    def datagram(self, index: int) -> bytes:
        """Datagram ``index`` in one piece, copied (portable send loop, tests)."""
        payload: Bytes = self.payload[self.payload_row[index], : self.payload_length[index]]
        header: Bytes = self.header[index]
        return header.tobytes() + payload.tobytes()


def parse_host(host: str) -> IPv4Address | IPv6Address:
    """A literal IP address; IPv4-mapped IPv6 becomes IPv4.

    Raises:
        MediaError: ``host`` is a name or malformed.
    """
    try:
        parsed = ip_address(host)
    except ValueError:
        raise MediaError(f"address {host!r} is not a literal IP address: resolve the name first") from None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def pack_address(address: Address) -> Bytes:
    """(32,) uint8 raw socket address of a literal host and a UDP port (1..65535).

    Raises:
        MediaError: not a literal address, or the port is out of range.
    """
    host, port = address
    if not 0 < port < 65536:
        raise MediaError(f"address {host}:{port}: the port must be 1 to 65535")
    parsed = parse_host(host)
    raw = np.zeros(ADDRESS_BYTES, np.uint8)
    raw[2:4] = (port >> 8, port & 255)
    if isinstance(parsed, IPv4Address):
        raw[0] = FAMILY_IPV4
        raw[4:8] = np.frombuffer(parsed.packed, np.uint8)
    else:
        raw[0] = FAMILY_IPV6
        raw[8:24] = np.frombuffer(parsed.packed, np.uint8)
    return raw


def unpack_address(raw: Bytes) -> Address:
    """Host and UDP port of a raw socket address ((32,) uint8)."""
    port = int(raw[2]) << 8 | int(raw[3])
    if raw[0] == FAMILY_IPV6:
        return str(IPv6Address(raw[8:24].tobytes())), port
    return str(IPv4Address(raw[4:8].tobytes())), port


def address_length(raw: Bytes) -> int:
    """Bytes of the socket address that the kernel wants: 16 (IPv4) or 28 (IPv6)."""
    return LENGTH_IPV6 if raw[0] == FAMILY_IPV6 else LENGTH_IPV4
