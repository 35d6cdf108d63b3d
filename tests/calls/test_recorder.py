"""The real recorder around a finisher process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from mixminus.calls.recorder import CallRecorder
from mixminus.calls.renderings import Renderings
from mixminus.recording.client import Finisher
from mixminus.recording.finish import NoAudio
from mixminus.recording.layouts import wanted
from mixminus.recording.retention import receipt
from mixminus.recording.spool import Spool
from mixminus.recording.storage import KeyMaker
from mixminus.store.db import Store
from mixminus.store.rows import RecordingRow
from mixminus.store.transaction import Transaction
from recording.kept import ACCOUNT, Kept, uuid

SECOND = 1_000_000_000


class Bench:
    """A recorder over a data folder; :meth:`spool` begins a recording's."""

    def __init__(self, data: Path, store: Store, finisher: Finisher) -> None:
        self.kept = Kept(data, store)
        self.root = data / "spool"
        self.renderings = Renderings(
            self.kept.archive,
            data / "masters",
            Finisher,
            always=[wanted("flac:mono"), wanted("wav:stereo:nocoach"), wanted("ogg:mono")],
        )
        self.renderings.placed = self.kept.keeper.placed
        self.recorder = CallRecorder(
            finisher,
            self.kept.archive.local,
            self.root,
            self.kept.keeper,
            KeyMaker(),
            clock=self.kept.clock,
            masters=data / "masters",
            renderings=self.renderings,
        )

    async def row(self, number: int, state: str) -> RecordingRow:
        at = self.kept.clock.wall
        row = RecordingRow(id=uuid(number), account=ACCOUNT, state=state, created_at=at, format="wav")
        await self.kept.store.commit(Transaction(save=(row,)))
        return row

    async def made(self, number: int, *, tracks: bool) -> RecordingRow:
        """A finished recording, committed, whose spool is still there."""
        row = await self.row(number, "finishing")
        self.spool(row, 800, tracks=tracks)
        file = await self.recorder.finish(row)
        ready = msgspec.structs.replace(row, state="ready", file=file.file, report=file.report)
        await self.kept.store.commit(Transaction(save=(ready,)))
        return ready

    def files(self, row: RecordingRow) -> list[str]:
        """Endings of what is there of a recording, sidecars left out."""
        folder = self.kept.archive.local.path(row.file).parent
        found = [path.name.removeprefix(row.id + ".") for path in folder.iterdir()]
        return sorted(name for name in found if not name.endswith(("json", "vtt")))

    def spool(self, row: RecordingRow, samples: int, *, tracks: bool = False) -> Path:
        spool = Spool.open(self.root / row.id, rate=8000, now_ns=0)
        if tracks:
            spool.beside([("somebody", bytes(2 * samples))], [])
        if samples:
            spool.append(bytes(2 * samples))
        spool.close(SECOND)
        return self.root / row.id


@asynccontextmanager
async def bench(data: Path) -> AsyncIterator[Bench]:
    store, finisher = await Store.open(data), Finisher()
    await finisher.start()
    try:
        b = Bench(data, store, finisher)
        try:
            yield b
        finally:
            await b.renderings.close()
    finally:
        await finisher.stop()
        await store.close()


