"""Other files of a finished recording: made from its master when they are asked for, or by setting as soon as it is
announced. A shell.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from mixminus.calls.taps import spec_of
from mixminus.errors import InvalidParameter, NotFound, StorageError
from mixminus.recording.archive import Archive
from mixminus.recording.channels import Spec
from mixminus.recording.client import Finisher
from mixminus.recording.layouts import Layout, Wanted, channels_of, coached
from mixminus.recording.rendering import MOST_CHANNELS, Format
from mixminus.recording.sidecar import NOTES_FILE, read_notes
from mixminus.recording.spool import segment_files
from mixminus.recording.storage import stem_of
from mixminus.store.rows import RecordingRow

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 2.0
"""How long a request waits for its file; then it is told to come again."""
SWEEP_SECONDS = 3600.0
_DAY = 86_400


def rendering_key(row: RecordingRow, format: Format, layout: Layout, *, coach: bool) -> str:
    """The name of a rendering, beside the recording's file."""
    name = {"mono": "", "stereo": ".stereo", "stems": ".stems"}[layout] + ("" if coach else ".nocoach")
    return row.file if not name and format == row.format else f"{stem_of(row.file)}{name}.{format}"


class Renderings:
    """``masters``: folder of the spools that were kept; ``None``: none are. ``finisher`` makes the process of its own
    that renders, so that recordings being finished never wait; it is started at the first request.
    """

    def __init__(
        self,
        archive: Archive,
        masters: Path | None,
        finisher: Callable[[], Finisher] = Finisher,
        *,
        always: Sequence[Wanted] = (),
    ) -> None:
        """``always``: what is made of every recording by :meth:`make_all`."""
        self._always = tuple(always)
        self._preparing: set[str] = set()
        """Recordings in :meth:`make_all`: their masters are still spools."""
        self.placed: Callable[[RecordingRow], Awaitable[None]] = _nothing
        """Told of each recording with a new file."""
        self._archive = archive
        self._masters = masters
        self._make_finisher = finisher
        self._finisher: Finisher | None = None
        self._starting = asyncio.Lock()
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def key(self, row: RecordingRow, format: Format, layout: Layout, *, coach: bool) -> str | None:
        """The rendering's key once its file is there; ``None`` while it is being made.

        Raises InvalidParameter for what this recording does not hold, NotFound when its master is gone, StorageError
        when it could not be made.
        """
        key = rendering_key(row, format, layout, coach=coach)
        task = self._under_way.get(key)
        if task is None:
            if await asyncio.to_thread(self._archive.size, key) is not None:
                return key
            if row.id in self._preparing:
                return None
            folder, spec = await asyncio.to_thread(self._plan, row, Wanted(format, layout, coach), self._master(row))
            task = self._begin(row, key, folder, format, spec)
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not done:
            return None
        self._under_way.pop(key, None)
        task.result()
        return key

    async def make_all(self, row: RecordingRow, spool: Path) -> None:
        """What is made of every recording, from its spool, which must stay until this returns. ``row`` is ready.

        Never raises for what this recording does not hold or the disk refuses: that is logged. What is there already
        is not made again.
        """
        self._preparing.add(row.id)
        try:
            for each in self._always:
                await self._make_one(row, spool, each)
        finally:
            self._preparing.discard(row.id)

    async def _make_one(self, row: RecordingRow, spool: Path, each: Wanted) -> None:
        key = rendering_key(row, each.format, each.layout, coach=each.coach)
        try:
            if await asyncio.to_thread(self._archive.size, key) is None:
                folder, spec = await asyncio.to_thread(self._plan, row, each, spool)
                await self._begin(row, key, folder, each.format, spec)
        except (InvalidParameter, NotFound, StorageError) as error:
            log.error("a rendering was not made", recording_id=row.id, rendering=str(each), error=str(error))
        finally:
            self._under_way.pop(key, None)

    def impossible(self, tracks: Sequence[str]) -> dict[str, str]:
        """What will not be made of a recording that kept these tracks, and why."""
        found = {}
        for each in self._always:
            try:
                _check_tracks(each, tracks)
            except InvalidParameter as error:
                found[str(each)] = str(error)
        return found

    def _begin(self, row: RecordingRow, key: str, folder: Path, format: Format, spec: Spec) -> asyncio.Task[None]:
        task = asyncio.create_task(self._make(row, key, folder, format, spec), name="rendering")
        self._under_way[key] = task
        return task

    def _master(self, row: RecordingRow) -> Path | None:
        return self._masters / row.id if self._masters is not None else None

    def _plan(self, row: RecordingRow, wanted: Wanted, folder: Path | None) -> tuple[Path, Spec]:
        format, layout, coach = wanted
        tracks = row.report.get("tracks", [])
        _check_tracks(wanted, tracks)
        if folder is None or not segment_files(folder):
            raise NotFound("the master of this recording is not kept (any more): see the setting master_days")
        notes_file = folder / NOTES_FILE
        notes = read_notes(notes_file.read_bytes() if notes_file.exists() else b"", self._archive.ring)
        silent = () if coach else self._coached(row)
        channels = channels_of(layout, coach=coach, tracks=tracks, notes=notes, partly={name for name, _, _ in silent})
        if len(channels) > MOST_CHANNELS[format]:
            limit = f"{format} holds at most {MOST_CHANNELS[format]} channels, these are {len(channels)}"
            raise InvalidParameter("format", f"{limit}; ask for wav")
        return folder, Spec(channels, spec_of(row).pause_as, silent)

    def _coached(self, row: RecordingRow) -> tuple[tuple[str, int, int], ...]:
        """When supervisors coached who did not do so throughout, by the recording's timeline. Without one none is told,
        and their voices are left out altogether.
        """
        key = f"{stem_of(row.file)}.timeline.json"
        try:
            return coached(msgspec.json.decode(b"".join(self._archive.read(key))))
        except (StorageError, msgspec.DecodeError, KeyError) as error:
            log.warning("no timeline tells when a supervisor coached", recording_id=row.id, error=str(error))
            return ()

    async def _make(self, row: RecordingRow, key: str, folder: Path, format: Format, spec: Spec) -> None:
        finisher = await self._running()
        finisher.follow(key, folder, format, self._archive.local.path(key), spec)
        try:
            await finisher.finish(key)
        except StorageError:
            finisher.forget(key)
            raise
        await self.placed(row)

    async def _running(self) -> Finisher:
        async with self._starting:
            if self._finisher is None:
                finisher = self._make_finisher()
                await finisher.start()
                self._finisher = finisher
            return self._finisher

    async def close(self) -> None:
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        if self._finisher is not None:
            await self._finisher.stop()

    # -- masters whose time is over

    async def sweep(self, days: int) -> None:
        """Until cancelled: now and every hour, remove masters older than ``days``."""
        while True:
            await asyncio.to_thread(self.remove_older, days, time.time())
            await asyncio.sleep(SWEEP_SECONDS)

    def remove_older(self, days: int, now: float) -> int:
        """How many masters were removed. One that cannot be is logged, and tried again next time."""
        removed = 0
        if self._masters is None or not self._masters.is_dir():
            return removed
        for folder in list(self._masters.iterdir()):
            try:
                if folder.stat().st_mtime < now - days * _DAY:
                    shutil.rmtree(folder)
                    removed += 1
            except OSError as error:
                log.error("a master could not be removed", folder=str(folder), error=str(error))
        return removed


def _check_tracks(wanted: Wanted, tracks: Sequence[str]) -> None:
    """Raises InvalidParameter for what cannot be made without tracks."""
    if not tracks and (wanted.layout != "mono" or not wanted.coach):
        raise InvalidParameter(
            "layout" if wanted.layout != "mono" else "coach",
            "this recording kept the mix only; record with record_tracks=all (parameter or setting) for others",
        )


async def _nothing(row: RecordingRow) -> None:
    return
