"""The machine's clock, also when somebody sets it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mixminus.clock import SystemClock

SECOND, HOUR = 1_000_000_000, 3_600_000_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)


class Machine:
    def __init__(self) -> None:
        self.wall, self.monotonic = int(START.timestamp()) * SECOND, 5 * SECOND

    def read(self) -> tuple[int, int]:
        return self.wall, self.monotonic

    def sleep(self, nanoseconds: int) -> None:
        self.wall += nanoseconds
        self.monotonic += nanoseconds


def test_it_is_the_machines_time() -> None:
    machine = Machine()
    clock = SystemClock(machine.read)
    assert clock.now() == (START, 5 * SECOND)
    machine.sleep(SECOND // 2)
    assert clock.now() == (START + timedelta(seconds=0.5), 5 * SECOND + SECOND // 2)
    machine.wall += HOUR
    assert clock.now().wall == START + timedelta(hours=1, seconds=0.5)
    assert abs(SystemClock().now().wall - datetime.now(UTC)) < timedelta(seconds=5)


def test_set_back_by_an_hour_it_runs_on_and_agrees_again_later() -> None:
    machine = Machine()
    clock = SystemClock(machine.read)
    machine.wall -= HOUR
    last, seen = clock.now().wall, []
    assert last == START
    for _ in range(24 * 60):
        machine.sleep(60 * SECOND)
        now = clock.now().wall
        seen.append((now - last).total_seconds())
        last = now
    assert min(seen) == 57.0 and seen[-1] == 60.0
    assert last == START + timedelta(hours=23)
