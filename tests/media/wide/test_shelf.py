"""Packets put away in lots are found again as by a dictionary of their bytes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mixminus.media.wide.shelf import BOARDS, Shelf

lots = st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20), st.integers(0, 40)), max_size=6), max_size=8)


@given(lots, st.integers(0, 1000))
def test_every_packet_is_found_as_by_the_slow_twin(told: list[list[tuple[int, int, int]]], seed: int) -> None:
    shelf, twin = Shelf(), dict[int, bytes]()
    random = np.random.default_rng(seed)
    for lot in told:
        data = random.integers(0, 256, (6, 60), np.uint8)
        at, begin, size = np.array(lot, np.int64).reshape(-1, 3).T
        numbers = shelf.put(data, at.astype(np.intp), begin.astype(np.int32), size.astype(np.int32))
        for number, (row, first, length) in zip(numbers.tolist(), lot, strict=True):
            assert number not in twin
            twin[number] = bytes(data[row, first : first + length].tolist())
    assert all(shelf.get(number) == packet for number, packet in twin.items())


def test_what_is_old_is_gone_and_the_rest_is_not() -> None:
    shelf, data = Shelf(), np.arange(10, dtype=np.uint8)[None]
    at, begin, size = np.zeros(1, np.intp), np.zeros(1, np.int32), np.full(1, 10, np.int32)
    numbers = [int(shelf.put(data, at, begin, size)[0]) for _ in range(BOARDS + 3)]
    assert [shelf.get(number) for number in numbers[:3]] == [None] * 3
    assert {shelf.get(number) for number in numbers[3:]} == {data.tobytes()}
    shelf.clear()
    assert shelf.get(numbers[-1]) is None
