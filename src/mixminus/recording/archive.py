"""Reading and removing finished files wherever they are: here, in the store, sealed or not. Keys are those of the
plain files, as the database has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mixminus.errors import StorageError
from mixminus.recording.encryption import HEADER_BYTES, SUFFIX, KeyRing, plain_size, read_header, unseal
from mixminus.recording.storage import DiskStorage, Storage


class Place(NamedTuple):
    """Where a file was found: the store, its name there and its size there."""

    store: Storage
    key: str
    size: int

    @property
    def sealed(self) -> bool:
        return self.key.endswith(SUFFIX)


class Archive:
    """A :class:`~mixminus.recording.storage.Storage` of plain files over a local folder and, if set, a remote store."""

    def __init__(self, local: DiskStorage, remote: Storage | None = None, ring: KeyRing | None = None) -> None:
        self.local = local
        self.remote = remote
        self.ring = ring or KeyRing()

    def find(self, key: str) -> Place | None:
        """The nearest copy. Raises StorageError when a store cannot be asked."""
        for store in (self.local, self.remote):
            if store is None:
                continue
            for name in (key, key + SUFFIX):
                size = store.size(name)
                if size is not None:
                    return Place(store, name, size)
        return None

    def size(self, key: str) -> int | None:
        place = self.find(key)
        if place is None or not place.sealed:
            return None if place is None else place.size
        raw = b"".join(place.store.read(place.key, 0, min(HEADER_BYTES, place.size)))
        return plain_size(place.size, read_header(raw, self.ring).chunk_bytes)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        place = self.find(key)
        if place is None:
            raise StorageError(f"{key} is in no store")
        if not place.sealed:
            return place.store.read(place.key, start, length)
        return unseal(
            lambda begin, count: place.store.read(place.key, begin, count), place.size, self.ring, start, length
        )

    def delete(self, key: str) -> bool:
        """Every copy of this one file."""
        stores = [store for store in (self.local, self.remote) if store is not None]
        removed = [store.delete(name) for store in stores for name in (key, key + SUFFIX)]
        return any(removed)

    def family(self, key: str) -> list[str]:
        return sorted({name.removesuffix(SUFFIX) for store in self._stores() for name in store.family(key)})

    def names(self) -> Iterator[str]:
        yield from sorted({name.removesuffix(SUFFIX) for store in self._stores() for name in store.names()})

    def delete_family(self, key: str) -> tuple[str, ...]:
        """Remove all files of a recording from every store; their names, without copies."""
        names = tuple(self.family(key))
        for name in names:
            self.delete(name)
        return names

    def _stores(self) -> tuple[Storage, ...]:
        return (self.local,) if self.remote is None else (self.local, self.remote)