async def test_a_recording_without_a_sample_leaves_nothing_on_the_disk(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        row = await b.row(1, "finishing")
        folder = b.spool(row, 0)
        with pytest.raises(NoAudio, match="no audio was recorded"):
            await b.recorder.finish(row)
        assert folder.exists(), "it stays until the failure is told"
        await b.recorder.abandon(row.id)
        assert not folder.exists() and not (tmp_path / "masters" / row.id).exists()


async def test_a_garbled_spool_stays_for_rescue(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        row = await b.row(1, "finishing")
        folder = b.spool(row, 800)
        (segment,) = folder.iterdir()
        segment.write_bytes(segment.read_bytes().replace(b"MXSG", b"XXXX"))
        with pytest.raises(NoAudio):
            await b.recorder.finish(row)
        await b.recorder.abandon(row.id)
        assert segment.exists()


async def test_what_crashes_left_is_tidied_and_what_holds_sound_is_not(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        empty, broken, ready = [await b.row(n, state) for n, state in ((1, "failed"), (2, "failed"), (3, "ready"))]
        samples = ((empty, 0), (broken, 800), (ready, 800))
        for row, count in samples:
            b.spool(row, count)
        await b.recorder.tidy(b.kept.store)
        assert [(b.root / row.id).exists() for row, _ in samples] == [False, True, False]
        assert [folder.name for folder in (tmp_path / "masters").iterdir()] == [ready.id]


async def test_a_spool_still_in_use_is_not_tidied_away(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        row = await b.row(1, "finishing")
        folder = b.spool(row, 800)
        file = await b.recorder.finish(row)
        ready = msgspec.structs.replace(row, state="ready", file=file.file, report=file.report)
        await b.kept.store.commit(Transaction(save=(ready,)))
        await b.recorder.tidy(b.kept.store)
        assert folder.exists(), "a transcript, say, is made of it"
        await b.recorder.discard(row.id)
        assert not folder.exists()


async def test_what_is_being_recorded_is_not_asked_for_when_another_ends(tmp_path: Path) -> None:
    class Asked:
        def __init__(self, store: Store) -> None:
            self.store = store
            self.ids: list[str] = []

        async def recording(self, recording_id: str) -> RecordingRow | None:
            self.ids.append(recording_id)
            return await self.store.recording(recording_id)

    async with bench(tmp_path) as b:
        live, over = await b.row(1, "recording"), await b.row(2, "ready")
        await b.recorder.begin(live)
        b.spool(live, 800)
        b.spool(over, 800)
        asked = Asked(b.kept.store)
        await b.recorder.tidy(asked)
        assert asked.ids == [over.id]
        assert (b.root / live.id).exists() and not (b.root / over.id).exists()


async def test_what_is_made_of_every_recording_is_made_and_goes_with_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        row = await b.made(1, tracks=True)
        await b.recorder.render(row)
        assert b.files(row) == ["flac", "ogg", "stereo.nocoach.wav", "wav"]
        assert "not_rendered" not in row.report
        await b.recorder.discard(row.id)
        await b.kept.keeper.remove(receipt(row, b.kept.clock.wall, "request"))
        assert b.files(row) == [] and not (tmp_path / "masters" / row.id).exists()


async def test_what_was_not_recorded_is_told_and_the_rest_is_made(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        row = await b.made(1, tracks=False)
        assert list(row.report["not_rendered"]) == ["wav:stereo:nocoach"]
        assert "kept the mix only" in row.report["not_rendered"]["wav:stereo:nocoach"]
        await b.recorder.render(row)
        assert b.files(row) == ["flac", "ogg", "wav"]


async def test_renderings_a_crash_prevented_are_made_before_the_spool_goes(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        row = await b.made(1, tracks=True)
        await b.recorder.abandon(row.id)  # what a new process knows of it
        await b.recorder.tidy(b.kept.store)
        assert b.files(row) == ["flac", "ogg", "stereo.nocoach.wav", "wav"]
        assert not (b.root / row.id).exists()


async def test_a_rendering_that_comes_after_the_deletion_goes_too(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        row = await b.made(1, tracks=True)
        left = receipt(row, b.kept.clock.wall, "request")
        deleted = msgspec.structs.replace(row, deleted_at=b.kept.clock.wall, file="")
        await b.kept.store.commit(Transaction(save=(deleted, left)))
        await b.recorder.render(row)
        assert b.files(row) == []


async def test_who_asks_while_they_are_made_is_told_to_come_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        row = await b.made(1, tracks=True)
        making = asyncio.create_task(b.recorder.render(row))
        await asyncio.sleep(0)
        assert await b.renderings.key(row, "mp3", "stereo", coach=True) is None
        await making
        assert await b.renderings.key(row, "flac", "mono", coach=True) == f"{row.file.removesuffix('wav')}flac"


async def test_only_what_a_supervisor_said_while_coaching_is_left_out(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        row = await b.row(1, "finishing")
        spool = Spool.open(b.root / row.id, rate=8000, now_ns=0)
        voice = np.full(4000, 1000, "<i2").tobytes()
        for _ in range(10):
            spool.beside([("sup", voice)], [])
            spool.append(voice)
        spool.close(5 * SECOND)
        for second, coaching in ((0, False), (2, True), (3, False)):
            facts: dict[str, str | bool] = {"call_uuid": "sup", "role": "supervisor", "coach_mode": coaching}
            b.kept.clock.monotonic_ns = second * SECOND
            b.recorder.note(row.id, "present" if second == 0 else "changed", facts)
        file = await b.recorder.finish(row)
        ready = msgspec.structs.replace(row, state="ready", file=file.file, report=file.report)
        await b.recorder.render(ready)
        path = b.kept.archive.local.path(file.file).with_name(f"{row.id}.stereo.nocoach.wav")
        pcm, _ = soundfile.read(path, dtype="int16")
        silent = np.flatnonzero(pcm[:, 1] == 0)
        assert (silent == np.arange(14_400, 25_600)).all() and len(pcm) == 40_000
