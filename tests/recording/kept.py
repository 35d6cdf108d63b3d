"""A data folder with finished recordings, and a keeper over it; for tests."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from mixminus.clock import ManualClock
from mixminus.recording.archive import Archive
from mixminus.recording.encryption import KeyRing
from mixminus.recording.keeper import BACK_OFF_SECONDS, Keeper
from mixminus.recording.retention import Retention
from mixminus.recording.storage import DiskStorage, Storage, key_of
from mixminus.store.db import Store
from mixminus.store.rows import RecordingRow
from mixminus.store.transaction import Transaction

ACCOUNT = "MA" + "A" * 18
SUB = "SA" + "B" * 18
KEY = bytes(range(32))


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


class Kept:
    """``store``, ``archive`` and ``keeper`` of the data folder ``data``."""

    def __init__(
        self,
        data: Path,
        store: Store,
        *,
        remote: Storage | None = None,
        sealing: bytes | None = None,
        retention: Retention | None = None,
        back_off: tuple[float, ...] = BACK_OFF_SECONDS,
    ) -> None:
        self.data, self.store, self.clock = data, store, ManualClock()
        self.archive = Archive(DiskStorage(data / "recordings"), remote, KeyRing(sealing))
        self.keeper = Keeper(
            store,
            self.archive,
            clock=self.clock,
            spool_root=data / "spool",
            retention=retention,
            back_off=back_off,
        )

    async def recording(self, number: int, content: bytes, *, at: datetime | None = None, **row: Any) -> RecordingRow:
        """A ready recording and its file."""
        at = at or self.clock.wall
        key = key_of(ACCOUNT, at, uuid(number), "mp3")
        columns: dict[str, Any] = {
            "id": uuid(number), "account": ACCOUNT, "state": "ready", "created_at": at, "file": key, "samples": 8000,
            "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "verified": True,
        }  # fmt: skip
        made = RecordingRow(**{**columns, **row})
        path = self.archive.local.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        await self.store.commit(Transaction(save=(made,)))
        return made

    def beside(self, row: RecordingRow, ending: str, content: bytes) -> str:
        """Another file of the recording; its key."""
        key = row.file.removesuffix("mp3") + ending
        self.archive.local.path(key).write_bytes(content)
        return key

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return b"".join(self.archive.read(key, start, length))
