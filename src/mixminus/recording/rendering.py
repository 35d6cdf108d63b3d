"""What every file format has in common: samples go in at the end, one header is set right last.

A rendering writes; its twin in :mod:`mixminus.recording.verify` reads back. Both raise
:class:`~mixminus.errors.StorageError` when the disk refuses.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from mixminus.errors import StorageError
from mixminus.recording.spool import disk_error

Format: TypeAlias = Literal["mp3", "wav", "flac", "ogg"]
"""``ogg`` is Opus in Ogg."""
MOST_CHANNELS: dict[Format, int] = {"mp3": 2, "wav": 64, "flac": 8, "ogg": 64}

PIECE_BYTES = 1 << 20
_SYNC_BYTES = 1 << 20
"""Written bytes after which the disk is made to keep up, so that little is left to sync at the end."""


class Growing(Protocol):
    """The file beneath a rendering: :class:`GrowingFile`, or one that is sealed. Errors are StorageErrors."""

    path: Path
    size: int

    def append(self, data: bytes) -> None: ...
    def rewrite(self, offset: int, data: bytes) -> None: ...
    def read(self, offset: int, length: int) -> bytes: ...
    def content(self) -> Iterator[bytes]: ...
    def complete(self) -> None: ...
    def close(self) -> None: ...


OpenFile: TypeAlias = Callable[[Path, bytes], Growing]
"""(path, what it begins with) → the file."""


class Rendering(Protocol):
    """A file in the making. ``samples`` counts what was written, of each channel, at ``rate`` Hz."""

    rate: int
    samples: int
    file: Growing

    def write(self, pcm: bytes) -> None:
        """Add samples, int16 little-endian, channels interleaved; any number of whole frames."""
        ...

    def finish(self) -> int:
        """Write what is held back, set the header right, wait for the disk; returns :attr:`samples`."""
        ...

    def close(self) -> None:
        """Let go of the file; no more can be written."""
        ...


class GrowingFile:
    """A file that grows at its end and whose start is rewritten once. Errors are StorageErrors naming the path.

    ``head`` is what it begins with.
    """

    def __init__(self, path: Path, head: bytes) -> None:
        self.path = path
        self.size = 0
        self._unsynced = 0
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise disk_error(error, path, "creating") from error
        try:
            self.append(head)
        except StorageError:
            self.close()
            raise

    def append(self, data: bytes) -> None:
        """Write at the end."""
        self.rewrite(self.size, data)
        self.size += len(data)
        self._unsynced += len(data)
        if self._unsynced >= _SYNC_BYTES:
            self.sync()

    def rewrite(self, offset: int, data: bytes) -> None:
        """Write at ``offset`` without moving the end."""
        rest = memoryview(data)
        try:
            while rest:
                done = os.pwrite(self._descriptor, rest, offset)
                rest, offset = rest[done:], offset + done
        except OSError as error:
            raise disk_error(error, self.path, "writing") from error

    def read(self, offset: int, length: int) -> bytes:
        """What the disk gives back. Shorter at the end of the file."""
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(offset)
                return file.read(length)
        except OSError as error:
            raise disk_error(error, self.path, "reading back") from error

    def content(self) -> Iterator[bytes]:
        """All of it, as the disk gives it back."""
        offset = 0
        while piece := self.read(offset, PIECE_BYTES):
            yield piece
            offset += len(piece)

    def cut(self, size: int) -> None:
        """Leave out what is after ``size`` bytes."""
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            raise disk_error(error, self.path, "cutting") from error
        self.size = size

    def complete(self) -> None:
        """Nothing more will come: wait for the disk."""
        self.sync()

    def sync(self) -> None:
        """Wait until the content is safe against a power cut."""
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise disk_error(error, self.path, "syncing") from error
        self._unsynced = 0

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
