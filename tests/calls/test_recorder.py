"""The real recorder around a finisher process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from mixminus.calls.recorder import CallRecorder
from mixminus.recording.client import Finisher
from mixminus.recording.finish import NoAudio
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
        self.recorder = CallRecorder(
            finisher,
            self.kept.archive.local,
            self.root,
            self.kept.keeper,
            KeyMaker(),
            clock=self.kept.clock,
            masters=data / "masters",
        )

    async def row(self, number: int, state: str) -> RecordingRow:
        at = self.kept.clock.wall
        row = RecordingRow(id=uuid(number), account=ACCOUNT, state=state, created_at=at, format="wav")
        await self.kept.store.commit(Transaction(save=(row,)))
        return row

    def spool(self, row: RecordingRow, samples: int) -> Path:
        spool = Spool.open(self.root / row.id, rate=8000, now_ns=0)
        if samples:
            spool.append(bytes(2 * samples))
        spool.close(SECOND)
        return self.root / row.id


@asynccontextmanager
async def bench(data: Path) -> AsyncIterator[Bench]:
    store, finisher = await Store.open(data), Finisher()
    await finisher.start()
    try:
        yield Bench(data, store, finisher)
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
        ready = msgspec.structs.replace(row, state="ready", file=file.file)
        await b.kept.store.commit(Transaction(save=(ready,)))
        await b.recorder.tidy(b.kept.store)
        assert folder.exists(), "a transcript, say, is made of it"
        await b.recorder.discard(row.id)
        assert not folder.exists()
