"""The 20 ms tick: absolute deadlines, bounded catching up, and a record of how late each tick began."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import time
from collections.abc import Callable

import numpy as np

from mixminus.media.state import TICK_NS

CATCH_UP_NS = 200_000_000
"""After a longer stall the missed ticks are skipped: a burst of older audio would only be thrown away by the peers."""
LATE_NS = 5_000_000
LATENESS_WINDOW = 4096
"""Ticks over which lateness percentiles are taken (82 s)."""
LOAD_WINDOW = 100
"""Ticks over which load is taken (2 s): calls are let in by it, so it must follow them."""
_CLOCK_MONOTONIC = 1
_TIMER_ABSTIME = 1


class Schedule:
    """Which tick is due when. Pure: the caller reads the clock and sleeps.

    ``due_ns`` is the nominal time of the next tick. After a stall of at most :data:`CATCH_UP_NS` the missed ticks
    follow each other at once; after a longer one they are skipped and counted.
    """

    def __init__(self, start_ns: int, *, period_ns: int = TICK_NS, catch_up_ns: int = CATCH_UP_NS) -> None:
        self.due_ns = start_ns
        self.ticks = 0
        self.late_ticks = 0
        self.skipped_ticks = 0
        self._period_ns = period_ns
        self._catch_up_ns = catch_up_ns
        self._lateness_us = np.zeros(LATENESS_WINDOW, np.float32)
        self._busy_us = np.zeros(LOAD_WINDOW, np.float32)

    def begin(self, now_ns: int) -> int:
        """Begin the tick that is due; returns its nominal time. ``now_ns`` is the clock's reading, not before due."""
        late_ns = max(0, now_ns - self.due_ns)
        if late_ns > self._catch_up_ns:
            skipped = late_ns // self._period_ns
            self.skipped_ticks += skipped
            self.due_ns += skipped * self._period_ns
        self._lateness_us[self.ticks % LATENESS_WINDOW] = late_ns / 1000
        self.late_ticks += late_ns > LATE_NS
        self.ticks += 1
        nominal_ns = self.due_ns
        self.due_ns += self._period_ns
        return nominal_ns

    def end(self, busy_ns: int) -> None:
        """Note how long the tick's work took."""
        self._busy_us[(self.ticks - 1) % LOAD_WINDOW] = busy_ns / 1000

    def lateness_us(self) -> tuple[float, float, float]:
        """p50, p99 and maximum lateness over the last :data:`LATENESS_WINDOW` ticks, microseconds."""
        seen = self._lateness_us[: min(self.ticks, LATENESS_WINDOW)]
        if not len(seen):
            return 0.0, 0.0, 0.0
        p50, p99 = np.percentile(seen, (50, 99))
        return float(p50), float(p99), float(seen.max())

    def load(self) -> float:
        """Share of the time spent working over the last :data:`LOAD_WINDOW` ticks, 0 to 1 (above 1: overloaded)."""
        seen = self._busy_us[: min(self.ticks, LOAD_WINDOW)]
        return float(seen.mean()) * 1000 / self._period_ns if len(seen) else 0.0


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


def sleeper() -> Callable[[int], None]:
    """``sleep_until(deadline_ns)`` on ``CLOCK_MONOTONIC``; a deadline in the past returns at once."""
    if sys.platform != "linux":
        return _portable_sleep_until
    nanosleep = ctypes.CDLL(None).clock_nanosleep
    nanosleep.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.POINTER(_Timespec), ctypes.c_void_p]
    timespec = _Timespec()

    def sleep_until(deadline_ns: int) -> None:
        timespec.tv_sec, timespec.tv_nsec = divmod(deadline_ns, 1_000_000_000)
        while nanosleep(_CLOCK_MONOTONIC, _TIMER_ABSTIME, timespec, None) == errno.EINTR:
            pass  # a signal came: the deadline is absolute, so sleep on

    return sleep_until


def _portable_sleep_until(deadline_ns: int) -> None:
    while (left_ns := deadline_ns - time.monotonic_ns()) > 0:
        time.sleep(left_ns / 1e9)


TICK_PRIORITY = 1
WRITER_PRIORITY = 2
"""The spool writer's turn comes before the tick's: it needs little, but that little when the tick has no time left."""


def prefer_this_thread(priority: int = TICK_PRIORITY) -> str:
    """Ask for the scheduler's favour: SCHED_FIFO, else a better nice value, else nothing. Returns what was granted.

    Threads that this one starts inherit it.
    """
    if sys.platform == "linux":
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
            return "fifo"
        except OSError:
            pass  # needs CAP_SYS_NICE or an RLIMIT_RTPRIO; wanted, never required
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)
        return "nice"
    except OSError:
        return "normal"
