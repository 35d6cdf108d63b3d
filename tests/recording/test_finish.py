"""Spools become files: exactly what was said, verified, in their place, whatever happened on the way."""

from __future__ import annotations

import errno
import hashlib
import os
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mixminus.errors import StorageError
from mixminus.recording import finish
from mixminus.recording.finish import FinishedFile, Job, NoAudio
from mixminus.recording.follow import SLICE_BYTES
from mixminus.recording.recover import recover_folder, spools
from mixminus.recording.rendering import Format
from mixminus.recording.sidecar import NOTES_FILE
from mixminus.recording.spool import Spool, segment_files

RATE = 8000
SECOND = 1_000_000_000


def talk(samples: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).normal(0, 3000, samples).astype("<i2").tobytes()


def record(folder: Path, pcm: bytes, *, close: bool = True) -> None:
    spool = Spool.open(folder, rate=RATE, now_ns=0)
    for at in range(0, len(pcm), 8000):
        spool.append(pcm[at : at + 8000])
    if close:
        spool.close(len(pcm) // 2 * SECOND // RATE)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def wav_bytes(path: Path) -> bytes:
    samples: bytes = soundfile.read(path, dtype="int16")[0].tobytes()
    return samples


def test_the_files_beside_a_recording_are_as_safe_as_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: dict[str, bool] = {}
    fdatasync, target = os.fdatasync, tmp_path / "out" / "x.wav"

    def spy(descriptor: int) -> None:
        fdatasync(descriptor)
        synced[str(Path(f"/proc/self/fd/{descriptor}").readlink())] = target.exists()

    record(tmp_path / "spool", talk(800))
    (tmp_path / "spool" / NOTES_FILE).write_text('{"at_ns":0,"kind":"ParticipantJoin"}\n')
    monkeypatch.setattr(os, "fdatasync", spy)
    finish.run(Job(tmp_path / "spool", "wav", target, sidecar_of="x"))
    beside = [target.with_name(f"x.{ending}") for ending in ("timeline.json", "vtt", "peaks.json")]
    needed = [str(path) for path in (*beside, tmp_path / "spool" / NOTES_FILE)]
    assert {path: synced.get(path) for path in needed} == dict.fromkeys(needed, False), "before it is in its place"


@pytest.mark.parametrize("format", ["mp3", "wav"])
@pytest.mark.parametrize("samples", [1, 8001, 100_003, 600_000])
def test_a_recording_becomes_a_file(tmp_path: Path, format: Format, samples: int) -> None:
    pcm = talk(samples)
    record(tmp_path / "spool", pcm)
    target = tmp_path / "out" / "2026" / f"x.{format}"
    file = recover_folder(tmp_path / "spool", format, target)
    data = target.read_bytes()
    assert file == FinishedFile(
        str(target), format, samples, RATE, len(data), hashlib.sha256(data).hexdigest(), (), 0, True
    )
    assert file.duration == samples / RATE
    assert names(target.parent) == [target.name]
    assert soundfile.info(target).frames == samples
    if format == "wav":
        assert wav_bytes(target) == pcm


@dataclass
class Story:
    """A recording as it might go: a writer, its clock, and what should be heard in the end."""

    folder: Path
    now: int = 0
    """Samples since the start."""
    heard: bytearray = field(default_factory=bytearray)
    spool: Spool | None = None
    paused: bool = False

    @property
    def now_ns(self) -> int:
        return self.now * SECOND // RATE

    def act(self, action: str, amount: int) -> None:
        if self.spool is None:
            self.spool = Spool.open(self.folder, rate=RATE, now_ns=self.now_ns, paused=self.paused)
        getattr(self, action)(self.spool, amount)

    def speak(self, spool: Spool, amount: int) -> None:
        pcm = talk(amount, self.now)
        self.now += amount
        if not self.paused:
            spool.append(pcm)
            self.heard += pcm

    def pause(self, spool: Spool, amount: int) -> None:
        spool.pause(self.now_ns)
        self.paused = True

    def resume(self, spool: Spool, amount: int) -> None:
        spool.resume(self.now_ns)
        self.paused = False

    def stall(self, spool: Spool, amount: int) -> None:
        self.now += amount
        if not self.paused:
            spool.gap(amount, self.now_ns)
            self.heard += bytes(2 * amount)

    def kill(self, spool: Spool, amount: int) -> None:
        """The writer dies in the middle of a block; another comes ``amount`` samples later."""
        os.close(spool._descriptor)
        spool._descriptor = -1
        with spool.path.open("ab") as file:
            file.write(talk(amount % 40)[: amount % 79])
        self.now += amount
        if not self.paused:
            self.heard += bytes(2 * amount)
        self.spool = Spool.open(self.folder, rate=RATE, now_ns=self.now_ns, paused=self.paused)


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["speak", "speak", "pause", "resume", "stall", "kill"]), st.integers(1, 3000)),
    max_size=30,
)


