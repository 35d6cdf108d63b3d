"""What becomes of an owed callback after an attempt: delivered, tried again, or given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zlib import crc32

import msgspec

from mixminus.outbound.fragment import RetryPolicy
from mixminus.store.rows import OutboxRow

QUICK_RETRY = timedelta(seconds=1)
FIRST_BACK_OFF = 5.0
"""Seconds; doubles with every further attempt."""
LONGEST_BACK_OFF = 600.0
JITTER = 0.2
"""A delay is stretched or shrunk by up to this share, so that lanes that failed together do not return together."""


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: with a ``status``, or at a ``stage`` of :class:`~mixminus.errors.OutboundError`.

    ``hopeless`` says that no later attempt can do better.
    """

    status: int | None = None
    stage: str = ""
    error: str = ""
    response: str = ""
    hopeless: bool = False

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def unreachable(self) -> bool:
        """No answer at all: what a dead or stalled receiver looks like."""
        return self.stage in ("connect", "read")


def after_attempt(
    row: OutboxRow, outcome: Outcome, now: datetime, *, quick: RetryPolicy, retry_hours: float
) -> OutboxRow:
    """``row`` as it is after one more attempt that ended in ``outcome``.

    The quick retries of the URL's fragment come first, then growing delays until the row is ``retry_hours`` old. A
    row that was held up by those before it in its lane gets its quick retries even when it is older than that.
    """
    attempts = row.attempts + 1
    if outcome.delivered:
        return msgspec.structs.replace(row, state="delivered", attempts=attempts, next_at=None, done_at=now)
    if not outcome.hopeless:
        if attempts <= quick.retries and quick.covers(stage=outcome.stage, status=outcome.status):
            return msgspec.structs.replace(row, attempts=attempts, next_at=now + QUICK_RETRY)
        next_at = now + back_off(attempts - 1 if attempts <= quick.retries else attempts - 1 - quick.retries, row.id)
        if next_at <= row.created_at + timedelta(hours=retry_hours):
            return msgspec.structs.replace(row, attempts=attempts, next_at=next_at)
    return msgspec.structs.replace(row, state="gave_up", attempts=attempts, next_at=None, done_at=now)


def back_off(step: int, row_id: str) -> timedelta:
    """The delay before attempt ``step`` of the slow ones (0 is the first): 5 s, doubling up to 10 min.

    The jitter is drawn from the row's id and the step, so that it is the same in every run.
    """
    seconds = min(FIRST_BACK_OFF * 2 ** min(step, 16), LONGEST_BACK_OFF)
    share = crc32(f"{row_id}:{step}".encode()) / 0xFFFF_FFFF
    return timedelta(seconds=seconds * (1 + JITTER * (2 * share - 1)))
