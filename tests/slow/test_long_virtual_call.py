"""Eight hours of a recorded call in virtual time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mixminus.testing.sources import tone
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add, record

pytestmark = pytest.mark.timeout(1000)
HOURS = 8
MOST_CPU_SECONDS = 100.0


def test_eight_hours_are_recorded_to_the_sample_in_under_a_hundred_seconds(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        phones = {name: world.phone(name) for name in ("agent", "customer", "second", "boss")}
        for (name, phone), role in zip(phones.items(), ("agent", "customer", "customer", "supervisor"), strict=True):
            phone.says(tone(300 + 50 * len(name)), loop=True)
            add(world, role, phone, max_duration=3600 * HOURS)
        world.until("MPCStart")
        record(world, "mp3")
        began, cpu = world.seconds, time.process_time()
        world.until("MPCEnd", hours=HOURS, seconds=1)
        world.until("MPCRecordingCompleted")
        cpu = time.process_time() - cpu
        recording = world.recording()
        assert recording.row.samples == HOURS * 3600 * 8000
        assert recording.spans[0][1] - recording.spans[0][0] == HOURS * 3600 * 10**9
        end = began + HOURS * 3600
        for phone in phones.values():
            assert recording.contains(phone, since=end - 5, until=end - 1).seconds > 3.5
        assert cpu < MOST_CPU_SECONDS, f"{cpu:.0f} s of CPU"
