"""Sealed spools and notes: what is in them comes back with the key and not without, whatever is cut or garbled."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import msgspec
import pytest

from mixminus.errors import StorageError
from mixminus.recording.encryption import KeyRing, Sealed
from mixminus.recording.journal import SEGMENT_HEADER_BYTES, Block, Kind, SegmentParser
from mixminus.recording.recover import holds_nothing, is_sealed, recover_folder
from mixminus.recording.sealing import new_cipher, open_notes, opener, seal_note
from mixminus.recording.sidecar import read_notes
from mixminus.recording.spool import Spool, segment_files

RATE = 8000
KEY, OTHER = bytes(range(32)), bytes(32)
RING = KeyRing(KEY)
LOUD = b"secret, "
"""Eight bytes, four samples."""


def write(folder: Path, *, seal: bool, blocks: int = 6) -> Path:
    """A spool with every kind of block in it; its segment."""
    spool = Spool.open(folder, rate=RATE, now_ns=5, seal=partial(new_cipher, KEY) if seal else None)
    for number in range(blocks):
        spool.beside([("leg", LOUD * 100)], [[0, "speech", "secret-leg", 0]], number)
        spool.append(LOUD * 99 + number.to_bytes(8, "little"), number)
        spool.gap(number, number)
        spool.pause(number)
        spool.resume(number)
    spool.close(blocks)
    return segment_files(folder)[0]


def parse(data: bytes, ring: KeyRing | None = RING, piece: int = 1000) -> list[Block]:
    parser = SegmentParser(None if ring is None else opener(ring))
    return [block for at in range(0, len(data), piece) for block in parser.feed(data[at : at + piece])]


def test_blocks_come_back_as_they_would_in_the_clear(tmp_path: Path) -> None:
    plain, sealed = (write(tmp_path / str(seal), seal=seal).read_bytes() for seal in (False, True))
    expected = parse(plain)
    assert len(expected) == 6 * 6 + 1 - 1 and {block.kind for block in expected} == set(Kind)
    for piece in (1, 77, 100_000):
        assert parse(sealed, piece=piece) == expected
    assert len(sealed) == len(plain) + 84 + 16 * len(expected)
    assert is_sealed(tmp_path / "True") and not is_sealed(tmp_path / "False")


def test_nothing_is_to_be_read_without_the_key(tmp_path: Path) -> None:
    segment = write(tmp_path / "spool", seal=True)
    data = segment.read_bytes()
    assert b"secret" not in data and b"leg" not in data
    for ring, said in ((None, "no key"), (KeyRing(), "not configured"), (KeyRing(OTHER), "old_key_files")):
        with pytest.raises(StorageError, match=said):
            parse(data, ring)
    with pytest.raises(Sealed):
        recover_folder(tmp_path / "spool", "wav", tmp_path / "x.wav")
    assert recover_folder(tmp_path / "spool", "wav", tmp_path / "x.wav", RING).complete


def test_cut_anywhere_it_holds_every_whole_block_before(tmp_path: Path) -> None:
    data = write(tmp_path / "spool", seal=True, blocks=2).read_bytes()
    everything = parse(data)
    ends = []
    for end in range(len(data) + 1):
        found = parse(data[:end])
        assert found == everything[: len(found)]
        ends.append(len(found))
    assert ends == sorted(ends) and ends[-1] == len(everything)


def test_garbled_anywhere_only_that_block_is_lost_and_nothing_false_comes_out(tmp_path: Path) -> None:
    data = write(tmp_path / "spool", seal=True, blocks=2).read_bytes()
    everything = parse(data)
    randomly = random.Random(1)
    for at in range(SEGMENT_HEADER_BYTES + 84, len(data)):
        garbled = bytearray(data)
        garbled[at] ^= randomly.randrange(1, 256)
        found = parse(bytes(garbled))
        assert len(found) >= len(everything) - 1 and all(block in everything for block in found)
    for at in range(SEGMENT_HEADER_BYTES + 84):
        garbled = bytearray(data)
        garbled[at] ^= 1
        assert parse(bytes(garbled)) == [], "without its header a segment tells nothing"


def test_blocks_cannot_be_exchanged_or_renumbered(tmp_path: Path) -> None:
    """As somebody could who can compute a checksum but has no key."""
    from zlib import crc32

    spool = Spool.open(tmp_path / "spool", rate=RATE, now_ns=0, seal=partial(new_cipher, KEY))
    start = spool.path.stat().st_size
    spool.append(b"\1\0" * 80)
    spool.append(b"\2\0" * 80)
    data = spool.path.read_bytes()
    length = (len(data) - start) // 2
    one, two = data[start : start + length], data[start + length :]
    head = 44
    moved = one[: head - 8] + crc32(two[head:]).to_bytes(4, "little")
    moved += crc32(moved).to_bytes(4, "little") + two[head:]
    assert len(moved) == len(one)
    assert [block.payload for block in parse(data[:start] + moved + two)] == [b"\2\0" * 80]
    spool.close(0)


def test_an_empty_sealed_spool_is_known_as_such(tmp_path: Path) -> None:
    Spool.open(tmp_path, rate=RATE, now_ns=0, seal=partial(new_cipher, KEY)).close(0)
    assert holds_nothing(tmp_path, RING)
    with pytest.raises(Sealed):
        holds_nothing(tmp_path)


def test_notes_are_sealed_line_by_line() -> None:
    note = {"at_ns": 3, "kind": "digit", "digit": "7"}
    lines = [seal_note(msgspec.json.encode({**note, "at_ns": number}), KEY) for number in range(3)]
    data = b"\n".join([*lines, b'{"at_ns": 9, "kind": "plain"}', lines[0][:40], b"~!!"])
    assert b"digit" not in data
    assert [found["at_ns"] for found in read_notes(data, RING)] == [0, 1, 2, 9]
    assert read_notes(data, KeyRing(OTHER, [KEY])) == read_notes(data, RING)
    with pytest.raises(Sealed, match="old_key_files"):
        read_notes(data, KeyRing(OTHER))
    changed = bytearray(lines[0])
    changed[-6] ^= 1
    assert open_notes(bytes(changed), RING) == b""
