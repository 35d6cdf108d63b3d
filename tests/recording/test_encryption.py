"""The sealed form: every range is read back, and no change goes unnoticed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixminus.errors import ConfigurationError
from mixminus.recording.encryption import (
    HEADER_BYTES,
    KeyRing,
    Sealed,
    key_id,
    new_key,
    plain_size,
    read_key,
    seal,
    unseal,
)

KEY, OTHER = bytes(range(32)), bytes(32)
CHUNK = 64


def sealed(plain: bytes, chunk_bytes: int = CHUNK) -> bytes:
    return b"".join(seal([plain], KEY, chunk_bytes=chunk_bytes))


def opened(file: bytes, start: int = 0, length: int | None = None, ring: KeyRing | None = None) -> bytes:
    def read(begin: int, count: int) -> Iterator[bytes]:
        for at in range(begin, begin + count, 50):
            yield file[at : min(at + 50, begin + count)]

    return b"".join(unseal(read, len(file), ring or KeyRing(KEY), start, length))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 10 * CHUNK + 7])
def test_what_is_sealed_can_be_opened_from_anywhere(size: int) -> None:
    plain = random.Random(size).randbytes(size)
    file = sealed(plain)
    assert plain_size(len(file), CHUNK) == size
    assert plain not in file or size < 2
    for start in range(0, size + 1, 13):
        assert opened(file, start) == plain[start:]
        for length in (0, 1, CHUNK, size):
            assert opened(file, start, length) == plain[start : start + length]


def test_pieces_of_any_size_make_the_same_plain_text() -> None:
    plain = random.Random(1).randbytes(1000)
    file = b"".join(seal((plain[at : at + 7] for at in range(0, 1000, 7)), KEY, chunk_bytes=CHUNK))
    assert opened(file) == plain


def test_only_the_chunks_asked_for_are_read() -> None:
    file, asked = sealed(bytes(100 * CHUNK)), []

    def read(begin: int, count: int) -> list[bytes]:
        asked.append((begin, count))
        return [file[begin : begin + count]]

    assert b"".join(unseal(read, len(file), KeyRing(KEY), 50 * CHUNK, 10)) == bytes(10)
    assert asked == [(0, HEADER_BYTES), (HEADER_BYTES + 50 * (CHUNK + 16), CHUNK + 16)]


def test_no_changed_byte_goes_unnoticed() -> None:
    file = sealed(bytes(range(200)))
    for at in range(len(file)):
        changed = bytearray(file)
        changed[at] ^= 1
        with pytest.raises(Sealed):
            opened(bytes(changed))


def test_no_cut_and_no_exchanged_chunk_goes_unnoticed() -> None:
    file = sealed(bytes(range(200)))
    for length in range(len(file)):
        with pytest.raises(Sealed):
            opened(file[:length])
    step = CHUNK + 16
    first, second = file[HEADER_BYTES : HEADER_BYTES + step], file[HEADER_BYTES + step : HEADER_BYTES + 2 * step]
    with pytest.raises(Sealed, match="chunk 0"):
        opened(file[:HEADER_BYTES] + second + first + file[HEADER_BYTES + 2 * step :])
    with pytest.raises(Sealed, match="chunk 0"):
        opened(sealed(bytes(200))[:HEADER_BYTES] + file[HEADER_BYTES:])


def test_old_keys_still_open_and_a_missing_one_is_named() -> None:
    file = sealed(b"hello")
    assert opened(file, ring=KeyRing(OTHER, [KEY])) == b"hello"
    with pytest.raises(Sealed, match=f"sealed with key {key_id(KEY).hex()}, which is not configured"):
        opened(file, ring=KeyRing(OTHER))


def test_key_files(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(new_key())
    assert len(read_key(path)) == 32
    path.write_text(KEY.hex())
    assert read_key(path) == KEY
    for wrong in ("", "short", "é", "00" * 31):
        path.write_text(wrong)
        with pytest.raises(ConfigurationError, match="new-key"):
            read_key(path)
    with pytest.raises(ConfigurationError, match="nowhere"):
        read_key(tmp_path / "nowhere")
