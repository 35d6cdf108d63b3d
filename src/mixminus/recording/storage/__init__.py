"""Where finished files live. A key names a file in any store; all files of one recording share its stem."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from mixminus.recording.storage.disk import DiskStorage
from mixminus.recording.storage.keys import KeyMaker, key_of, stem_of

__all__ = ["DiskStorage", "KeyMaker", "Storage", "key_of", "stem_of"]


class Storage(Protocol):
    """A place for finished files. Methods block, and raise StorageError naming the key and whose fault it is."""

    def size(self, key: str) -> int | None:
        """Bytes; ``None`` if there is no such file."""
        ...

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """A range of the content, in pieces. Blocking: not for the event loop's thread."""
        ...

    def delete(self, key: str) -> bool:
        """Remove the file; whether there was one."""
        ...

    def family(self, key: str) -> list[str]:
        """Every file of the recording that ``key`` is a file of: renderings, sidecars, sealed forms."""
        ...

    def names(self) -> Iterator[str]:
        """Every file there is."""
        ...
