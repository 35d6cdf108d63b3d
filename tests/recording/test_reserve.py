"""Room kept ahead of a spool: what is said while the disk is full has a place."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixminus.errors import DiskFull
from mixminus.media.protocol import StartTap, TapClosed, TapFailed
from mixminus.media.taping.spool import SpoolWriter
from mixminus.recording.recover import recover_folder
from mixminus.recording.reserve import AHEAD_SECONDS, REFILL_SECONDS, TELL_SECONDS, Reserve
from mixminus.recording.spool import Spool, segment_files

RATE = 8000
HALF = b"\7\0" * (RATE // 2)
HALF_NS = 500_000_000


class Disk:
    """Gives room ahead while it has any."""

    def __init__(self) -> None:
        self.refuses = 0
        """With this errno."""
        self.given: list[tuple[int, int]] = []

    def allocate(self, descriptor: int, offset: int, length: int) -> None:
        if self.refuses:
            raise OSError(self.refuses, os.strerror(self.refuses))
        self.given.append((offset, length))


def test_room_is_asked_for_seldom_and_is_always_there() -> None:
    disk, written = Disk(), 0
    reserve = Reserve(-1, RATE, disk.allocate)
    for _ in range(600):
        assert reserve.end - written >= (0 if not written else (REFILL_SECONDS - 1) * 2 * RATE)
        written += 2 * RATE
        reserve.follow(written, RATE)
    assert reserve.short is None
    assert len(disk.given) <= 600 / (AHEAD_SECONDS - REFILL_SECONDS)


def test_more_tracks_need_more_room() -> None:
    disk = Disk()
    reserve = Reserve(-1, RATE, disk.allocate)
    reserve.follow(2 * RATE, RATE)
    reserve.follow(12 * RATE, RATE)
    assert disk.given[-1] == (12 * RATE, 10 * RATE * AHEAD_SECONDS)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_in_time_and_not_when_it_has_room_again(number: int) -> None:
    disk, written = Disk(), 0
    reserve = Reserve(-1, RATE, disk.allocate)
    reserve.follow(0, 0)
    disk.refuses = number
    while reserve.short is None:
        assert reserve.end - written >= TELL_SECONDS * 2 * RATE, "told too late"
        written += RATE
        reserve.follow(written, RATE // 2)
    assert reserve.end - written > (TELL_SECONDS - 1) * 2 * RATE
    assert reserve.short.errno == number
    disk.refuses = 0
    reserve.follow(written, 0)
    assert reserve.short is None and reserve.end - written == AHEAD_SECONDS * 2 * RATE


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_that_keeps_nothing_ahead_is_none_that_is_full(number: int) -> None:
    disk = Disk()
    disk.refuses = number
    reserve = Reserve(-1, RATE, disk.allocate)
    for second in range(20):
        reserve.follow(second * 2 * RATE, RATE)
    assert reserve.short is None and reserve.end == 0


class OnFullDisk(Spool):
    """On a disk that has room for a header."""

    def __init__(self, path: Path, descriptor: int, *, rate: int, **more: Any) -> None:
        super().__init__(path, descriptor, rate=rate, **more)
        disk = Disk()
        disk.refuses = errno.ENOSPC
        self._reserve = Reserve(descriptor, rate, disk.allocate)


def test_a_recording_does_not_begin_without_room_and_goes_on_as_long_as_it_can(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match=r"disk full while keeping room for .*seg-000001\.spool: free some space"):
        OnFullDisk.open(tmp_path / "a", rate=RATE, now_ns=0)
    Spool.open(tmp_path / "b", rate=RATE, now_ns=0).close(0)
    spool = OnFullDisk.open(tmp_path / "b", rate=RATE, now_ns=0)
    assert "disk full" in spool.trouble
    spool.append(HALF)
    assert spool.close(0) == len(HALF) // 2


def test_readers_see_nothing_of_it_and_it_is_given_back(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool", rate=RATE, now_ns=0)
    spool.append(HALF)
    (segment,) = segment_files(tmp_path / "spool")
    ahead = segment.stat()
    if ahead.st_blocks * 512 < AHEAD_SECONDS * 2 * RATE:
        pytest.skip("this file system keeps no room ahead")
    assert ahead.st_size < 2 * len(HALF)
    assert spool.close(0) == len(HALF) // 2
    assert segment.stat().st_blocks * 512 < 4 * len(HALF)


def test_a_tap_on_a_full_disk_is_told_once_and_written_on_until_it_is_stopped(tmp_path: Path) -> None:
    disk, made = Disk(), list[Spool]()

    def open_spool(folder: Path, *, rate: int, now_ns: int, paused: bool) -> Spool:
        spool = Spool.open(folder, rate=rate, now_ns=now_ns, paused=paused)
        spool._reserve = Reserve(spool.fileno(), rate, disk.allocate)
        made.append(spool)
        return spool

    writer = SpoolWriter(open_spool)
    tap = writer.open_tap(StartTap(tap="rec", room="r", hear=1, spool=str(tmp_path / "rec")), 0)
    told: list[object] = []
    samples = np.full(RATE // 2, 7, np.int16)
    for half in range(1, 31):
        if half == 6:
            disk.refuses = errno.ENOSPC
        tap.write(samples, half * HALF_NS)
        writer.pump()
        told += writer.events()
    (failed,) = told
    assert isinstance(failed, TapFailed) and failed.tap == "rec" and failed.writing
    assert "disk full" in failed.reason and "free some space" in failed.reason
    tap.close(30 * HALF_NS)
    writer.pump()
    assert writer.events() == [TapClosed(tap="rec", samples=30 * RATE // 2, rate=RATE, at_ns=30 * HALF_NS)]
    file = recover_folder(tmp_path / "rec", "wav", tmp_path / "rec.wav")
    assert file.samples == 30 * RATE // 2
    assert not file.complete, "it was cut off"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


WRITER = """
import sys
from pathlib import Path
from mixminus.recording.spool import Spool
spool = Spool.open(Path(sys.argv[1]), rate=8000, now_ns=0)
for line in sys.stdin:
    spool.append(b"\\7\\0" * 4000)
    print("trouble" if spool.trouble else "fine", flush=True)
"""


@pytest.mark.slow
def test_what_is_said_while_the_disk_is_full_survives_a_kill(small_disk: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(small_disk / "spool")]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdin is not None and writer.stdout is not None

    def append() -> str:
        assert writer.stdin is not None and writer.stdout is not None
        print(file=writer.stdin, flush=True)
        return writer.stdout.readline().strip()

    assert [append() for _ in range(20)] == ["fine"] * 20
    with pytest.raises(OSError, match="No space left"), (small_disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(1024)):
            pass
    count = 21
    while append() == "fine":
        count += 1
    assert count > 20 + 2 * (REFILL_SECONDS - TELL_SECONDS), "a disk that is full for a moment harms nobody"
    more = random.Random(1).randint(2, 2 * TELL_SECONDS - 1)
    assert [append() for _ in range(more)] == ["trouble"] * more
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    writer.stdin.close()
    writer.stdout.close()
    (small_disk / "filler").unlink()
    assert recover_folder(small_disk / "spool", "wav", tmp_path / "x.wav").samples == (count + more) * RATE // 2
