"""A file that grows sealed: nothing of it is ever on disk in the clear.

It has the format of :mod:`mixminus.recording.encryption`. The first chunk, whose header is set right at the end, and
the one that is being filled are in memory until then.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mixminus.recording.encryption import (
    CHUNK_BYTES,
    HEADER_BYTES,
    TAG_BYTES,
    KeyRing,
    Sealed,
    chunk_nonce,
    make_header,
    unseal,
)
from mixminus.recording.rendering import PIECE_BYTES, Growing, GrowingFile

_STEP = CHUNK_BYTES + TAG_BYTES


class SealedFile:
    """As :class:`~mixminus.recording.rendering.GrowingFile`, for which it stands in; offsets and sizes are of the plain
    content. Only the first 64 KiB can be rewritten.
    """

    def __init__(self, path: Path, head: bytes, *, key: bytes) -> None:
        """``key``: the customer's; the data key is the file's own."""
        self.path = path
        self.size = 0
        self._header, self._ring = make_header(key), KeyRing(key)
        self._cipher = AESGCM(self._header.data_key)
        self._first, self._rest = bytearray(), bytearray()
        self._number = 1
        """Of the chunk that ``_rest`` begins."""
        self._complete = False
        self._file = GrowingFile(path, self._header.raw + bytes(_STEP))
        self.append(head)

    def append(self, data: bytes) -> None:
        room = CHUNK_BYTES - len(self._first)
        self._first += data[:room]
        self._rest += data[room:]
        self.size += len(data)
        while len(self._rest) > CHUNK_BYTES:  # the last chunk must be known to be the last
            self._file.append(self._sealed(self._number, self._rest[:CHUNK_BYTES], last=False))
            del self._rest[:CHUNK_BYTES]
            self._number += 1

    def rewrite(self, offset: int, data: bytes) -> None:
        assert not self._complete and offset + len(data) <= len(self._first), "only the first chunk can still change"
        self._first[offset : offset + len(data)] = data

    def read(self, offset: int, length: int) -> bytes:
        """Plain bytes, opened from disk as far as they are there. Raises :class:`Sealed` for what was changed."""
        return b"".join(self._pieces(offset, min(offset + length, self.size)))

    def content(self) -> Iterator[bytes]:
        """All of it, opened from disk as anybody else would who has the key. Raises :class:`Sealed`."""
        return unseal(self._stored, self._file.size, self._ring)

    def _stored(self, start: int, length: int) -> Iterator[bytes]:
        end = start + length
        while start < end and (piece := self._file.read(start, min(PIECE_BYTES, end - start))):
            yield piece
            start += len(piece)

    def _pieces(self, offset: int, end: int) -> Iterator[bytes]:
        while offset < end:
            number, start = divmod(offset, CHUNK_BYTES)
            piece = self._chunk(number)[start : start + end - offset]
            yield bytes(piece)
            offset += len(piece)

    def _chunk(self, number: int) -> bytes | bytearray:
        if not self._complete and number == 0:
            return self._first
        if not self._complete and number == self._number:
            return self._rest
        last = self._complete and number == self._last
        try:
            sealed = self._file.read(HEADER_BYTES + number * _STEP, _STEP)
            return self._cipher.decrypt(chunk_nonce(number, last=last), sealed, self._header.raw)
        except InvalidTag:
            raise Sealed(f"{self.path} does not hold what was written to it: chunk {number} cannot be opened") from None

    @property
    def _last(self) -> int:
        return self._number if self._rest else 0

    def complete(self) -> None:
        """Nothing more will come: write what was held back, wait for the disk."""
        self._file.rewrite(HEADER_BYTES, self._sealed(0, self._first, last=not self._rest))
        if self._rest:
            self._file.append(self._sealed(self._number, self._rest, last=True))
        else:
            self._file.cut(HEADER_BYTES + len(self._first) + TAG_BYTES)
        self._file.complete()
        self._complete = True

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        self._file.close()

    def _sealed(self, number: int, plain: bytes | bytearray, *, last: bool) -> bytes:
        return self._cipher.encrypt(chunk_nonce(number, last=last), bytes(plain), self._header.raw)


class Reading(io.RawIOBase):
    """Either kind of file, as something to be read and sought in: for libraries."""

    def __init__(self, file: Growing) -> None:
        super().__init__()
        self._file, self._at = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
