"""Encryption at rest: an envelope of AES-256-GCM in chunks, so that any range can be read without the rest.

A sealed file is a header and then chunks. Integers are big-endian::

    header   magic "MXEN" · version u16 (1) · flags u16 (0) · chunk size u32, plain bytes · key id 8 bytes ·
             wrap nonce 12 bytes · wrapped data key 48 bytes                                        80 bytes in all
    chunk    ciphertext of the next ``chunk size`` bytes (the last: of what is left) · tag 16 bytes

Every file has a data key of its own, 32 random bytes, wrapped (AES-256-GCM, additional data: the header before the wrap
nonce) under the customer's key. The key id is the first 8 bytes of SHA-256 of ``"mixminus key id"`` and that key. Chunk
``n`` has the nonce ``1 if it is the last else 0`` (u32) · ``n`` (u64) and the whole header as additional data: chunks
cannot be changed, reordered, left out, cut off or moved to another file. An empty file has one empty chunk.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mixminus.errors import ConfigurationError, StorageError

VERSION = 1
CHUNK_BYTES = 1 << 16
KEY_BYTES = 32
TAG_BYTES = 16
SUFFIX = ".mxen"
"""What the name of a sealed file ends in."""

_MAGIC = b"MXEN"
_FIXED = struct.Struct(">4sHHI8s")
_NONCE_BYTES = 12
_CHUNK_NONCE = struct.Struct(">IQ")
HEADER_BYTES = _FIXED.size + _NONCE_BYTES + KEY_BYTES + TAG_BYTES
_LARGEST_CHUNK = 1 << 24

ReadRange = Callable[[int, int], Iterable[bytes]]
"""(start, length) → those bytes of the sealed file, in pieces."""


class Sealed(StorageError):
    """A sealed file cannot be opened: no key for it, or it was changed."""


def key_id(key: bytes) -> bytes:
    """8 bytes that name a key without telling it."""
    return hashlib.sha256(b"mixminus key id" + key).digest()[:8]


def new_key() -> str:
    """A fresh key as the text of a key file: base64 of 32 random bytes, and a line feed."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n"


def read_key(path: Path) -> bytes:
    """The 32 bytes of a key file: base64 or hexadecimal text. Raises ConfigurationError naming the file and the fix."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"key file {path}: {error}; make one with 'mixminus recordings new-key'") from None
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"key file {path}: holds no key of 32 bytes in base64 or hexadecimal;"
            " make one with 'mixminus recordings new-key'"
        )
    return key


class KeyRing:
    """The customer's keys by id: all of them open, ``sealing`` also seals."""

    def __init__(self, sealing: bytes | None = None, old: Sequence[bytes] = ()) -> None:
        self._first = sealing
        self._keys = {key_id(key): key for key in (*old, *([sealing] if sealing is not None else []))}

    @property
    def seals(self) -> bool:
        return self._first is not None

    @property
    def sealing_key(self) -> bytes:
        assert self._first is not None, "asked to seal without a key"
        return self._first

    def key(self, wanted: bytes) -> bytes:
        """Raises :class:`Sealed` naming the missing key's id."""
        if wanted not in self._keys:
            known = ", ".join(one.hex() for one in self._keys) or "none"
            raise Sealed(
                f"sealed with key {wanted.hex()}, which is not configured (known: {known});"
                " name its file in storage.old_key_files"
            )
        return self._keys[wanted]


class Header(NamedTuple):
    """What the first 80 bytes say; ``raw`` are they."""

    chunk_bytes: int
    data_key: bytes
    raw: bytes


def make_header(key: bytes, *, chunk_bytes: int = CHUNK_BYTES) -> Header:
    """Header of a new file, with a fresh data key."""
    data_key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(_NONCE_BYTES)
    fixed = _FIXED.pack(_MAGIC, VERSION, 0, chunk_bytes, key_id(key))
    return Header(chunk_bytes, data_key, fixed + nonce + AESGCM(key).encrypt(nonce, data_key, fixed))


