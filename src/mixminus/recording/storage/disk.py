"""Finished files in a local folder."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mixminus.errors import StorageError
from mixminus.recording.spool import disk_error, make_folder, sync_folder
from mixminus.recording.storage.keys import check_key, is_key, stem_of

_READ_BYTES = 1 << 16
LEAST_FREE_BYTES = 4 << 20
"""With less, no recording is begun: it would not get far. Half an hour of mp3."""


class DiskStorage:
    """A :class:`~mixminus.recording.storage.Storage` in a folder. The finisher writes straight to :meth:`path`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where ``key`` is or will be. Raises StorageError for what is no key (it might lead out of the folder)."""
        return self.root / check_key(key)

    def make_ready(self, key: str) -> None:
        """Raises StorageError, saying what to do, if ``key`` could not be written now."""
        folder = self.path(key).parent
        try:
            make_folder(folder)
        except OSError as error:
            raise disk_error(error, folder, "creating") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise disk_error(PermissionError(errno.EACCES, os.strerror(errno.EACCES)), folder, "writing to")
        free = self.free_bytes()
        if free < LEAST_FREE_BYTES:
            raise StorageError(f"disk full: {free} bytes are free for {folder}; free some space")

    def size(self, key: str) -> int | None:
        path = self.path(key)
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(error, path, "looking at") from error

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        path = self.path(key)
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(start)
                left = length if length is not None else path.stat().st_size - start
                while left > 0 and (data := file.read(min(left, _READ_BYTES))):
                    left -= len(data)
                    yield data
        except OSError as error:
            raise disk_error(error, path, "reading") from error

    def delete(self, key: str) -> bool:
        path = self.path(key)
        try:
            path.unlink()
            sync_folder(path.parent)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise disk_error(error, path, "deleting") from error
        return True

    def family(self, key: str) -> list[str]:
        """Every file of the recording that ``key`` is a file of, sorted."""
        folder, stem = self.path(key).parent, stem_of(key)
        try:
            names = [path.relative_to(self.root).as_posix() for path in folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise disk_error(error, folder, "listing") from error
        return sorted(name for name in names if is_key(name) and stem_of(name) == stem)

    def names(self) -> Iterator[str]:
        """Every finished file below the folder."""
        try:
            for folder, _, names in os.walk(self.root):
                for name in sorted(names):
                    key = (Path(folder) / name).relative_to(self.root).as_posix()
                    if is_key(key):
                        yield key
        except OSError as error:
            raise disk_error(error, self.root, "listing") from error

    def free_bytes(self) -> int:
        """Bytes that can still be written on this disk."""
        root = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        try:
            return shutil.disk_usage(root).free
        except OSError as error:
            raise disk_error(error, root, "measuring") from error
