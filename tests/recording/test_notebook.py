from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from mixminus.recording import notebook
from mixminus.recording.notebook import Notebook
from mixminus.recording.sidecar import NOTES_FILE


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files whose content was synced."""
    paths: list[str] = []
    fdatasync = os.fdatasync

    def spy(descriptor: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", spy)
    return paths


async def test_notes_are_written_together_and_synced(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "DELAY_SECONDS", 0.0)
    book = Notebook(tmp_path)
    for number in range(3):
        book.note("a", number, "joined", {"call_uuid": str(number)})
    book.note("b", 7, "paused", {"by": "api"})
    assert book._writing is not None
    await book._writing
    notes = [json.loads(line) for line in (tmp_path / "a" / NOTES_FILE).read_text().splitlines()]
    assert [note["at_ns"] for note in notes] == [0, 1, 2]
    assert sorted(synced) == [str(tmp_path / name / NOTES_FILE) for name in "ab"]


async def test_the_last_notes_are_synced_when_the_book_is_closed(tmp_path: Path, synced: list[str]) -> None:
    book = Notebook(tmp_path)
    book.note("a", 1, "joined", {})
    await asyncio.sleep(0)
    await book.close()
    assert synced == [str(tmp_path / "a" / NOTES_FILE)]


async def test_a_recording_that_is_finished_meanwhile_needs_no_sync(tmp_path: Path, synced: list[str]) -> None:
    book = Notebook(tmp_path)
    book.note("a", 1, "joined", {})
    await book.flush()
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    await book.close()
    assert synced == []
