"""Appends what the control process knows of a running recording to its spool folder. A shell around one file each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import structlog

from mixminus.recording.sealing import seal_note
from mixminus.recording.sidecar import NOTES_FILE
from mixminus.recording.spool import disk_error, make_folder, sync_file, sync_folder

log = structlog.get_logger(__name__)

DELAY_SECONDS = 0.2
"""How long notes wait for others before they are written, in a thread: what a killed server loses of them."""
_THREADS = 4
"""Files synced at the same time: they share the file system's commits."""


class Notebook:
    """One for all recordings. ``root`` is the folder of the spool folders."""

    def __init__(self, root: Path, key: bytes | None = None) -> None:
        """``key``: the customer's; notes are sealed with it."""
        self._root, self._key = root, key
        self._waiting: dict[str, list[bytes]] = {}
        self._lock = asyncio.Lock()
        self._writing: asyncio.Task[None] | None = None
        self._dirty: set[str] = set()
        """Recordings whose notes were written and not yet synced."""

    def note(self, recording_id: str, at_ns: int, kind: str, facts: Mapping[str, Any]) -> None:
        """``at_ns``: CLOCK_MONOTONIC at which it happened. Returns at once; a disk that refuses is logged."""
        line = msgspec.json.encode({"at_ns": at_ns, "kind": kind, **facts})
        if self._key is not None:
            line = seal_note(line, self._key)
        self._waiting.setdefault(recording_id, []).append(line + b"\n")
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_later(), name="notes")

    async def flush(self) -> None:
        """Everything noted so far is in its file when this returns, though a power cut may still take it."""
        async with self._lock:
            waiting, self._waiting = self._waiting, {}
            if waiting:
                await asyncio.to_thread(self._append, waiting)
                self._dirty.update(waiting)

    async def close(self) -> None:
        """Write and sync what is left."""
        if self._writing is not None:
            self._writing.cancel()
        await self.flush()
        await self._sync()

    async def _write_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(DELAY_SECONDS)
            await self.flush()
            await self._sync()
        self._writing = None

    async def _sync(self) -> None:
        """Not under the lock: who flushes does not wait for it."""
        dirty, self._dirty = self._dirty, set()
        if dirty:
            await asyncio.to_thread(self._sync_all, dirty)

    def _sync_all(self, dirty: Iterable[str]) -> None:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="notes") as threads:
            list(threads.map(self._sync_one, dirty))

    def _sync_one(self, recording_id: str) -> None:
        path = self._root / recording_id / NOTES_FILE
        try:
            sync_file(path)
            sync_folder(path.parent)
        except FileNotFoundError:
            return  # the recording is finished: its notes are in the timeline
        except OSError as error:
            log.error("notes of a recording are not safe yet", error=str(disk_error(error, path, "syncing")))

    def _append(self, waiting: Mapping[str, list[bytes]]) -> None:
        for recording_id, lines in waiting.items():
            folder = self._root / recording_id
            try:
                make_folder(folder)
                with (folder / NOTES_FILE).open("ab") as file:
                    file.write(b"".join(lines))
            except OSError as error:
                log.error("notes of a recording are lost", error=str(disk_error(error, folder, "noting in")))
