"""The spool format: what a recording looks like on disk while it is made.

A recording is a folder of segments, ``seg-000001.spool`` and on; a writer that is replaced begins a new one. A segment
is a header and then blocks. All integers are little-endian, samples are signed 16-bit mono::

    segment   magic "MXSG" · version u16 · flags u16 (1: begins paused) · rate u32 Hz · monotonic i64 ns ·
              wall i64 ns · boot id 16 bytes · crc32 of all this u32
    block     magic "MXBK" · kind u8 · 0 u8 · 0 u16 · payload length u32 · sequence u32 · position u64 samples ·
              monotonic i64 ns · crc32 of payload u32 · crc32 of all this u32 · payload

``position`` counts the samples of the segment before this block, recorded and GAP alike; paused time has none.
``sequence`` rises by one per block. Both let a reader tell what damage took away.

Reading never raises on bad bytes. A cut-off end is simply not there yet; garbled bytes are skipped up to the next whole
block and counted. The time between two segments becomes silence of its measured length, unless it was paused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, NamedTuple, TypeAlias
from zlib import crc32

VERSION = 1
SAMPLE_BYTES = 2
MAX_PAYLOAD = 1 << 20
"""Bytes; a longer length is damage."""
MAX_GAP_SECONDS = 3600
"""Longest silence put in for one gap or one damaged stretch; a marker still tells the true time."""

_SEGMENT_MAGIC = b"MXSG"
_BLOCK_MAGIC = b"MXBK"
_SEGMENT = struct.Struct("<4sHHIqq16s")
_BLOCK = struct.Struct("<4sBBHIIQqI")
_CRC = struct.Struct("<I")
_GAP = struct.Struct("<Q")
SEGMENT_HEADER_BYTES = _SEGMENT.size + _CRC.size
BLOCK_HEADER_BYTES = _BLOCK.size + _CRC.size
_MIN_RATE, _MAX_RATE = 4000, 192_000


class Kind(IntEnum):
    """What a block says."""

    AUDIO = 1
    """Payload: samples."""
    PAUSE = 2
    RESUME = 3
    GAP = 4
    """Samples that were never mixed or could not be kept; payload: their number, u64."""
    END = 5
    """The writer closed the recording."""


class SegmentHeader(NamedTuple):
    """Where a segment begins in time. ``monotonic_ns`` counts from the boot named by ``boot_id`` (16 bytes)."""

    rate: int
    monotonic_ns: int
    wall_ns: int
    boot_id: bytes
    paused: bool = False


class Block(NamedTuple):
    """One whole, checked block. ``payload`` is empty but for AUDIO and GAP."""

    kind: Kind
    sequence: int
    position: int
    monotonic_ns: int
    payload: bytes = b""

    @property
    def samples(self) -> int:
        """Samples this block stands for."""
        if self.kind is Kind.AUDIO:
            return len(self.payload) // SAMPLE_BYTES
        return int(_GAP.unpack(self.payload)[0]) if self.kind is Kind.GAP else 0


def encode_segment(header: SegmentHeader) -> bytes:
    """The first bytes of a segment file."""
    body = _SEGMENT.pack(
        _SEGMENT_MAGIC,
        VERSION,
        int(header.paused),
        header.rate,
        header.monotonic_ns,
        header.wall_ns,
        header.boot_id,
    )
    return body + _CRC.pack(crc32(body))


def encode_block_header(
    kind: Kind, sequence: int, position: int, monotonic_ns: int, payload: bytes | memoryview
) -> bytes:
    """What goes before ``payload`` (at most ``MAX_PAYLOAD`` bytes; whole samples for AUDIO)."""
    body = _BLOCK.pack(
        _BLOCK_MAGIC, kind, 0, 0, len(payload), sequence & 0xFFFFFFFF, position, monotonic_ns, crc32(payload)
    )
    return body + _CRC.pack(crc32(body))


def encode_gap(samples: int) -> bytes:
    """Payload of a GAP block."""
    return _GAP.pack(samples)


def decode_segment(data: bytes | bytearray | memoryview) -> SegmentHeader | None:
    """The header at the start of ``data``; ``None`` if it is not whole and sound."""
    if len(data) < SEGMENT_HEADER_BYTES:
        return None
    body = data[: _SEGMENT.size]
    magic, version, flags, rate, monotonic_ns, wall_ns, boot_id = _SEGMENT.unpack(body)
    sound = magic == _SEGMENT_MAGIC and version == VERSION and _CRC.unpack_from(data, _SEGMENT.size)[0] == crc32(body)
    if not sound or not _MIN_RATE <= rate <= _MAX_RATE:
        return None
    return SegmentHeader(rate, monotonic_ns, wall_ns, boot_id, bool(flags & 1))


class _Head(NamedTuple):
    kind: Kind
    length: int
    sequence: int
    position: int
    monotonic_ns: int
    payload_crc: int


def _decode_head(data: bytearray, offset: int) -> _Head | None:
    """The block header at ``offset``, which must lie wholly in ``data``; ``None`` if it is damaged."""
    magic, kind, _, _, length, sequence, position, monotonic_ns, payload_crc = _BLOCK.unpack_from(data, offset)
    end = offset + _BLOCK.size
    if magic != _BLOCK_MAGIC or _CRC.unpack_from(data, end)[0] != crc32(memoryview(data)[offset:end]):
        return None
    expected = {Kind.AUDIO: length - length % SAMPLE_BYTES, Kind.GAP: _GAP.size}.get(kind, 0)
    if kind not in _KINDS or length != expected or length > MAX_PAYLOAD:
        return None
    return _Head(Kind(kind), length, sequence, position, monotonic_ns, payload_crc)


_KINDS = frozenset(Kind)


class SegmentParser:
    """Bytes of one segment in, whole blocks out. Feed any pieces in order; nothing is ever raised.

    ``header`` is ``None`` until it was read; a segment whose header is damaged yields no blocks at all, because its
    rate and time are unknown. ``damage`` counts stretches of bytes that were skipped.
    """

    def __init__(self) -> None:
        self.header: SegmentHeader | None = None
        self.damage = 0
        self._buffer = bytearray()
        self._lost = False
        self._unreadable = False

    @property
    def pending(self) -> int:
        """Bytes kept that are not (yet) a whole block."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Block]:
        """Every block that ``data`` completes, in order."""
        if self._unreadable:
            return []
        self._buffer += data
        if self.header is None and not self._read_header():
            return []
        blocks: list[Block] = []
        offset = 0
        while (step := self._next(offset, blocks)) > 0:
            offset += step
        del self._buffer[:offset]
        return blocks

    def _read_header(self) -> bool:
        if len(self._buffer) < SEGMENT_HEADER_BYTES:
            return False
        self.header = decode_segment(self._buffer)
        if self.header is None:
            self.damage += 1
            self._unreadable = True
            self._buffer.clear()
            return False
        del self._buffer[:SEGMENT_HEADER_BYTES]
        return True

    def _next(self, offset: int, blocks: list[Block]) -> int:
        """Read one block at ``offset`` or skip damage; bytes used, 0 when more must come first."""
        if len(self._buffer) - offset < BLOCK_HEADER_BYTES:
            return 0
        head = _decode_head(self._buffer, offset)
        if head is None:
            return self._skip(offset)
        start = offset + BLOCK_HEADER_BYTES
        if len(self._buffer) < start + head.length:
            return 0
        payload = bytes(memoryview(self._buffer)[start : start + head.length])
        if crc32(payload) != head.payload_crc:
            return self._skip(offset)
        self._lost = False
        blocks.append(Block(head.kind, head.sequence, head.position, head.monotonic_ns, payload))
        return BLOCK_HEADER_BYTES + head.length

    def _skip(self, offset: int) -> int:
        """Go on to what may be the next block. Counts once per stretch of damage."""
        if not self._lost:
            self._lost = True
            self.damage += 1
        found = self._buffer.find(_BLOCK_MAGIC, offset + 1)
        if found < 0:
            found = max(offset + 1, len(self._buffer) - len(_BLOCK_MAGIC) + 1)
        return found - offset


