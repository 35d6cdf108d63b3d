"""The spool on disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from mixminus.errors import StorageError
from mixminus.recording.pieces import Audio
from mixminus.recording.spool import Spool, disk_error, segment_files, sync_together
from mixminus.recording.timeline import Marker, Timeline, timeline

SECOND = 1_000_000_000
ONE = b"\1\0"


def read(folder: Path) -> Timeline:
    return timeline(path.read_bytes() for path in segment_files(folder))


def test_samples_are_in_the_file_when_append_returns(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "a" / "b", rate=8000, now_ns=0)
    spool.append(memoryview(ONE * 100))
    assert read(tmp_path / "a" / "b").samples == 100
    spool.sync()
    assert spool.close(SECOND) == 100
    assert read(tmp_path / "a" / "b").ended


def test_a_pause_cuts_to_the_sample(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, rate=8000, now_ns=0, paused=True)
    spool.resume(SECOND)
    spool.append(ONE * 7)
    spool.pause(2 * SECOND)
    spool.pause(3 * SECOND)
    spool.resume(4 * SECOND)
    spool.resume(5 * SECOND)
    spool.append(b"\2\0" * 9)
    spool.gap(3, 6 * SECOND)
    assert spool.close(6 * SECOND) == 16
    result = read(tmp_path)
    assert result.pieces[:2] == (Audio(ONE * 7), Audio(b"\2\0" * 9))
    assert [marker[:3] for marker in result.markers] == [("pause", 0, 0), ("pause", 7, 0), ("gap", 16, 3)]
    assert result.samples == 19


def test_nothing_said_while_paused_can_be_written(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, rate=8000, now_ns=0)
    spool.pause(0)
    with pytest.raises(AssertionError, match="paused"):
        spool.append(ONE)
    spool.close(0)


def test_where_there_is_no_spool_there_are_no_segments(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert segment_files(tmp_path / "nowhere") == segment_files(tmp_path / "file" / "below") == []


def test_a_second_writer_goes_on_in_a_new_segment(tmp_path: Path) -> None:
    Spool.open(tmp_path, rate=8000, now_ns=0).append(ONE * 8000)
    spool = Spool.open(tmp_path, rate=8000, now_ns=3 * SECOND // 2)
    spool.append(ONE)
    spool.close(2 * SECOND)
    assert [path.name for path in segment_files(tmp_path)] == ["seg-000001.spool", "seg-000002.spool"]
    assert read(tmp_path).samples == 12001
    assert read(tmp_path).markers == (Marker("gap", 8000, 4000, SECOND // 2),)


def test_long_audio_is_split_into_blocks(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, rate=8000, now_ns=0)
    spool.append(ONE * 1_200_000)
    spool.close(0)
    assert read(tmp_path).samples == 1_200_000


class FullDisk:
    """os.writev on a disk with ``room`` bytes left: writes what fits, then refuses."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.real = os.writev

    def writev(self, descriptor: int, parts: Sequence[memoryview]) -> int:
        data = b"".join(parts)[: self.room]
        if not data:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(data)
        return self.real(descriptor, [data])


@pytest.mark.parametrize("room", [0, 1, 43, 44, 200, 1100])
def test_a_full_disk_keeps_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    spool = Spool.open(tmp_path, rate=8000, now_ns=0)
    spool.append(ONE * 80)
    before = spool.path.stat().st_size
    monkeypatch.setattr(os, "writev", FullDisk(room).writev)
    with pytest.raises(StorageError, match=r"disk full while writing .*seg-000001\.spool"):
        spool.append(ONE * 800)
    monkeypatch.undo()
    assert spool.path.stat().st_size == before
    with pytest.raises(StorageError, match="disk full"):
        spool.append(ONE)
    with pytest.raises(StorageError, match="disk full"):
        spool.pause(0)
    with pytest.raises(StorageError, match="disk full"):
        spool.sync()
    assert spool.close(0) == spool.close(0) == spool.samples == 80
    assert read(tmp_path).samples == 80


def test_a_disk_too_full_to_begin_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "writev", FullDisk(0).writev)
    with pytest.raises(StorageError, match="disk full"):
        Spool.open(tmp_path, rate=8000, now_ns=0)
    monkeypatch.undo()
    assert read(tmp_path).samples == 0


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda descriptor, parts: real(descriptor, [b"".join(parts)[:7]]))
    spool = Spool.open(tmp_path, rate=8000, now_ns=0)
    spool.append(ONE * 50)
    spool.close(0)
    assert read(tmp_path).samples == 50


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"creating spool .*file"):
        Spool.open(tmp_path / "file" / "x", rate=8000, now_ns=0)


@pytest.mark.parametrize(
    ("number", "text"), [(errno.EDQUOT, "disk full"), (errno.EROFS, "not allowed"), (errno.EIO, "disk error")]
)
def test_errors_say_what_to_do(number: int, text: str) -> None:
    assert text in str(disk_error(OSError(number, os.strerror(number)), Path("/x"), "writing"))


def test_many_spools_are_synced_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spools = [Spool.open(tmp_path / str(number), rate=8000, now_ns=0, paused=False) for number in range(5)]
    one_by_one: list[int] = []
    monkeypatch.setattr("os.fdatasync", one_by_one.append)
    for works in (True, False):
        asked: list[int] = []

        def syncfs(descriptor: int, works: bool = works, asked: list[int] = asked) -> int:
            asked.append(descriptor)
            return 0 if works else -1

        monkeypatch.setattr("mixminus.recording.spool._SYNCFS", syncfs)
        sync_together(spools)
        assert len(asked) == 1
        assert len(one_by_one) == (0 if works else 5)
    for each in spools:
        each.close(1)


def test_the_first_sync_makes_the_names_safe_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[Path] = []
    monkeypatch.setattr("mixminus.recording.spool.sync_folder", named.append)
    spool = Spool.open(tmp_path / "a" / "b", rate=8000, now_ns=0)
    assert named == [], "opening waits for no disk"
    spool.sync()
    assert set(named) == {tmp_path, tmp_path / "a", tmp_path / "a" / "b"}
    named.clear()
    spool.append(ONE * 80)
    spool.close(1)
    assert named == []


def test_what_was_ended_and_synced_by_others_closes_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool.open(tmp_path, rate=8000, now_ns=0)
    spool.append(ONE * 80)
    spool.end(SECOND)
    spool.was_synced()
    waited: list[int] = []
    monkeypatch.setattr("os.fdatasync", waited.append)
    assert spool.close(SECOND) == 80
    assert waited == [] and read(tmp_path).ended
