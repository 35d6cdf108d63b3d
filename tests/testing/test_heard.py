from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mixminus.testing.heard import Heard

MS = 1_000_000
T0 = 5_000 * MS


def _frame(value: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.full(160, value, np.int16)


def test_nothing_heard_is_no_samples_and_silence_when_asked_for() -> None:
    heard = Heard()
    assert len(heard.all()) == 0
    assert heard.between(T0, T0 + 20 * MS).tolist() == [0] * 160


@given(
    order=st.permutations(range(8)),
    jitter=st.lists(st.integers(0, 60), min_size=8, max_size=8),
    first=st.sampled_from([0, 2**31 - 320, 2**32 - 480]),
)
def test_order_jitter_and_wrap_leave_no_trace(order: list[int], jitter: list[int], first: int) -> None:
    heard = Heard()
    jitter[3] = 0
    for index in order:
        due = T0 + 20 * MS * index
        heard.audio(1, (first + 160 * index) % 2**32, _frame(index + 1), due + jitter[index] * MS)
    assert heard.all().tolist() == [value for index in range(8) for value in [index + 1] * 160]
    assert heard.began_ns == T0


def test_what_never_came_is_silence() -> None:
    heard = Heard()
    for index in (0, 2):
        heard.audio(1, 160 * index, _frame(index + 1), T0 + 20 * MS * index)
    assert heard.all().tolist() == [1] * 160 + [0] * 160 + [3] * 160


def test_a_new_stream_is_placed_by_the_clock() -> None:
    heard = Heard()
    heard.audio(1, 1000, _frame(1), T0)
    heard.audio(2, 77, _frame(2), T0 + 50 * MS)
    heard.audio(2, 77 + 10**6, _frame(3), T0 + 70 * MS)
    assert heard.all().tolist() == [1] * 160 + [0] * 240 + [2] * 160 + [3] * 160
    assert heard.between(T0 + 60 * MS, T0 + 80 * MS).tolist() == [2] * 80 + [3] * 80


def test_a_key_counts_once_however_many_packets_tell_of_it() -> None:
    heard = Heard()
    for timestamp, key in [(10, "1"), (10, "1"), (900, "1"), (1800, "#"), (1800, "#")]:
        heard.key(timestamp, key)
    assert heard.keys == "11#"
