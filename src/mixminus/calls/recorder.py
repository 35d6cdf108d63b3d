"""From a decision to record to the finished file: joins the media worker's tap, the finisher and the storage. A
shell.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from mixminus.calls.recording import FinishedFile
from mixminus.calls.renderings import Renderings
from mixminus.calls.taps import spec_of
from mixminus.clock import Clock
from mixminus.errors import StorageError
from mixminus.media.protocol import TapClosed, TapFailed
from mixminus.recording import finish
from mixminus.recording.client import Finisher
from mixminus.recording.encryption import KeyRing
from mixminus.recording.finish import NoAudio, beside
from mixminus.recording.keeper import Keeper
from mixminus.recording.notebook import Notebook
from mixminus.recording.recover import holds_nothing, is_sealed, spools
from mixminus.recording.rendering import Format
from mixminus.recording.storage import DiskStorage, KeyMaker
from mixminus.recording.transcribe import FASTER_WHISPER
from mixminus.store.rows import ReceiptRow, RecordingRow


class FindRecording(Protocol):
    """The part of the store that is needed here."""

    async def recording(self, recording_id: str) -> RecordingRow | None: ...


log = structlog.get_logger(__name__)

TAP_SECONDS = 10.0
"""How long the last block of a stopped tap may take to reach the disk; then what is there is finished."""


class CallRecorder:
    """The :class:`~mixminus.calls.ports.Recorder` of the real server."""

    def __init__(
        self,
        finisher: Finisher,
        storage: DiskStorage,
        spool_root: Path,
        keeper: Keeper,
        keys: KeyMaker,
        *,
        clock: Clock,
        masters: Path | None = None,
        engine: str = FASTER_WHISPER,
        model: str = "",
        renderings: Renderings | None = None,
        ring: KeyRing | None = None,
        key_words: Sequence[str] = (),
    ) -> None:
        """``masters``: where spools are kept when their file is announced; ``None``: they are removed. ``renderings``
        knows what else is made of every recording. ``ring`` opens sealed spools, and seals notes if it seals at all;
        ``key_words`` tell other processes where its keys are.
        """
        self._ring, self._key_words = ring or KeyRing(), tuple(key_words)
        self._renderings = renderings
        self._clock = clock
        self._engine, self._model = engine, model
        self._masters = masters
        self.notebook = Notebook(spool_root, self._ring.sealing_key if self._ring.seals else None)
        self._finisher = finisher
        self._storage = storage
        self._spool_root = spool_root
        self._keeper = keeper
        self._keys = keys
        self._closed: dict[str, asyncio.Event] = {}
        self._in_hand: set[str] = set()
        """Being finished, or what follows it: their spools are not tidied away."""
        self._empty: set[str] = set()
        """Failed without a sample: once that is told, their spools go too."""

    def folder(self, recording_id: str) -> str:
        return str(self._spool_root / recording_id)

    async def begin(self, row: RecordingRow) -> None:
        await asyncio.to_thread(self._storage.make_ready, self._key(row))
        self._closed[row.id] = asyncio.Event()
        self._follow(row)

    def _follow(self, row: RecordingRow) -> None:
        target = self._storage.path(self._key(row))
        self._finisher.follow(row.id, Path(self.folder(row.id)), _format(row), target, spec_of(row), sidecar=True)

    def _key(self, row: RecordingRow) -> str:
        return self._keys.key(
            row.account, row.created_at, row.id, _format(row), mpc_name=row.mpc_name, owner=row.sub_account
        )

    def note(self, recording_id: str, kind: str, facts: Mapping[str, str | bool]) -> None:
        self.notebook.note(recording_id, self._clock.now().monotonic_ns, kind, facts)

    def tap_over(self, event: TapClosed | TapFailed) -> None:
        """The worker writes no more to this spool; unless it says that it goes on until it is told to stop."""
        goes_on = isinstance(event, TapFailed) and event.writing
        if event.tap in self._closed and not goes_on:
            self._closed[event.tap].set()

    async def finish(self, row: RecordingRow) -> FinishedFile:
        self._in_hand.add(row.id)
        if row.id in self._closed:
            await self._wait(row.id)
        else:
            self._follow(row)  # after a restart: the spool is all there is
        await self.notebook.flush()
        try:
            made = await self._finisher.finish(row.id)
        except StorageError as error:
            self._finisher.forget(row.id)
            if isinstance(error, NoAudio):
                self._empty.add(row.id)
            raise
        if made.sidecar_trouble:
            log.error("a recording has no timeline", recording_id=row.id, error=made.sidecar_trouble)
        report = report_of(made)
        if self._renderings is not None and (impossible := self._renderings.impossible(made.tracks)):
            report["not_rendered"] = impossible
        return FinishedFile(made.samples, made.rate, made.size, made.sha256, self._key(row), report)

    async def _wait(self, recording_id: str) -> None:
        try:
            async with asyncio.timeout(TAP_SECONDS):
                await self._closed[recording_id].wait()
        except TimeoutError:
            log.error("the media worker did not close a tap; finishing what is on disk", recording_id=recording_id)
        finally:
            del self._closed[recording_id]

    async def render(self, row: RecordingRow) -> None:
        if self._renderings is not None:
            await self._renderings.make_all(row, Path(self.folder(row.id)))

    async def transcribe(self, row: RecordingRow) -> str:
        out = beside(self._storage.path(row.file), "transcript.json")
        command = (sys.executable, "-m", "mixminus", "transcriber", "--folder", self.folder(row.id), "--out", str(out))
        chosen = ("--engine", self._engine, "--model", self._model, "--pause-as", spec_of(row).pause_as)
        process = await asyncio.create_subprocess_exec(
            *command, *chosen, *self._key_words, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            _, complaint = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
            raise StorageError(last or f"the transcriber ended with {process.returncode}")
        return str(msgspec.json.decode(await asyncio.to_thread(out.read_bytes))["text"])

    async def discard(self, recording_id: str) -> None:
        keep = None if self._masters is None else self._masters / recording_id
        if self._ring.seals and not await asyncio.to_thread(is_sealed, Path(self.folder(recording_id))):
            keep = None  # it was begun before there was a key
        await self._remove(recording_id, keep)

    async def _remove(self, recording_id: str, keep: Path | None) -> None:
        """``keep``: where the spool goes instead."""
        self._in_hand.discard(recording_id)
        self._keeper.nudge()
        try:
            await self._finisher.discard(recording_id, Path(self.folder(recording_id)), keep)
        except StorageError as error:
            log.error("a finished spool could not be removed", recording_id=recording_id, error=str(error))

    async def _remove_empty(self, recording_id: str) -> None:
        """The spool of a failed recording, if there is nothing in it to rescue."""
        try:
            empty = await asyncio.to_thread(holds_nothing, Path(self.folder(recording_id)), self._ring)
        except StorageError as error:
            log.error("a spool cannot be looked into", recording_id=recording_id, error=str(error))
            return
        if empty:
            await self._remove(recording_id, None)

    async def tidy(self, store: FindRecording) -> None:
        """After a crash: spools whose file is announced already are in nobody's way, but hold sound twice. Those of
        failed recordings stay, unless they are empty.
        """
        names = await asyncio.to_thread(lambda: [folder.name for folder in spools(self._spool_root)])
        live = self._closed.keys() | self._in_hand  # not looked for: there may be hundreds
        for recording_id in [name for name in names if name not in live]:
            row = await store.recording(recording_id)
            if row is None or recording_id in self._in_hand:
                continue
            if row.state == "ready":
                if row.deleted_at is None:
                    await self.render(row)
                await self.discard(recording_id)
            elif row.state == "failed":
                await self._remove_empty(recording_id)

    async def abandon(self, recording_id: str) -> None:
        self._closed.pop(recording_id, None)
        self._in_hand.discard(recording_id)
        self._finisher.forget(recording_id)
        if recording_id in self._empty:
            self._empty.discard(recording_id)
            await self._remove_empty(recording_id)

    async def held(self, row: RecordingRow) -> str:
        return await self._keeper.held(row)

    async def delete(self, owed: ReceiptRow) -> None:
        await self._keeper.remove(owed)


def report_of(made: finish.FinishedFile) -> dict[str, Any]:
    """What the row keeps of what the finisher found."""
    return {
        "complete": made.complete,
        "damage": made.damage,
        "tracks": list(made.tracks),
        "markers": [marker._asdict() for marker in made.markers],
    }


def _format(row: RecordingRow) -> Format:
    return "wav" if row.format == "wav" else "mp3"
