"""What becomes of finished files: sealed, stored away, expired, deleted; and nothing is lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from mixminus.errors import StorageError
from mixminus.recording.retention import Retention, receipt, recording_id_of
from mixminus.recording.storage.objects import ObjectStorage
from mixminus.store.db import Store
from mixminus.store.rows import HoldRow
from mixminus.store.transaction import Transaction
from recording.kept import ACCOUNT, KEY, SUB, Kept, uuid

CONTENT = bytes(range(256)) * 1000


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path)
    yield opened
    await opened.close()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def test_a_finished_file_is_sealed_and_read_as_before(tmp_path: Path, store: Store) -> None:
    kept = Kept(tmp_path, store, sealing=KEY)
    row = await kept.recording(1, CONTENT)
    sidecar = kept.beside(row, "json", b"{}")
    assert await kept.keeper.round()
    assert files(tmp_path / "recordings") == [f"{row.id}.json.mxen", f"{row.id}.mp3.mxen"]
    assert CONTENT[:64] not in kept.archive.local.path(row.file + ".mxen").read_bytes()
    assert kept.archive.size(row.file) == len(CONTENT) and kept.read(row.file) == CONTENT
    assert kept.read(row.file, 70_000, 5) == CONTENT[70_000:70_005] and kept.read(sidecar) == b"{}"
    assert await kept.keeper.round() and kept.keeper.pending == 0


async def test_a_file_that_has_changed_is_not_sealed_over(tmp_path: Path, store: Store) -> None:
    kept = Kept(tmp_path, store, sealing=KEY)
    row = await kept.recording(1, CONTENT)
    kept.archive.local.path(row.file).write_bytes(CONTENT[:-1])
    assert not await kept.keeper.round()
    assert "SHA-256 has changed" in kept.keeper.trouble and files(tmp_path / "recordings") == [f"{row.id}.mp3"]


@pytest.mark.parametrize("sealing", [None, KEY], ids=["plain", "sealed"])
async def test_a_file_goes_to_the_store_and_is_read_from_there(
    tmp_path: Path, store: Store, sealing: bytes | None
) -> None:
    kept = Kept(tmp_path, store, remote=ObjectStorage(f"file://{tmp_path}/away"), sealing=sealing)
    row = await kept.recording(1, CONTENT)
    assert await kept.keeper.round() and kept.keeper.stored == 1
    ending = ".mxen" if sealing else ""
    assert files(tmp_path / "recordings") == [] and files(tmp_path / "away") == [f"{row.id}.mp3{ending}"]
    assert kept.archive.size(row.file) == len(CONTENT) and kept.read(row.file, 1000, 100) == CONTENT[1000:1100]


class Moody(ObjectStorage):
    """Loses, garbles or refuses, as told."""

    mood = ""

    async def upload(self, key: str, path: Path) -> None:
        if self.mood == "down":
            raise StorageError("the store failed while uploading: connection refused")
        await super().upload(key, path)
        if self.mood == "garbles":
            stored = Path(self.url.removeprefix("file://")) / key
            await asyncio.to_thread(stored.write_bytes, b"other")


@pytest.mark.parametrize("mood", ["down", "garbles"])
async def test_the_local_file_stays_until_the_remote_one_is_verified(tmp_path: Path, store: Store, mood: str) -> None:
    remote = Moody(f"file://{tmp_path}/away")
    kept = Kept(tmp_path, store, remote=remote)
    row = await kept.recording(1, CONTENT)
    remote.mood = mood
    for failures in (1, 2):
        assert not await kept.keeper.round()
        assert kept.keeper.failures == failures and kept.keeper.pending == 1
        assert files(tmp_path / "recordings") == [f"{row.id}.mp3"] and kept.read(row.file) == CONTENT
    remote.mood = ""
    assert await kept.keeper.round() and kept.keeper.trouble == ""
    assert files(tmp_path / "recordings") == [] and kept.read(row.file) == CONTENT


async def test_an_upload_that_was_done_before_a_crash_is_not_done_again(tmp_path: Path, store: Store) -> None:
    remote = Moody(f"file://{tmp_path}/away")
    kept = Kept(tmp_path, store, remote=remote)
    row = await kept.recording(1, CONTENT)
    await remote.upload(row.file, kept.archive.local.path(row.file))
    remote.mood = "down"
    assert await kept.keeper.round() and files(tmp_path / "recordings") == []


async def test_what_is_not_announced_yet_is_left_alone(tmp_path: Path, store: Store) -> None:
    kept = Kept(tmp_path, store, remote=ObjectStorage(f"file://{tmp_path}/away"), sealing=KEY)
    await kept.recording(1, CONTENT, state="finishing")
    (tmp_path / "recordings" / "unknown.mp3").write_bytes(b"?")
    assert await kept.keeper.round()
    assert files(tmp_path / "recordings") == [f"{uuid(1)}.mp3", "unknown.mp3"] and files(tmp_path / "away") == []


async def test_deleting_takes_every_file_from_every_store_and_leaves_a_receipt(tmp_path: Path, store: Store) -> None:
    kept = Kept(tmp_path, store, remote=ObjectStorage(f"file://{tmp_path}/away"))
    row, other = await kept.recording(1, CONTENT), await kept.recording(2, CONTENT)
    assert await kept.keeper.round()
    for ending in ("json", "stereo.flac"):
        kept.beside(row, ending, b"x")
    (tmp_path / "spool" / row.id).mkdir(parents=True)
    await kept.keeper.remove(receipt(row, kept.clock.wall, "request", ACCOUNT))
    assert files(tmp_path / "recordings") == [] and files(tmp_path / "away") == [f"{other.id}.mp3"]
    assert not (tmp_path / "spool" / row.id).exists()
    left = await store.receipt(row.id)
    assert left is not None and (left.files, left.removed_at, left.by) == (3, kept.clock.wall, ACCOUNT)
    assert (left.sha256, left.size, left.reason) == (row.sha256, row.size, "request")


async def test_a_deletion_the_store_could_not_do_is_done_later(tmp_path: Path, store: Store) -> None:
    kept = Kept(tmp_path, store, remote=ObjectStorage(f"file://{tmp_path}/away"))
    row = await kept.recording(1, CONTENT)
    assert await kept.keeper.round()
    owed = receipt(row, kept.clock.wall, "request")
    await store.commit(Transaction(save=(owed,)))  # and then the server was killed
    assert await kept.keeper.round()
    assert files(tmp_path / "away") == [] and await store.unremoved_receipts() == ()


async def test_recordings_go_when_their_time_is_over(tmp_path: Path, store: Store) -> None:
    retention = Retention(days=30, accounts={SUB: 5})
    kept = Kept(tmp_path, store, retention=retention)
    now = kept.clock.wall
    old = await kept.recording(1, CONTENT, at=now - timedelta(days=31))
    young = await kept.recording(2, CONTENT, at=now - timedelta(days=29))
    subs = await kept.recording(3, CONTENT, at=now - timedelta(days=6), sub_account=SUB)
    held = await kept.recording(4, CONTENT, at=now - timedelta(days=400))
    running = await kept.recording(5, CONTENT, at=now - timedelta(days=400), state="recording")
    await store.commit(Transaction(save=(HoldRow(id=held.id, account=ACCOUNT, since=now),)))
    assert await kept.keeper.round()
    assert files(tmp_path / "recordings") == sorted(f"{row.id}.mp3" for row in (young, held, running))
    assert await store.recording(old.id) is None and await store.recording(subs.id) is None
    left = await store.receipt(old.id)
    assert left is not None and (left.reason, left.by, left.removed_at) == ("retention", "", now)
    assert await kept.keeper.held(held) == "it is under legal hold" and await kept.keeper.held(young) == ""


def test_an_accounts_hold_goes_before_everything() -> None:
    held = Retention(days=1, accounts={SUB: 1}, holds=frozenset({ACCOUNT}))
    assert held.held(ACCOUNT, SUB) and held.held(ACCOUNT, "")
    assert Retention(holds=frozenset({SUB})).held(ACCOUNT, SUB)
    assert not Retention(holds=frozenset({SUB})).held(ACCOUNT, "")


def test_a_key_names_its_recording_whatever_the_template() -> None:
    assert recording_id_of(f"a/b/sales-{uuid(7)}.stereo.flac.mxen") == recording_id_of(f"{uuid(7)}.mp3") == uuid(7)


async def test_the_keeper_comes_back_after_a_failure(tmp_path: Path, store: Store) -> None:
    remote = Moody(f"file://{tmp_path}/away")
    kept = Kept(tmp_path, store, remote=remote, back_off=(0.0,))
    row = await kept.recording(1, CONTENT)
    remote.mood = "down"
    running = asyncio.create_task(kept.keeper.run())
    while kept.keeper.failures < 3:  # noqa: ASYNC110 - counters, not events
        await asyncio.sleep(0)
    remote.mood = ""
    while kept.keeper.stored < 1:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert kept.read(row.file) == CONTENT
