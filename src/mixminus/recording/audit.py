"""Everything stored, held against the database: what is missing, changed or unknown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias

from mixminus.errors import StorageError
from mixminus.recording.archive import Archive
from mixminus.recording.retention import recording_id_of
from mixminus.store.rows import RecordingRow

State: TypeAlias = Literal["ok", "missing", "changed", "unreadable", "unknown"]


class Finding(NamedTuple):
    """``unreadable``: a store did not answer, or a key is not there. ``unknown``: a file of no recording."""

    state: State
    key: str
    recording_id: str
    detail: str = ""


def audit(archive: Archive, rows: Iterable[RecordingRow]) -> Iterator[Finding]:
    """Read every announced file to its end, then look for files that nobody knows. Blocking. ``rows``: all that are not
    deleted.
    """
    known = set()
    for row in rows:
        known.add(row.id)
        if row.state == "ready":
            yield _judge(archive, row)
    try:
        for key in archive.names():
            if recording_id_of(key) not in known:
                yield Finding("unknown", key, recording_id_of(key), "no recording of the database has this file")
    except StorageError as error:
        yield Finding("unreadable", "", "", str(error))


def _judge(archive: Archive, row: RecordingRow) -> Finding:
    try:
        if archive.find(row.file) is None:
            return Finding("missing", row.file, row.id, "in no store")
        size, digest = 0, hashlib.sha256()
        for piece in archive.read(row.file):
            digest.update(piece)
            size += len(piece)
    except StorageError as error:
        changed = "was changed" in str(error) or "was cut off" in str(error)
        return Finding("changed" if changed else "unreadable", row.file, row.id, str(error))
    if size != row.size:
        return Finding("changed", row.file, row.id, f"{size} bytes, not {row.size}")
    if digest.hexdigest() != row.sha256:
        return Finding("changed", row.file, row.id, f"SHA-256 {digest.hexdigest()}, not {row.sha256}")
    return Finding("ok", row.file, row.id)
