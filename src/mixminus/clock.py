"""Time as a value: the one place where a clock is read.

Everything below the outermost shells takes ``now`` as an argument; a shell holds a :class:`Clock` and hands the
reading on. Monotonic nanoseconds are comparable between the processes of one machine (``CLOCK_MONOTONIC``), wall
time is for people and for the API.
"""

from __future__ import annotations

import time
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


class SystemClock:
    """The machine's own clock. Wall time is UTC and carries its zone."""

    def now(self) -> Instant:
        return Instant(datetime.now(UTC), time.monotonic_ns())


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
