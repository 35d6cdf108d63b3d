from __future__ import annotations

import time

from mixminus.media.loop import LATENESS_WINDOW, Schedule, sleeper
from mixminus.media.state import TICK_NS

MS = 1_000_000


def test_ticks_fall_on_a_grid_however_late_each_begins() -> None:
    schedule = Schedule(1000 * MS)
    assert [schedule.begin(1000 * MS + n * TICK_NS + n * 100_000) for n in range(5)] == [
        1000 * MS + n * TICK_NS for n in range(5)
    ]
    assert (schedule.ticks, schedule.late_ticks, schedule.skipped_ticks) == (5, 0, 0)


def test_a_short_stall_is_made_up_for_tick_by_tick() -> None:
    schedule = Schedule(0)
    schedule.begin(0)
    nominal = []
    while schedule.due_ns <= 190 * MS:
        nominal.append(schedule.begin(190 * MS))
    assert nominal == [n * TICK_NS for n in range(1, 10)]
    assert schedule.skipped_ticks == 0
    assert schedule.late_ticks == 9


def test_a_long_stall_is_skipped_counted_and_left_on_the_grid() -> None:
    schedule = Schedule(0)
    schedule.begin(0)
    assert schedule.begin(1_010 * MS) == 1_000 * MS
    assert schedule.skipped_ticks == 49
    assert schedule.due_ns == 1_020 * MS


def test_lateness_and_load_are_measured() -> None:
    schedule = Schedule(0)
    assert schedule.lateness_us() == (0.0, 0.0, 0.0)
    assert schedule.load() == 0.0
    for n in range(LATENESS_WINDOW + 100):
        schedule.begin(n * TICK_NS + (7 * MS if n == LATENESS_WINDOW else 100_000))
        schedule.end(TICK_NS // 4)
    p50, p99, worst = schedule.lateness_us()
    assert (round(p50), round(p99), round(worst)) == (100, 100, 7000)
    assert abs(schedule.load() - 0.25) < 1e-6


def test_sleeping_ends_at_the_deadline_and_not_before() -> None:
    sleep_until = sleeper()
    deadline = time.monotonic_ns() + 3 * MS
    sleep_until(deadline)
    assert time.monotonic_ns() >= deadline
    sleep_until(deadline)  # in the past: at once
    sleep_until(-5)
