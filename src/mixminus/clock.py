"""Time as a value: the one place where a clock is read.

Everything below the outermost shells takes ``now`` as an argument; a shell holds a :class:`Clock` and hands the
reading on. Monotonic nanoseconds are comparable between the processes of one machine (``CLOCK_MONOTONIC``), wall
time is for people and for the API.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol


class Instant(NamedTuple):
    """One moment on both scales: wall time for the API, monotonic nanoseconds for intervals and media."""

    wall: datetime
    monotonic_ns: int


class Clock(Protocol):
    """What a shell asks for the time."""

    def now(self) -> Instant: ...


_CATCH_UP = 20
"""A clock that was set back loses one in so many nanoseconds until it agrees again: an hour takes 20 hours."""


class SystemClock:
    """The machine's own clock. Wall time is UTC and carries its zone, and never runs backwards: when somebody sets the
    clock back, it goes on a little slower until the machine's has caught up.
    """

    def __init__(self, read: Callable[[], tuple[int, int]] = lambda: (time.time_ns(), time.monotonic_ns())) -> None:
        """``read``: wall and monotonic nanoseconds."""
        self._read = read
        self._wall, self._monotonic = read()

    def now(self) -> Instant:
        wall, monotonic = self._read()
        elapsed = monotonic - self._monotonic
        self._wall, self._monotonic = max(wall, self._wall + elapsed - -(-elapsed // _CATCH_UP)), monotonic
        return Instant(datetime.fromtimestamp(self._wall // 1000 / 1e6, UTC), monotonic)


@dataclass
class ManualClock:
    """A clock that moves only when told to; for tests and virtual time."""

    wall: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    monotonic_ns: int = field(default=1_000_000_000)

    def now(self) -> Instant:
        return Instant(self.wall, self.monotonic_ns)

    def advance(self, seconds: float) -> Instant:
        """Move both scales forward by ``seconds`` and return the new reading."""
        self.wall += timedelta(seconds=seconds)
        self.monotonic_ns += round(seconds * 1e9)
        return self.now()
