"""Identifiers: shapes, repetition with a seed, and none without."""

from __future__ import annotations

import os
import re

import pytest

from mixminus.ids import Mint


@pytest.mark.parametrize("seed", [None, 7])
def test_shapes(seed: int | None) -> None:
    mint = Mint(seed)
    for _ in range(300):
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", mint.uuid())
        assert re.fullmatch(r"SA[A-Z0-9]{18}", mint.auth_id("SA"))
        assert re.fullmatch(r"[A-Za-z0-9]{40}", mint.auth_token())
        assert re.fullmatch(r"[1-9][0-9]{8}", mint.digits(9))
        assert re.fullmatch(r"[0-9a-f]{5}", mint.hex(5))
    assert re.fullmatch(r"[0-9a-f]{9000}", mint.hex(9000))


def test_a_seed_repeats_and_its_absence_does_not() -> None:
    assert [Mint(3).hex(16) for _ in range(2)] == [Mint(3).hex(16)] * 2
    mints = [Mint(), Mint()]
    assert len({mint.hex(32) for mint in mints for _ in range(2000)}) == 4000


def test_every_bit_of_an_id_varies() -> None:
    mint = Mint()
    numbers = [int(mint.hex(3), 16) for _ in range(2000)]
    for bit in range(12):
        assert 800 < sum(number >> bit & 1 for number in numbers) < 1200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_makes_ids_of_its_own() -> None:
    mint = Mint()
    mint.hex(32)
    reader, writer = os.pipe()
    if os.fork() == 0:  # pragma: no cover - the child
        os.write(writer, mint.hex(32).encode())
        os._exit(0)
    os.wait()
    with os.fdopen(reader, "rb") as pipe:
        os.close(writer)
        assert pipe.read().decode() != mint.hex(32)