@given(ACTIONS, st.sampled_from([1, 2, 5]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_course_of_events_is_rendered_exactly(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int]], every: int, closed: bool
) -> None:
    folder = tmp_path_factory.mktemp("story")
    story, job = Story(folder / "spool"), Job(folder / "spool", "wav", folder / "x.wav")
    for number, (action, amount) in enumerate(actions):
        story.act(action, amount)
        if number % every == 0:
            job.step()
    if story.spool is not None and closed:
        story.spool.close(story.now_ns)
    if not story.heard:
        with pytest.raises(NoAudio, match="no audio was recorded"):
            finish.run(job)
        return
    file = finish.run(job)
    assert wav_bytes(folder / "x.wav") == bytes(story.heard)
    assert file.samples == len(story.heard) // 2
    assert file.complete == (story.spool is not None and closed)
    if story.spool is not None and not closed:
        story.spool.close(0)


def test_killed_at_any_byte_all_before_is_kept(tmp_path: Path) -> None:
    pcm = talk(RATE)
    record(tmp_path / "whole", pcm)
    data = segment_files(tmp_path / "whole")[0].read_bytes()
    rng = random.Random(1)
    for number in range(40):
        length = rng.randrange(len(data))
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "seg-000001.spool").write_bytes(data[:length])
        whole_blocks = sum(length >= 56 + 8044 * n for n in (1, 2))
        if whole_blocks == 0:
            with pytest.raises(NoAudio):
                recover_folder(folder, "wav", tmp_path / "x.wav")
            continue
        file = recover_folder(folder, "wav", tmp_path / "x.wav")
        assert wav_bytes(tmp_path / "x.wav") == pcm[: 8000 * whole_blocks]
        assert not file.complete


def test_following_and_recovering_give_the_same_file(tmp_path: Path) -> None:
    pcm = talk(60 * RATE)
    spool = Spool.open(tmp_path / "spool", rate=RATE, now_ns=0)
    job = Job(tmp_path / "spool", "mp3", tmp_path / "a.mp3")
    for at in range(0, len(pcm), 8000):
        spool.append(pcm[at : at + 8000])
        job.step()
    spool.close(60 * SECOND)
    followed = finish.run(job)
    recovered = recover_folder(tmp_path / "spool", "mp3", tmp_path / "b.mp3")
    assert followed.sha256 == recovered.sha256


def turns_of(job: Job) -> int:
    """How many it takes to finish."""
    count = 0
    for wait in job.finish():
        count += 1
        if wait is not None:
            wait()
    return count


