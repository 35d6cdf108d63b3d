"""What a customer may write behind the ``#``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.outbound.fragment import KINDS, RetryPolicy, parse_fragment

DEFAULT = RetryPolicy()


def test_without_a_fragment_the_defaults_stand() -> None:
    assert parse_fragment("http://h/a?b=c") == ("http://h/a?b=c", DEFAULT)
    assert (DEFAULT.connect_timeout, DEFAULT.read_timeout, DEFAULT.total_timeout) == (2.0, 40.0, 55.0)
    assert (DEFAULT.retries, DEFAULT.retry_on) == (1, frozenset({"ct", "rt"}))


def test_everything_given() -> None:
    bare, policy = parse_fragment("http://h/#ct=500&rt=1000#tt=1500&rc=3&rp=4xx,CT&er=mumbai")
    assert bare == "http://h/"
    assert policy == RetryPolicy(0.5, 1.0, 1.5, 3, frozenset({"4xx", "ct"}))


def test_all_kinds() -> None:
    assert parse_fragment("http://h/#rp=all")[1].retry_on == KINDS


@pytest.mark.parametrize(
    "fragment",
    [
        *("ct=99", "ct=10001", "rt=40001", "tt=55001", "rc=6", "rc=-1", "rc=1.5", "rp=", "rp=3xx", "ct", "=", "&&"),
        *("x=y", "ct=²", "rt=", "anchor", "ct=" + "9" * 5000),
    ],
)
def test_nonsense_counts_as_not_given(fragment: str) -> None:
    assert parse_fragment(f"http://h/#{fragment}") == ("http://h/", DEFAULT)


@given(st.text())
def test_no_text_is_refused(url: str) -> None:
    bare, policy = parse_fragment(url)
    assert "#" not in bare
    assert 0 <= policy.retries <= 5


def test_which_failures_are_covered() -> None:
    policy = RetryPolicy(retry_on=frozenset({"5xx", "ct"}))
    assert policy.covers(status=503) and not policy.covers(status=404) and not policy.covers(status=302)
    assert policy.covers(stage="connect") and not policy.covers(stage="read") and not policy.covers(stage="address")
