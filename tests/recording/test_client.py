"""The finisher as a process of its own: it may die at any time, and every recording is finished all the same."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixminus.errors import StorageError
from mixminus.recording.client import Finisher
from mixminus.recording.finish import FinishedFile, NoAudio
from mixminus.recording.protocol import Follow
from mixminus.recording.recover import recover
from mixminus.recording.spool import Spool

RATE = 8000
PCM = np.random.default_rng(1).normal(0, 3000, 40 * RATE).astype("<i2").tobytes()


@pytest.fixture
async def finisher() -> AsyncIterator[Finisher]:
    finisher = Finisher()
    await finisher.start()
    yield finisher
    await finisher.stop()


def record(folder: Path, pcm: bytes = PCM, *, close: bool = True) -> Spool:
    spool = Spool.open(folder, rate=RATE, now_ns=0)
    for at in range(0, len(pcm), 8000):
        spool.append(pcm[at : at + 8000])
    if close:
        spool.close(0)
    return spool


def names(folder: Path) -> list[str]:
    """Finished and partial files."""
    return sorted(path.name for path in folder.glob("*.*"))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does; files tell nobody when they change."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


async def test_followed_finished_discarded(tmp_path: Path, finisher: Finisher) -> None:
    target = tmp_path / "out" / "r1.wav"
    finisher.follow("r1", tmp_path / "r1", "wav", target)
    record(tmp_path / "r1")
    file = await finisher.finish("r1")
    assert file.samples == 40 * RATE
    assert soundfile.read(target, dtype="int16")[0].tobytes() == PCM
    assert (tmp_path / "r1").exists()
    await finisher.discard("r1", tmp_path / "r1")
    assert not (tmp_path / "r1").exists()
    await finisher.discard("r1", tmp_path / "r1")


async def test_it_can_be_told_from_other_processes(finisher: Finisher) -> None:
    (pid,) = finisher.pids
    await until(lambda: "mixminus finisher" in command_line(pid))  # it may just be becoming itself


async def test_kill_9_while_following_and_while_finishing(tmp_path: Path, finisher: Finisher) -> None:
    for number in range(4):
        finisher.follow(f"r{number}", tmp_path / f"r{number}", "mp3", tmp_path / f"r{number}.mp3")
        record(tmp_path / f"r{number}")
    for pid in finisher.pids:
        os.kill(pid, signal.SIGKILL)
    waiting = [asyncio.create_task(finisher.finish(f"r{number}")) for number in range(4)]
    first, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert first
    for pid in finisher.pids:
        os.kill(pid, signal.SIGKILL)
    files = await asyncio.gather(*waiting)
    assert [file.samples for file in files] == [40 * RATE] * 4
    assert names(tmp_path) == [f"r{number}.mp3" for number in range(4)]


async def test_a_partial_file_grows_before_the_end(tmp_path: Path, finisher: Finisher) -> None:
    spool = record(tmp_path / "r1", close=False)
    finisher.follow("r1", tmp_path / "r1", "mp3", tmp_path / "r1.mp3")
    partial = tmp_path / "r1.mp3.partial"
    await until(lambda: partial.exists() and partial.stat().st_size > 100_000)
    finisher.forget("r1")
    await until(lambda: not partial.exists())
    spool.close(0)


async def test_nothing_recorded_is_told_and_may_be_asked_again(tmp_path: Path, finisher: Finisher) -> None:
    finisher.follow("r1", tmp_path / "r1", "mp3", tmp_path / "r1.mp3")
    with pytest.raises(NoAudio, match="no audio was recorded"):
        await finisher.finish("r1")
    record(tmp_path / "r1")
    assert (await finisher.finish("r1")).samples == 40 * RATE


async def test_a_target_that_cannot_be_written_is_told(tmp_path: Path, finisher: Finisher) -> None:
    (tmp_path / "file").write_bytes(b"")
    record(tmp_path / "r1")
    finisher.follow("r1", tmp_path / "r1", "mp3", tmp_path / "file" / "r1.mp3")
    with pytest.raises(StorageError, match=r"disk error while creating .*/file"):
        await finisher.finish("r1")
    assert len(finisher.pids) == 1


async def test_a_finisher_that_always_dies_is_told_and_not_waited_for(tmp_path: Path) -> None:
    finisher = Finisher(command=(sys.executable, "-c", "raise SystemExit(1)"), back_off=(0.0,))
    await finisher.start()
    finisher.follow("r1", tmp_path / "r1", "mp3", tmp_path / "r1.mp3")
    with pytest.raises(StorageError, match="died 5 times while finishing recording r1"):
        await finisher.finish("r1")
    await finisher.stop()


async def test_stopping_ends_waiting(tmp_path: Path, finisher: Finisher) -> None:
    for pid in finisher.pids:
        os.kill(pid, signal.SIGSTOP)
    record(tmp_path / "r1")
    finisher.follow("r1", tmp_path / "r1", "mp3", tmp_path / "r1.mp3")
    waiting = asyncio.create_task(finisher.finish("r1"))
    await asyncio.sleep(0)
    await finisher.stop()
    with pytest.raises(StorageError, match="was stopped"):
        await waiting
    assert finisher.pids == []


async def test_a_command_that_does_not_exist_is_told() -> None:
    with pytest.raises(StorageError, match="cannot be started"):
        await Finisher(command=("/nonexistent/mixminus",)).start()


async def test_recovery_settles_every_recording(tmp_path: Path, finisher: Finisher) -> None:
    settled: dict[str, FinishedFile | StorageError] = {}

    async def settle(recording_id: str, outcome: FinishedFile | StorageError) -> None:
        settled[recording_id] = outcome

    for number in range(6):
        record(tmp_path / f"r{number}", close=number % 2 == 0)
    entries = [
        Follow(f"r{number}", str(tmp_path / f"r{number}"), "wav", str(tmp_path / f"r{number}.wav"))
        for number in range(7)
    ]
    await recover(finisher, entries, settle)
    assert sorted(settled) == [f"r{number}" for number in range(7)]
    assert isinstance(settled["r6"], NoAudio)
    for number in range(6):
        outcome = settled[f"r{number}"]
        assert isinstance(outcome, FinishedFile)
        assert (outcome.samples, outcome.complete) == (40 * RATE, number % 2 == 0)
