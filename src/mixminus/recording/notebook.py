"""Appends what the control process knows of a running recording to its spool folder. A shell around one file each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from mixminus.recording.sidecar import NOTES_FILE
from mixminus.recording.spool import disk_error, make_folder

log = structlog.get_logger(__name__)

DELAY_SECONDS = 0.2
"""How long notes wait for others before they are written, in a thread: what a killed server loses of them."""


class Notebook:
    """One for all recordings. ``root`` is the folder of the spool folders."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._waiting: dict[str, list[bytes]] = {}
        self._lock = asyncio.Lock()
        self._writing: asyncio.Task[None] | None = None

    def note(self, recording_id: str, at_ns: int, kind: str, facts: Mapping[str, Any]) -> None:
        """``at_ns``: CLOCK_MONOTONIC at which it happened. Returns at once; a disk that refuses is logged."""
        line = msgspec.json.encode({"at_ns": at_ns, "kind": kind, **facts}) + b"\n"
        self._waiting.setdefault(recording_id, []).append(line)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_later(), name="notes")

    async def flush(self) -> None:
        """Everything noted so far is in its file when this returns."""
        async with self._lock:
            waiting, self._waiting = self._waiting, {}
            if waiting:
                await asyncio.to_thread(self._append, waiting)

    async def close(self) -> None:
        """Write what is left."""
        if self._writing is not None:
            self._writing.cancel()
        await self.flush()

    async def _write_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(DELAY_SECONDS)
            await self.flush()
        self._writing = None

    def _append(self, waiting: Mapping[str, list[bytes]]) -> None:
        for recording_id, lines in waiting.items():
            folder = self._root / recording_id
            try:
                make_folder(folder)
                with (folder / NOTES_FILE).open("ab") as file:
                    file.write(b"".join(lines))
            except OSError as error:
                log.error("notes of a recording are lost", error=str(disk_error(error, folder, "noting in")))
