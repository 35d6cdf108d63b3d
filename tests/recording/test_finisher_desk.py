"""Many recordings finished side by side by one desk."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mixminus.recording.finish import Job
from mixminus.recording.finisher import Desk
from mixminus.recording.protocol import Discard, Discarded, Failed, Finish, Finished, Follow, FromFinisher
from mixminus.recording.spool import Spool


def spool(folder: Path, seconds: int = 1) -> None:
    written = Spool.open(folder, rate=8000, now_ns=0)
    written.append(b"\1\0" * 8000 * seconds)
    written.close(0)


def work(desk: Desk, answers: list[FromFinisher], count: int, woken: threading.Event) -> None:
    while len(answers) < count:
        if not desk.busy:
            assert woken.wait(10)
            woken.clear()
        desk.turn()


@pytest.mark.parametrize("threads", [0, 4])
def test_all_are_finished_and_discards_come_last(tmp_path: Path, threads: int) -> None:
    answers: list[FromFinisher] = []
    woken = threading.Event()
    pool = ThreadPoolExecutor(threads) if threads else None
    desk = Desk(answers.append, pool, woken.set)
    for number in range(12):
        folder = tmp_path / f"s{number}"
        spool(folder)
        desk.receive(Follow(str(number), str(folder), "mp3" if number % 2 else "wav", str(tmp_path / f"{number}.x")))
    desk.receive(Discard("gone", str(tmp_path / "s99")))
    for number in range(12):
        desk.receive(Finish(str(number)))
    work(desk, answers, 13, woken)
    assert isinstance(answers[-1], Discarded)
    finished = [answer for answer in answers if isinstance(answer, Finished)]
    assert sorted(int(answer.recording_id) for answer in finished) == list(range(12))
    assert {answer.file.samples for answer in finished} == {8000}
    if pool is not None:
        pool.shutdown()


def test_a_disk_that_refuses_in_a_thread_fails_that_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool(tmp_path / "s")

    def refuse(job: Job) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", lambda path, target: refuse(None))  # type: ignore[arg-type]
    answers: list[FromFinisher] = []
    woken = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        desk = Desk(answers.append, pool, woken.set)
        desk.receive(Follow("r", str(tmp_path / "s"), "wav", str(tmp_path / "x.wav")))
        desk.receive(Finish("r"))
        desk.receive(Finish("r"))
        work(desk, answers, 1, woken)
    (failed,) = answers
    assert isinstance(failed, Failed) and "disk full while putting in place" in failed.reason
    assert not (tmp_path / "x.wav.partial").exists()


def test_finish_of_what_is_not_followed_is_told(tmp_path: Path) -> None:
    answers: list[FromFinisher] = []
    Desk(answers.append).receive(Finish("x"))
    assert answers == [Failed("x", "recording x is not followed")]
