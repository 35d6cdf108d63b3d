from __future__ import annotations

import socket
import sys

import numpy as np
import pytest

from mixminus.errors import MediaError
from mixminus.media.batch import PacketBatch, address_length, pack_address, parse_host, unpack_address


@pytest.mark.parametrize("address", [("127.0.0.1", 1), ("255.255.255.255", 65535), ("::1", 5), ("2001:db8::7", 40000)])
def test_an_address_survives_packing(address: tuple[str, int]) -> None:
    raw = pack_address(address)
    assert raw.shape == (32,)
    assert raw.dtype == np.uint8
    assert unpack_address(raw) == address
    assert address_length(raw) == (28 if ":" in address[0] else 16)


@pytest.mark.skipif(sys.platform != "linux", reason="the layout is that of Linux")
def test_families_are_those_of_linux() -> None:
    assert pack_address(("127.0.0.1", 258))[:8].tobytes() == bytes([socket.AF_INET, 0, 1, 2, 127, 0, 0, 1])
    assert pack_address(("::1", 258))[:4].tobytes() == bytes([socket.AF_INET6, 0, 1, 2])


def test_an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() -> None:
    assert str(parse_host("::ffff:192.0.2.1")) == "192.0.2.1"


@pytest.mark.parametrize(
    "address", [("localhost", 5), ("", 5), ("127.0.0.1", 0), ("127.0.0.1", 65536), ("1.2.3", 5), ("127.0.0.1", -1)]
)
def test_what_is_no_address_is_refused(address: tuple[str, int]) -> None:
    with pytest.raises(MediaError, match="address"):
        pack_address(address)


def test_a_batch_takes_what_it_has_room_for() -> None:
    batch = PacketBatch(2)
    address = pack_address(("127.0.0.1", 5))
    assert batch.append(b"abc", address, 3)
    assert batch.append(b"x" * 3000, address, 1)
    assert not batch.append(b"no", address, 1)
    assert batch.count == 2
    assert batch.length.tolist() == [3, 1500]
    assert batch.data[0, :3].tobytes() == b"abc"
    assert batch.port.tolist() == [3, 1]
