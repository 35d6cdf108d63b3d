"""Many due times, one timer: the earliest wins, and stale entries are passed over when they surface."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

NEVER = float("inf")


class Timed(Protocol):
    due: float


TimedT = TypeVar("TimedT", bound=Timed)


class Timers(Generic[TimedT]):
    """A heap of owners by their ``due`` (monotonic seconds). An owner whose ``due`` moved is scheduled again."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, TimedT]] = []
        self._count = 0

    def schedule(self, owner: TimedT) -> None:
        """Call whenever ``owner.due`` has changed."""
        if owner.due < NEVER:
            self._count += 1
            heapq.heappush(self._heap, (owner.due, self._count, owner))

    def next(self) -> float | None:
        """The earliest due time, or ``None``."""
        heap = self._heap
        while heap and heap[0][2].due != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now: float) -> Iterator[TimedT]:
        """Owners whose time has come, one entry each; the caller lets them fire and schedules them again."""
        while (due := self.next()) is not None and due <= now:
            yield heapq.heappop(self._heap)[2]


class Alarm:
    """A call back at a time. Cancelling drops the reference, so that a long-dead owner is not kept alive."""

    __slots__ = ("_action", "due")

    def __init__(self, due: float, action: Callable[[float], None]) -> None:
        self.due = due
        self._action: Callable[[float], None] | None = action

    def cancel(self) -> None:
        self.due = NEVER
        self._action = None

    def fire(self, now: float) -> None:
        action = self._action
        self.cancel()
        if action is not None:
            action(now)
