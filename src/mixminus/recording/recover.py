"""After a crash: every spool that is left becomes a file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from mixminus.errors import StorageError
from mixminus.recording import finish
from mixminus.recording.client import Finisher
from mixminus.recording.encryption import KeyRing
from mixminus.recording.finish import FinishedFile, Job
from mixminus.recording.journal import SEGMENT_HEADER_BYTES, SegmentParser, decode_segment
from mixminus.recording.protocol import Follow
from mixminus.recording.rendering import Format
from mixminus.recording.sealing import opener
from mixminus.recording.spool import disk_error, segment_files

_AT_ONCE = 4
_EMPTY_BYTES = 1 << 16
"""A longer segment is not looked into: headers and marks alone are never that long."""


def spools(root: Path) -> list[Path]:
    """The spool folders below ``root``, one per recording, in order of name. Raises StorageError if unreadable."""
    try:
        return sorted(folder for folder in root.iterdir() if folder.is_dir() and segment_files(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise disk_error(error, root, "listing spools in") from error


def holds_nothing(folder: Path, ring: KeyRing | None = None) -> bool:
    """Whether a spool is whole and without a single sample, so that there is nothing in it to rescue. Damage counts as
    something. Raises StorageError if unreadable.
    """
    files = segment_files(folder)
    try:
        return all(path.stat().st_size <= _EMPTY_BYTES and _silent(path.read_bytes(), ring) for path in files)
    except OSError as error:
        raise disk_error(error, folder, "reading") from error


def is_sealed(folder: Path) -> bool:
    """Whether every segment is. False for what cannot be read."""
    return all(_header_is_sealed(path) for path in segment_files(folder))


def _header_is_sealed(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            header = decode_segment(file.read(SEGMENT_HEADER_BYTES))
    except OSError:
        return False
    return header is not None and header.sealed


def _silent(segment: bytes, ring: KeyRing | None) -> bool:
    parser = SegmentParser(opener(ring or KeyRing()))
    samples = sum(block.samples for block in parser.feed(segment))
    return not (samples or parser.damage or parser.pending)


async def recover(
    finisher: Finisher,
    unfinished: Iterable[Follow],
    settled: Callable[[str, FinishedFile | StorageError], Awaitable[None]],
) -> None:
    """Finish what the database has as unfinished, a few at a time; tell ``settled`` of each, whatever came of it.

    ``settled`` gets the recording id and the verified file or the reason, and commits it; discarding the spool is its
    business too.
    """
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(entry: Follow) -> None:
        async with room:
            finisher.follow(entry.recording_id, Path(entry.folder), entry.format, Path(entry.target))
            outcome: FinishedFile | StorageError
            try:
                outcome = await finisher.finish(entry.recording_id)
            except StorageError as error:
                finisher.forget(entry.recording_id)
                outcome = error
            await settled(entry.recording_id, outcome)

    async with asyncio.TaskGroup() as group:
        for entry in unfinished:
            group.create_task(one(entry))


def recover_folder(folder: Path, format: Format, target: Path, ring: KeyRing | None = None) -> FinishedFile:
    """A rescued spool folder into a verified file, here and now; ``ring`` opens a sealed one. Raises StorageError; the
    spool stays.
    """
    return finish.run(Job(folder, format, target, ring=ring))
