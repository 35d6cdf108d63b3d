"""Chaos at full length: ``CHAOS`` whole histories in virtual time, ``KILLS`` of real processes, totals printed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from mixminus.clock import ManualClock
from recording.chaos import HEADING, Told, Totals, Trial, suite, template_of
from slow.support import times

pytestmark = pytest.mark.slow

TRIALS = times("CHAOS", 100)
KILLS = times("CHAOS_KILLS", 20)
SEED = times("CHAOS_SEED", 1)
TESTS = Path(__file__).parent.parent


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.timeout(60 + 2 * TRIALS)
async def test_whole_histories_in_virtual_time(tmp_path: Path) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    try:
        totals = await suite(tmp_path, range(SEED, SEED + TRIALS))
    finally:
        structlog.reset_defaults()
    print(*totals.problems, HEADING, totals.markdown("whole chain, virtual time"), sep="\n")  # noqa: T201
    assert totals.problems == []


class Process:
    """One life of a real process. ``last``: it ends by itself once nothing is owed."""

    def __init__(self, folder: Path, life: int, *, last: bool = False) -> None:
        words = [sys.executable, "-m", "recording.chaos_child", str(folder), str(life), "last" if last else "more"]
        environment = {**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=log)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"up\n", (folder / "log").read_text()[-2000:]

    def kill_after(self, seconds: float) -> None:
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        else:
            raise AssertionError(f"ended by itself with {code}")
        finally:
            assert self._process.stdout is not None
            self._process.stdout.close()

    def ends(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            assert self._process.wait(60) == 0


@pytest.mark.timeout(120 + 20 * KILLS)
async def test_real_processes_killed_at_random(tmp_path: Path) -> None:
    randomly = random.Random(SEED)
    trial = Trial(tmp_path, SEED, await template_of(tmp_path))
    trial.format, trial.disk_trouble = "wav", False
    folder = tmp_path / "real"
    (folder / "mixed").mkdir(parents=True)
    trial.data = trial.data.rename(folder / "data")
    for life in range(1, KILLS + 1):
        Process(folder, life).kill_after(randomly.uniform(0, 2.5))
    Process(folder, KILLS + 1, last=True).ends()
    for noted in (folder / "mixed").iterdir():
        trial.mixed[noted.name] = int(noted.read_text() or "0")
    at = ManualClock().wall
    for line in (folder / "told.jsonl").read_text().splitlines():
        event_id, name, recording_id, sequence, life = json.loads(line)
        trial.receiver.told.append(Told(event_id, name, recording_id, sequence, at, life))
    await trial._judge()
    trial.verdict.deaths = KILLS
    totals = Totals()
    totals.add(trial.verdict)
    totals.tried = KILLS
    print(*totals.problems, HEADING, totals.markdown("real processes, kill -9"), sep="\n")  # noqa: T201
    assert totals.problems == [] and totals.recordings > KILLS / 4
