from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mixminus.media.mixing.matrix import Plan, build_plan, expand

Rows = tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.uint64]]

TOP = 1 << 63


def rows(*entries: tuple[int, int, int]) -> Rows:
    """Arrays of (room, talk, hear)."""
    room, talk, hear = zip(*entries, strict=True)
    return np.array(room, np.int32), np.array(talk, np.uint64), np.array(hear, np.uint64)


def heard_by_plan(plan: Plan, size: int) -> NDArray[np.bool_]:
    """The dense matrix that a plan amounts to."""
    matrix = np.zeros((size, size), np.bool_)
    for listener in range(size):
        bus = plan.bus_of[listener]
        if bus >= 0:
            matrix[listener, plan.source[plan.bus == bus]] = True
            assert matrix[listener, listener] == plan.within[listener]
            matrix[listener, listener] = False
    return matrix


def test_one_hears_who_is_granted_and_nobody_else() -> None:
    agent, customer, supervisor = (0, 0b001, 0b011), (0, 0b001, 0b001), (0, 0b010, 0b001)
    matrix = expand(*rows(agent, customer, supervisor, (1, 0b111, 0b111)))
    assert matrix.astype(int).tolist() == [
        [0, 1, 1, 0],
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 0],
    ]


def test_the_default_is_silence() -> None:
    assert not expand(*rows((0, 0, 0), (0, 0, 0), (-1, 1, 1), (-1, 1, 1))).any()


def test_a_plain_room_is_one_bus() -> None:
    plan = build_plan(*rows(*[(0, 3, 1)] * 5, (0, 0, 2)))
    assert plan.buses == 1
    assert plan.source.tolist() == [0, 1, 2, 3, 4]
    assert plan.bus_of.tolist() == [0] * 6


def test_listeners_of_the_same_sources_share_a_bus_whatever_their_masks() -> None:
    plan = build_plan(*rows((0, 0b01, 0b10), (0, 0b11, 0b101), (0, 0b11, 0b010)))
    assert len(set(plan.bus_of.tolist())) == 2


@pytest.mark.parametrize("classes", [63, 64, 65, 200])
def test_a_room_may_have_more_kinds_of_sources_than_a_mask_has_bits(classes: int) -> None:
    entries = [(0, kind + 1, kind + 1 | TOP) for kind in range(classes)]
    room, talk, hear = rows(*entries)
    assert (heard_by_plan(build_plan(room, talk, hear), classes) == expand(room, talk, hear)).all()


def test_a_plan_lists_its_sources_in_order_of_their_bus() -> None:
    random = np.random.default_rng(1)
    room = random.integers(-1, 5, 300).astype(np.int32)
    plan = build_plan(room, random.integers(0, 8, 300).astype(np.uint64), random.integers(0, 8, 300).astype(np.uint64))
    assert (np.diff(plan.bus) >= 0).all()
    assert set(plan.bus.tolist()) == set(range(plan.buses))


def test_the_plan_of_a_large_room_is_as_long_as_the_room() -> None:
    size = 2000
    plan = build_plan(*rows(*[(0, 3, 1)] * size))
    assert (plan.buses, plan.source.size) == (1, size)


masks = st.one_of(st.integers(0, 7), st.integers(0, (1 << 64) - 1))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), masks, masks), min_size=1, max_size=40))
def test_plan_and_matrix_say_the_same(entries: list[tuple[int, int, int]]) -> None:
    room, talk, hear = rows(*entries)
    plan = build_plan(room, talk, hear)
    assert (heard_by_plan(plan, room.size) == expand(room, talk, hear)).all()
