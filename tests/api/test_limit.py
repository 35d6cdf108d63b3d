from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.api.limit import RateLimit, TooManyRequests

SECOND = 1_000_000_000


def test_the_limit_holds_within_any_window() -> None:
    limit = RateLimit(3, 5.0)
    for at in (0, 1, 4):
        limit.admit("a", at * SECOND)
    with pytest.raises(TooManyRequests, match="at most 3 in 5 seconds") as refused:
        limit.admit("a", 4 * SECOND + 1)
    assert refused.value.retry_after == 1
    limit.admit("b", 4 * SECOND + 1)
    limit.admit("a", 5 * SECOND)
    with pytest.raises(TooManyRequests):
        limit.admit("a", 5 * SECOND + 1)


def test_zero_means_no_limit() -> None:
    limit = RateLimit(0)
    for _ in range(1000):
        limit.admit("a", 0)


@given(st.lists(st.integers(0, SECOND), max_size=200))
def test_no_window_ever_holds_more(gaps: list[int]) -> None:
    limit, now, admitted = RateLimit(5, 2.0), 0, []
    for gap in gaps:
        now += gap
        try:
            limit.admit("a", now)
            admitted.append(now)
        except TooManyRequests as refused:
            recent = [at for at in admitted if at > now - 2 * SECOND]
            assert len(recent) == 5 and 1 <= refused.retry_after <= 2
    for first, sixth in zip(admitted, admitted[5:], strict=False):
        assert sixth - first >= 2 * SECOND