def test_following_leaves_little_for_the_end(tmp_path: Path) -> None:
    record(tmp_path / "spool", talk(4 * SLICE_BYTES // 2), close=False)
    job = Job(tmp_path / "spool", "mp3", tmp_path / "x.mp3")
    steps = 1
    while job.step():
        steps += 1
    assert 4 <= steps <= 7
    assert turns_of(job) <= 4


def test_a_long_gap_is_rendered_in_slices(tmp_path: Path) -> None:
    Spool.open(tmp_path / "spool", rate=RATE, now_ns=0).append(talk(80))
    Spool.open(tmp_path / "spool", rate=RATE, now_ns=600 * SECOND).close(600 * SECOND)
    job = Job(tmp_path / "spool", "wav", tmp_path / "x.wav")
    assert turns_of(job) > 600 * RATE * 2 // SLICE_BYTES
    assert (tmp_path / "x.wav").stat().st_size == 80 + 2 * 600 * RATE


class FullDisk:
    """os.pwrite on a disk that is full while ``full`` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = True
        self._real = os.pwrite
        monkeypatch.setattr(os, "pwrite", self._pwrite)

    def _pwrite(self, descriptor: int, data: memoryview, offset: int) -> int:
        if self.full and offset + len(data) > 5000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._real(descriptor, data, offset)


def test_a_full_disk_is_told_and_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pcm = talk(20 * RATE)
    record(tmp_path / "spool", pcm)
    disk = FullDisk(monkeypatch)
    job = Job(tmp_path / "spool", "wav", tmp_path / "out" / "x.wav")
    while job.step():
        pass
    assert "disk full while writing" in str(job.trouble)
    assert names(tmp_path / "out") == []  # its space was given back
    with pytest.raises(StorageError, match=r"disk full while writing .*x\.wav\.partial"):
        finish.run(job)
    assert names(tmp_path / "out") == []
    disk.full = False
    finish.run(job)
    assert wav_bytes(tmp_path / "out" / "x.wav") == pcm


def test_a_file_that_reads_back_wrong_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pcm = talk(20 * RATE)
    record(tmp_path / "spool", pcm)
    real, writes = os.pwrite, 0

    def lying(descriptor: int, data: memoryview, offset: int) -> int:
        nonlocal writes
        writes += 1
        return real(descriptor, bytes(len(data)) if writes == 2 else data, offset)

    monkeypatch.setattr(os, "pwrite", lying)
    job = Job(tmp_path / "spool", "wav", tmp_path / "x.wav")
    finish.run(job)
    assert "does not hold what was written" in str(job.trouble)
    assert wav_bytes(tmp_path / "x.wav") == pcm


def test_a_file_that_always_reads_back_wrong_is_not_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path / "spool", talk(20 * RATE))
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, bytes(len(data)) if offset else data, offset))
    for format in ("mp3", "wav"):
        with pytest.raises(StorageError):
            recover_folder(tmp_path / "spool", format, tmp_path / f"x.{format}")
    assert names(tmp_path) == ["spool"]


def test_spools_left_behind_are_found(tmp_path: Path) -> None:
    assert spools(tmp_path / "none") == []
    for name in ("b", "a"):
        record(tmp_path / name, talk(10))
    (tmp_path / "empty").mkdir()
    assert [folder.name for folder in spools(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize("format", ["mp3", "wav"])
@pytest.mark.parametrize("follows", [False, True])
def test_a_recording_whose_rate_rises_becomes_a_file_of_the_highest(
    tmp_path: Path, format: Format, follows: bool
) -> None:
    """``follows``: what was recorded at the lower rate is in the partial file when the rate rises."""
    folder, target, seconds = tmp_path / "spool", tmp_path / f"x.{format}", (4, 3, 5)
    job, at = Job(folder, format, target), 0
    for rate, length in zip((8000, 16000, 48000), seconds, strict=True):
        spool = Spool.open(folder, rate=rate, now_ns=at * SECOND)
        time = np.arange(rate * length) / rate
        pcm = np.rint(8000 * np.sin(2 * np.pi * 500 * time)).astype("<i2").tobytes()
        for begin in range(0, len(pcm), rate):
            spool.append(pcm[begin : begin + rate])
            while follows and job.step():
                pass
        at += length
        if rate == 48000:
            spool.close(at * SECOND)
        else:
            spool.leave()
            spool.close(at * SECOND)
    file = finish.run(job)
    assert job.trouble is None
    assert (file.rate, file.samples, file.markers, file.complete) == (48000, 12 * 48000, (), True)
    decoded, rate = soundfile.read(target)
    assert rate == 48000
    for second in range(12):
        part = decoded[second * 48000 + 4800 : (second + 1) * 48000 - 4800]
        turn = np.exp(-2j * np.pi * 500 / 48000 * np.arange(part.size))
        assert 2 * abs((part * turn).mean()) == pytest.approx(8000 / 32768, rel=0.06)
    assert names(tmp_path) == ["spool", f"x.{format}"]
