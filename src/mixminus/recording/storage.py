"""Where finished files live. A key names a file in any store: ``{account}/{yyyy}/{mm}/{recording_id}.{format}``."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

from mixminus.errors import StorageError
from mixminus.recording.rendering import Format
from mixminus.recording.spool import disk_error, sync_folder

_KEY = re.compile(r"[A-Za-z0-9]+/\d{4}/\d{2}/[A-Za-z0-9-]+\.(mp3|wav)")
_READ_BYTES = 1 << 16


class Storage(Protocol):
    """A place for finished files. Methods raise StorageError naming the key and whose fault it is."""

    def size(self, key: str) -> int | None:
        """Bytes; ``None`` if there is no such file."""
        ...

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """A range of the content, in pieces. Blocking: not for the event loop's thread."""
        ...

    def delete(self, key: str) -> bool:
        """Remove the file; whether there was one."""
        ...


def key_of(account: str, created_at: datetime, recording_id: str, format: Format) -> str:
    """The key of a recording's file. AssertionError if the parts would not make a safe path."""
    key = f"{account}/{created_at:%Y}/{created_at:%m}/{recording_id}.{format}"
    assert _KEY.fullmatch(key), f"unsafe recording key {key!r}"
    return key


class DiskStorage:
    """A :class:`Storage` in a local folder. The finisher writes straight to :meth:`path`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where ``key`` is or will be. Raises StorageError for what is no key (it might lead out of the folder)."""
        if not _KEY.fullmatch(key):
            raise StorageError(f"{key!r} is not the key of a recording")
        return self.root / key

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

    def free_bytes(self) -> int:
        """Bytes that can still be written on this disk."""
        root = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        try:
            return shutil.disk_usage(root).free
        except OSError as error:
            raise disk_error(error, root, "measuring") from error
