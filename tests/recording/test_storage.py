"""Finished files by key."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mixminus.errors import StorageError
from mixminus.recording.storage import DiskStorage, key_of

KEY = "MA0000000000000000AB/2026/03/0a-1.mp3"


def test_a_key_tells_whose_and_when() -> None:
    assert key_of("MA0000000000000000AB", datetime(2026, 3, 1, tzinfo=UTC), "0a-1", "mp3") == KEY
    with pytest.raises(AssertionError, match="unsafe"):
        key_of("MA0000000000000000AB", datetime(2026, 3, 1, tzinfo=UTC), "../x", "mp3")


def test_ranges_size_and_deletion(tmp_path: Path) -> None:
    storage = DiskStorage(tmp_path)
    assert storage.size(KEY) is None
    storage.path(KEY).parent.mkdir(parents=True)
    content = bytes(range(256)) * 1000
    storage.path(KEY).write_bytes(content)
    assert storage.size(KEY) == len(content)
    assert b"".join(storage.read(KEY)) == content
    assert b"".join(storage.read(KEY, 100)) == content[100:]
    assert b"".join(storage.read(KEY, 100, 70_000)) == content[100:70_100]
    assert b"".join(storage.read(KEY, len(content) - 1, 99)) == content[-1:]
    assert storage.delete(KEY)
    assert not storage.delete(KEY)
    with pytest.raises(StorageError, match=r"reading .*0a-1\.mp3"):
        next(storage.read(KEY))


@pytest.mark.parametrize("key", ["../../etc/passwd", "/etc/passwd", "a/2026/03/../../x.mp3", "a/2026/03/x.exe", ""])
def test_what_is_no_key_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(StorageError, match="is not the key"):
        DiskStorage(tmp_path).path(key)


def test_free_space_is_known_before_the_folder_exists(tmp_path: Path) -> None:
    assert DiskStorage(tmp_path / "not" / "yet").free_bytes() > 0
