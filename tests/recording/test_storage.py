"""Finished files by key: on disk, in an object store."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mixminus.errors import ConfigurationError, StorageError
from mixminus.recording.storage import DiskStorage, KeyMaker, Storage, key_of, stem_of
from mixminus.recording.storage.objects import ObjectStorage

KEY = "MA0000000000000000AB/2026/03/0a-1.mp3"
ACCOUNT, AT = "MA0000000000000000AB", datetime(2026, 3, 1, tzinfo=UTC)


def test_a_key_tells_whose_and_when() -> None:
    assert key_of(ACCOUNT, AT, "0a-1", "mp3") == KEY
    with pytest.raises(AssertionError, match="unsafe"):
        key_of(ACCOUNT, AT, "../x", "mp3")


def test_a_template_and_prefixes_shape_the_key() -> None:
    maker = KeyMaker("{yyyy}-{mm}-{dd}/{mpc_name}-{recording_id}.{format}", {"SA1": "/acme/", ACCOUNT: "main"})
    assert maker.key(ACCOUNT, AT, "0a-1", "wav", mpc_name="sales é/1") == "main/2026-03-01/sales_1-0a-1.wav"
    assert maker.key(ACCOUNT, AT, "0a-1", "wav", owner="SA1") == "acme/2026-03-01/unnamed-0a-1.wav"
    assert maker.key("MA2", AT, "0a-1", "wav", mpc_name="../..") == "2026-03-01/_-0a-1.wav"


def test_the_stem_is_shared_by_all_files_of_a_recording() -> None:
    names = (KEY, "MA0000000000000000AB/2026/03/0a-1.stereo.flac", "MA0000000000000000AB/2026/03/0a-1.mp3.mxen")
    assert {stem_of(name) for name in names} == {"MA0000000000000000AB/2026/03/0a-1"}


def test_ranges_size_and_deletion(tmp_path: Path) -> None:
    storage = DiskStorage(tmp_path)
    assert storage.size(KEY) is None
    storage.path(KEY).parent.mkdir(parents=True)
    content = bytes(range(256)) * 1000
    storage.path(KEY).write_bytes(content)
    _holds(storage, content)
    with pytest.raises(StorageError, match=r"reading .*0a-1\.mp3"):
        next(storage.read(KEY))


async def test_an_object_store_holds_files_alike(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    (tmp_path / "made.mp3").write_bytes(content)
    storage = ObjectStorage(f"file://{tmp_path}/store")
    await storage.check()
    assert storage.size(KEY) is None and list(storage.names()) == []
    await storage.upload(KEY, tmp_path / "made.mp3")
    assert await storage.digest(KEY) == (len(content), hashlib.sha256(content).hexdigest())
    _holds(storage, content)
    with pytest.raises(StorageError, match=r"0a-1\.mp3 is not there"):
        next(storage.read(KEY))


def _holds(storage: Storage, content: bytes) -> None:
    """``content`` at KEY; removes it."""
    assert storage.size(KEY) == len(content)
    assert b"".join(storage.read(KEY)) == content
    assert b"".join(storage.read(KEY, 100)) == content[100:]
    assert b"".join(storage.read(KEY, 100, 70_000)) == content[100:70_100]
    assert b"".join(storage.read(KEY, len(content) - 1, 99)) == content[-1:]
    assert storage.family(KEY) == storage.family(KEY.replace("mp3", "wav")) == list(storage.names()) == [KEY]
    assert storage.family(KEY.replace("0a-1", "0a-12")) == []
    assert storage.delete(KEY)
    assert not storage.delete(KEY)


@pytest.mark.parametrize("key", ["../../etc/passwd", "/etc/passwd", "a/2026/03/../../x.mp3", "a/2026/03/x.exe", ""])
def test_what_is_no_key_is_refused(tmp_path: Path, key: str) -> None:
    for storage in (DiskStorage(tmp_path), ObjectStorage(f"file://{tmp_path}")):
        with pytest.raises(StorageError, match="is not the key"):
            storage.size(key)


def test_free_space_is_known_before_the_folder_exists(tmp_path: Path) -> None:
    assert DiskStorage(tmp_path / "not" / "yet").free_bytes() > 0


@pytest.mark.parametrize(
    ("url", "options"), [("ftp://x/y", {}), ("s3://bucket", {"no_such_option": "1"}), ("nonsense", {})]
)
def test_a_url_or_option_that_is_none_is_refused(url: str, options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"storage\.url and storage\.options"):
        ObjectStorage(url, options)


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"storage\.url: file://.*Not a directory"):
        ObjectStorage(f"file://{tmp_path}/file/below")