def read_header(raw: bytes, ring: KeyRing) -> Header:
    """Raises :class:`Sealed` for what is no sealed file, of an unknown version, without its key, or changed."""
    if len(raw) < HEADER_BYTES or raw[:4] != _MAGIC:
        raise Sealed("not a sealed file: it does not begin with MXEN")
    _, version, flags, chunk_bytes, wanted = _FIXED.unpack_from(raw)
    if version != VERSION or flags:
        raise Sealed(f"sealed in version {version} (flags {flags}) of the format; known is version {VERSION}")
    if not 0 < chunk_bytes <= _LARGEST_CHUNK:
        raise Sealed(f"the header tells a chunk size of {chunk_bytes}: it was changed")
    nonce, wrapped = raw[_FIXED.size : _FIXED.size + _NONCE_BYTES], raw[_FIXED.size + _NONCE_BYTES : HEADER_BYTES]
    try:
        data_key = AESGCM(ring.key(wanted)).decrypt(nonce, wrapped, raw[: _FIXED.size])
    except InvalidTag:
        raise Sealed("the header was changed: its data key cannot be unwrapped") from None
    return Header(chunk_bytes, data_key, raw[:HEADER_BYTES])


def plain_size(sealed_size: int, chunk_bytes: int) -> int:
    """Bytes in a sealed file of ``sealed_size``. Raises :class:`Sealed` for a size no sealed file has."""
    body = sealed_size - HEADER_BYTES
    chunks = -(-body // (chunk_bytes + TAG_BYTES))
    size = body - TAG_BYTES * chunks
    if body < TAG_BYTES or (chunks > 1 and size <= (chunks - 1) * chunk_bytes):
        raise Sealed(f"a sealed file cannot have {sealed_size} bytes: it was cut off")
    return size


def chunk_nonce(number: int, *, last: bool) -> bytes:
    """Under the file's data key. Each is used once."""
    return _CHUNK_NONCE.pack(last, number)


def seal(plain: Iterable[bytes], key: bytes, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The sealed file of ``plain``, piece by piece."""
    header = make_header(key, chunk_bytes=chunk_bytes)
    yield header.raw
    cipher, number, buffer = AESGCM(header.data_key), 0, bytearray()
    for piece in plain:
        buffer += piece
        while len(buffer) > chunk_bytes:  # the last chunk must be known to be the last
            yield cipher.encrypt(_CHUNK_NONCE.pack(0, number), bytes(buffer[:chunk_bytes]), header.raw)
            del buffer[:chunk_bytes]
            number += 1
    yield cipher.encrypt(_CHUNK_NONCE.pack(1, number), bytes(buffer), header.raw)


def unseal(
    read: ReadRange, sealed_size: int, ring: KeyRing, start: int = 0, length: int | None = None
) -> Iterator[bytes]:
    """Plain bytes from ``start``, ``length`` of them or to the end; only the chunks they lie in are read.

    Raises :class:`Sealed` as soon as something does not fit; every byte given out before was genuine.
    """
    header = read_header(b"".join(read(0, min(HEADER_BYTES, sealed_size))), ring)
    size, step = plain_size(sealed_size, header.chunk_bytes), header.chunk_bytes + TAG_BYTES
    end = size if length is None else min(start + length, size)
    if start >= end and size > 0:
        return
    last = max(0, -(-size // header.chunk_bytes) - 1)
    first, final = start // header.chunk_bytes, max(0, end - 1) // header.chunk_bytes
    begin = HEADER_BYTES + first * step
    pieces = read(begin, min((final - first + 1) * step, sealed_size - begin))
    cipher = AESGCM(header.data_key)
    for number, chunk in enumerate(_chunks(pieces, step), start=first):
        try:
            plain = cipher.decrypt(_CHUNK_NONCE.pack(number == last, number), chunk, header.raw)
        except InvalidTag:
            raise Sealed(f"chunk {number} of the sealed file was changed, or the file was cut off there") from None
        offset = number * header.chunk_bytes
        yield plain[max(0, start - offset) : end - offset]


def _chunks(pieces: Iterable[bytes], step: int) -> Iterator[bytes | memoryview]:
    """Of ``step`` bytes each; the last may be shorter."""
    rest = b""
    for piece in pieces:
        data = memoryview(rest + piece if rest else piece)
        whole = len(data) - len(data) % step
        for at in range(0, whole, step):
            yield data[at : at + step]
        rest = bytes(data[whole:])
    if rest:
        yield rest