class Audio(NamedTuple):
    """Samples as recorded, int16 little-endian."""

    pcm: bytes

    @property
    def samples(self) -> int:
        return len(self.pcm) // SAMPLE_BYTES


class Silence(NamedTuple):
    """Zeros in place of what could not be recorded."""

    samples: int


Piece: TypeAlias = Audio | Silence


class Marker(NamedTuple):
    """A place where the file is not simply what was said. ``at`` and ``samples`` count samples of the finished file.

    ``pause``: ``elapsed_ns`` were left out. ``gap``: the writer was away. ``damage``: the spool could not be read.
    """

    kind: Literal["pause", "gap", "damage"]
    at: int
    samples: int
    elapsed_ns: int


@dataclass
class Assembler:
    """Segments and blocks in, pieces of the finished file out, in order: the one place that decides what is heard.

    The sum of the pieces' samples is the time that was not paused, from the first segment's start to the last block.
    """

    rate: int = 0
    """Hz; 0 before the first segment."""
    samples: int = 0
    ended: bool = False
    markers: list[Marker] = field(default_factory=list)
    _header: SegmentHeader | None = None
    _foreign: bool = False
    _paused: bool = False
    _paused_at_ns: int = 0
    _anchor_ns: int = 0
    _anchor_position: int = 0
    _position: int = 0
    _sequence: int = 0

    def segment(self, header: SegmentHeader) -> list[Piece]:
        """A segment begins. One with another rate than the first is left out, and marked."""
        pieces: list[Piece] = []
        self._foreign = self._header is not None and header.rate != self.rate
        if self._foreign:
            self._mark("damage", 0, 0)
            return pieces
        if self._header is not None:
            pieces = self._between(self._header, header)
        self.rate = header.rate
        if header.paused and not self._paused:
            self._paused_at_ns = header.monotonic_ns
        elif self._paused and not header.paused:
            self._close_pause(header.monotonic_ns)
        self._header, self._paused, self.ended = header, header.paused, False
        self._anchor_ns, self._anchor_position, self._position, self._sequence = header.monotonic_ns, 0, 0, 0
        return pieces

    def block(self, block: Block) -> list[Piece]:
        """A block of the segment last begun."""
        pieces: list[Piece] = []
        if self._foreign:
            return pieces
        contiguous = block.sequence == self._sequence
        self._sequence = (block.sequence + 1) & 0xFFFFFFFF
        if block.position < self._position:
            return pieces
        if block.position > self._position:
            pieces += self._silence("damage", block.position - self._position)
        self._position = block.position + block.samples
        if block.kind is Kind.AUDIO:
            pieces += self._audio(block, contiguous)
        elif block.kind is Kind.GAP:
            pieces += self._silence("gap", block.samples)
        elif block.kind is Kind.PAUSE:
            self._pause(block.monotonic_ns)
        elif block.kind is Kind.RESUME:
            self._resume(block)
        else:
            self.ended = True
        return pieces

    def finish(self) -> None:
        """Nothing more will come: a pause that was never resumed is marked, with the length known so far."""
        if self._paused:
            self._mark("pause", 0, 0)
            self._paused = False

    def _audio(self, block: Block, contiguous: bool) -> list[Piece]:
        if self._paused and contiguous:
            return []  # never written by a sound writer; what was said while paused is not let out
        if self._paused:
            self._resume(block)  # the RESUME itself was among the damaged bytes
        if not block.payload:
            return []
        self.samples += block.samples
        return [Audio(block.payload)]

    def _pause(self, at_ns: int) -> None:
        if not self._paused:
            self._paused, self._paused_at_ns = True, at_ns

    def _resume(self, block: Block) -> None:
        if self._paused:
            self._close_pause(block.monotonic_ns)
        self._paused = False
        self._anchor_ns, self._anchor_position = block.monotonic_ns, block.position

    def _close_pause(self, at_ns: int) -> None:
        self._mark("pause", 0, max(0, at_ns - self._paused_at_ns))

    def _between(self, old: SegmentHeader, new: SegmentHeader) -> list[Piece]:
        """The time from the last sample of one segment to the first of the next."""
        if self._paused or new.paused:
            return []
        end_ns = self._anchor_ns + (self._position - self._anchor_position) * 1_000_000_000 // self.rate
        if old.boot_id == new.boot_id:
            elapsed = new.monotonic_ns - end_ns
        else:
            elapsed = new.wall_ns - (old.wall_ns + end_ns - old.monotonic_ns)
        samples = max(0, elapsed) * self.rate // 1_000_000_000
        return self._silence("gap", samples, elapsed)

    def _silence(self, kind: Literal["gap", "damage"], samples: int, elapsed_ns: int | None = None) -> list[Piece]:
        true_ns = samples * 1_000_000_000 // self.rate if elapsed_ns is None else elapsed_ns
        samples = min(samples, MAX_GAP_SECONDS * self.rate)
        if samples <= 0:
            return []
        self._mark(kind, samples, true_ns)
        self.samples += samples
        return [Silence(samples)]

    def _mark(self, kind: Literal["pause", "gap", "damage"], samples: int, elapsed_ns: int) -> None:
        self.markers.append(Marker(kind, self.samples, samples, elapsed_ns))


class Timeline(NamedTuple):
    """A whole recording. ``ended`` says whether its writer closed it; ``damage`` counts unreadable stretches."""

    rate: int
    samples: int
    pieces: tuple[Piece, ...]
    markers: tuple[Marker, ...]
    ended: bool
    damage: int


def timeline(segments: Iterable[bytes]) -> Timeline:
    """Contents of the segment files, in order, to what the finished file holds. Never raises on bad bytes."""
    assembler, pieces, damage = Assembler(), list[Piece](), 0
    for data in segments:
        parser = SegmentParser()
        blocks = parser.feed(data)
        damage += parser.damage
        if parser.header is None:
            continue
        pieces += assembler.segment(parser.header)
        for block in blocks:
            pieces += assembler.block(block)
    assembler.finish()
    return Timeline(assembler.rate, assembler.samples, tuple(pieces), tuple(assembler.markers), assembler.ended, damage)
