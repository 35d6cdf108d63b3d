"""What becomes of finished files: sealed, stored away, deleted when their time is over. A shell, in the background.

The local folder is the queue. A finished file lies there until what is to be made of it is there and was read back;
whatever fails is tried again later, also after a restart, so a store that is down delays and loses nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from mixminus.clock import Clock
from mixminus.errors import StorageError
from mixminus.recording.archive import Archive
from mixminus.recording.encryption import SUFFIX, seal, unseal
from mixminus.recording.opening import MASTERS
from mixminus.recording.retention import Retention, receipt, recording_id_of
from mixminus.recording.spool import disk_error, sync_folder
from mixminus.recording.storage.objects import ObjectStorage
from mixminus.store.rows import HoldRow, ReceiptRow, RecordingRow
from mixminus.store.transaction import Transaction

log = structlog.get_logger(__name__)

POLL_SECONDS = 60.0
BACK_OFF_SECONDS = (2.0, 10.0, 30.0, 120.0)
"""After the first, second, ... round in a row in which something failed; the last is kept."""
AT_ONCE = 4
"""Files on their way at the same time."""


class Store(Protocol):
    """The part of :class:`mixminus.store.db.Store` that is needed here."""

    async def commit(self, transaction: Transaction) -> None: ...
    async def recording(self, recording_id: str) -> RecordingRow | None: ...
    async def receipt(self, recording_id: str) -> ReceiptRow | None: ...
    async def unremoved_receipts(self) -> tuple[ReceiptRow, ...]: ...
    async def hold(self, recording_id: str) -> HoldRow | None: ...
    async def recording_owners(self) -> tuple[tuple[str, str], ...]: ...
    async def expired_recordings(
        self, account: str, sub_account: str, before: datetime
    ) -> tuple[RecordingRow, ...]: ...


class Keeper:
    """Owns finished files from their announcement to their deletion. :meth:`run` is its life."""

    def __init__(
        self,
        store: Store,
        archive: Archive,
        *,
        clock: Clock,
        spool_root: Path,
        retention: Retention | None = None,
        back_off: tuple[float, ...] = BACK_OFF_SECONDS,
    ) -> None:
        self._store = store
        self._archive = archive
        self._clock = clock
        self._spool_root = spool_root
        self._retention = retention or Retention()
        self._back_off = back_off
        self._wake = asyncio.Event()
        self.pending = 0
        """Files that are not yet where they belong, when last looked."""
        self.failures = 0
        """Attempts that failed, since the start."""
        self.stored = 0
        """Files that reached the store, since the start."""
        self.tidy: Callable[[], Awaitable[None]] = _nothing
        """Done at the begin of every round: what the calls have left behind."""
        self.prune: Callable[[datetime], Awaitable[object]] = _nothing_now
        """Done at the end of every round, given the time: what else grows old in the database."""
        self.trouble = ""
        """Why the last round was not all done; empty when it was."""

    async def run(self) -> None:
        """Until cancelled."""
        in_a_row = 0
        while True:
            self._wake.clear()
            done = await self.round()
            in_a_row = 0 if done else in_a_row + 1
            seconds = POLL_SECONDS if done else self._back_off[min(in_a_row, len(self._back_off)) - 1]
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
                    if in_a_row:
                        await asyncio.sleep(seconds)  # a failing store is not asked more often for new recordings
            except TimeoutError:
                continue

    def nudge(self) -> None:
        """A recording was announced, or something deleted."""
        self._wake.set()

    async def placed(self, row: RecordingRow) -> None:
        """A recording got another file. If it was deleted meanwhile, that one goes too."""
        owed = await self._store.receipt(row.id)
        if owed is not None:
            await self.remove(owed)
        self._wake.set()

    async def round(self) -> bool:
        """Everything that is due, once; whether all of it succeeded. What fails is in :attr:`trouble`."""
        self.trouble = ""
        try:
            await self.tidy()
            for row in await self._store.unremoved_receipts():
                await self.remove(row)
            await self._expire()
            await self._keep_all()
            await self.prune(self._clock.now().wall)
        except StorageError as error:
            self._failed("looking for what is to be done", error)
        return not self.trouble

    # -- deletion -------------------------------------------------------------------------------------------------

    async def held(self, row: RecordingRow) -> str:
        """Why a recording must not be deleted; empty if it may."""
        if self._retention.held(row.account, row.sub_account):
            return "its account is under legal hold (retention.legal_hold)"
        return "it is under legal hold" if await self._store.hold(row.id) is not None else ""

    async def remove(self, owed: ReceiptRow) -> None:
        """Remove the files of a deleted recording from every store. Never raises: what fails is tried again."""
        try:
            files = await asyncio.to_thread(self._remove, owed)
            removed = msgspec.structs.replace(
                owed, removed_at=self._clock.now().wall, files=max(len(files), owed.files)
            )
            await self._store.commit(Transaction(save=(removed,)))
        except StorageError as error:
            self._failed(f"removing recording {owed.id}", error)
            self._wake.set()

    def _remove(self, owed: ReceiptRow) -> tuple[str, ...]:
        for spool in (self._spool_root / owed.id, self._spool_root.with_name(MASTERS) / owed.id):
            try:
                if spool.is_dir():
                    shutil.rmtree(spool)
                    sync_folder(spool.parent)
            except OSError as error:
                raise disk_error(error, spool, "removing") from error
        return self._archive.delete_family(owed.file) if owed.file else ()

    async def _expire(self) -> None:
        if not self._retention.ends_ever:
            return
        now = self._clock.now().wall
        for account, sub_account in await self._store.recording_owners():
            before = self._retention.before(account, sub_account, now)
            if before is None:
                continue
            for row in await self._store.expired_recordings(account, sub_account, before):
                deleted = msgspec.structs.replace(row, deleted_at=now, file="")
                left = receipt(row, now, "retention")
                await self._store.commit(Transaction(save=(deleted, left)))
                log.info("recording deleted: its time is over", recording_id=row.id)
                await self.remove(left)

    # -- storing --------------------------------------------------------------------------------------------------

    async def _keep_all(self) -> None:
        if self._archive.remote is None and not self._archive.ring.seals:
            return
        waiting = [key for key in await asyncio.to_thread(self._local_names) if self._unfinished(key)]
        self.pending = len(waiting)
        room = asyncio.Semaphore(AT_ONCE)

        async def one(key: str) -> None:
            async with room:
                if not self.trouble:  # the store is likely down: the rest waits for the next round
                    await self._keep(key)

        async with asyncio.TaskGroup() as group:
            for key in waiting:
                group.create_task(one(key))

    def _local_names(self) -> list[str]:
        return list(self._archive.local.names())

    def _unfinished(self, key: str) -> bool:
        return self._archive.remote is not None or not key.endswith(SUFFIX)

    async def _keep(self, key: str) -> None:
        row = await self._store.recording(recording_id_of(key))
        if row is None or row.state != "ready" or row.deleted_at is not None:
            return
        try:
            if self._archive.ring.seals and not key.endswith(SUFFIX):
                key = await asyncio.to_thread(self._seal, key, row.sha256 if key == row.file else "")
            if isinstance(self._archive.remote, ObjectStorage):
                await self._store_away(self._archive.remote, key)
                await self._late_for(row, key)
            self.pending -= 1
        except StorageError as error:
            self._failed(f"keeping {key}", error)

    def _seal(self, key: str, sha256: str) -> str:
        """The sealed file in place of the plain one; its key. It was opened again and compared before."""
        local, ring = self._archive.local, self._archive.ring
        sealed = key + SUFFIX
        target = local.path(sealed)
        partial = target.with_name(target.name + ".partial")
        plain = hashlib.sha256()
        _write(partial, seal(_watched(local.read(key), plain), ring.sealing_key))
        if sha256 and plain.hexdigest() != sha256:
            partial.unlink(missing_ok=True)
            raise StorageError(f"{local.path(key)} is not what was recorded any more: its SHA-256 has changed")
        opened = hashlib.sha256()
        for piece in unseal(lambda start, length: _read(partial, start, length), partial.stat().st_size, ring):
            opened.update(piece)
        if opened.digest() != plain.digest():
            raise StorageError(f"{partial} does not open to what was sealed")
        try:
            partial.replace(target)
            sync_folder(target.parent)
        except OSError as error:
            raise disk_error(error, target, "putting in place") from error
        local.delete(key)
        return sealed

    async def _store_away(self, remote: ObjectStorage, key: str) -> None:
        """Upload, read back, compare; only then the local file goes."""
        local = self._archive.local
        ours = await asyncio.to_thread(_digest, local.read(key))
        if await remote.digest(key) != ours:  # else an earlier run came that far
            await remote.upload(key, local.path(key))
            theirs = await remote.digest(key)
            if theirs != ours:
                raise StorageError(
                    f"{remote.url}/{key} reads back as {theirs}, not as the {ours} that were uploaded (bytes, SHA-256)"
                )
        await asyncio.to_thread(local.delete, key)
        self.stored += 1

    async def _late_for(self, row: RecordingRow, key: str) -> None:
        """Deleted while it was uploaded: the copy that came too late goes too."""
        owed = await self._store.receipt(row.id)
        if owed is not None:
            await self.remove(owed)

    def _failed(self, doing: str, error: StorageError) -> None:
        self.failures += 1
        self.trouble = str(error)
        log.error(f"{doing} failed and will be tried again", error=str(error))


async def _nothing() -> None:
    return


async def _nothing_now(now: datetime) -> None:
    return


def _digest(pieces: Iterable[bytes]) -> tuple[int, str]:
    """(size in bytes, SHA-256)."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def _watched(pieces: Iterable[bytes], digest: _Hash) -> Iterable[bytes]:
    for piece in pieces:
        digest.update(piece)
        yield piece


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    try:
        with path.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise disk_error(error, path, "writing") from error


def _read(path: Path, start: int, length: int) -> Iterable[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(start)
            while length > 0 and (piece := file.read(min(length, 1 << 20))):
                length -= len(piece)
                yield piece
    except OSError as error:
        raise disk_error(error, path, "reading back") from error
