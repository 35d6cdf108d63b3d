"""The schedule of retries, as a table of moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from mixminus.outbound.fragment import RetryPolicy
from mixminus.store.rows import OutboxRow
from mixminus.webhooks.policy import JITTER, Outcome, after_attempt, back_off

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
QUICK = RetryPolicy()
TIMED_OUT = Outcome(stage="read", error="no answer in time")
ROW = OutboxRow(id="r", lane="l", account="MA", url="http://h/", method="POST", event=b"{}", created_at=CREATED)


def after(outcome: Outcome, *, attempts: int = 0, age: float = 0, quick: RetryPolicy = QUICK) -> OutboxRow:
    row = msgspec.structs.replace(ROW, attempts=attempts)
    return after_attempt(row, outcome, CREATED + timedelta(seconds=age), quick=quick, retry_hours=24)


def delay(row: OutboxRow, age: float = 0) -> float:
    assert row.state == "pending" and row.next_at is not None
    return (row.next_at - CREATED).total_seconds() - age


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_2xx_is_delivered(status: int) -> None:
    row = after(Outcome(status=status))
    assert (row.state, row.attempts, row.next_at, row.done_at) == ("delivered", 1, None, CREATED)


@pytest.mark.parametrize("status", [100, 301, 400, 404, 410, 500, 503])
def test_everything_else_is_tried_again(status: int) -> None:
    assert after(Outcome(status=status)).state == "pending"


def test_quick_retries_first_then_growing_delays() -> None:
    quick = RetryPolicy(retries=2)
    delays = [delay(after(TIMED_OUT, attempts=attempts, quick=quick)) for attempts in range(12)]
    assert delays[:2] == [1, 1]
    for step, seconds in enumerate(delays[2:]):
        nominal = min(5 * 2**step, 600)
        assert nominal * (1 - JITTER) <= seconds <= nominal * (1 + JITTER)


def test_a_kind_that_is_not_covered_gets_no_quick_retry() -> None:
    assert delay(after(Outcome(status=500))) >= 4
    assert delay(after(Outcome(status=500), quick=RetryPolicy(retry_on=frozenset({"5xx"})))) == 1
    assert delay(after(Outcome(stage="address"))) >= 4


def test_given_up_when_the_next_attempt_would_be_too_late() -> None:
    day = 24 * 3600
    assert after(TIMED_OUT, attempts=9, age=day - 800).state == "pending"
    row = after(TIMED_OUT, attempts=9, age=day - 400)
    assert (row.state, row.next_at, row.attempts) == ("gave_up", None, 10)


def test_a_row_that_was_held_up_still_gets_its_quick_retry() -> None:
    late = 30 * 3600
    assert delay(after(TIMED_OUT, age=late), late) == 1
    assert after(TIMED_OUT, attempts=1, age=late).state == "gave_up"


def test_a_hopeless_row_is_given_up_at_once() -> None:
    assert after(Outcome(error="no account", hopeless=True)).state == "gave_up"


def test_jitter_repeats_and_differs_between_rows() -> None:
    assert back_off(3, "a") == back_off(3, "a")
    assert len({back_off(3, str(i)) for i in range(100)}) > 90
    assert back_off(10**9, "a") <= timedelta(seconds=600 * (1 + JITTER))
