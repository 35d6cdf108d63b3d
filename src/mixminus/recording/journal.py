"""The spool format: what a recording looks like on disk while it is made.

A recording is a folder of segments, ``seg-000001.spool`` and on; a writer that is replaced begins a new one, and so
does a rise of the rate. A segment is a header and then blocks. All integers are little-endian, samples are signed
16-bit mono::

    segment   magic "MXSG" · version u16 · flags u16 (1: begins paused) · rate u32 Hz · monotonic i64 ns ·
              wall i64 ns · boot id 16 bytes · crc32 of all this u32
    block     magic "MXBK" · kind u8 · 0 u8 · 0 u16 · payload length u32 · sequence u32 · position u64 samples ·
              monotonic i64 ns · crc32 of payload u32 · crc32 of all this u32 · payload

``position`` counts the samples of the segment before this block, recorded and GAP alike; paused time has none.
``sequence`` rises by one per block. Both let a reader tell what damage took away.

Of a sealed segment (flag 2, version 3) the header is followed by an envelope of 80 bytes with the key, and its crc32;
every payload is sealed and 16 bytes longer, see :mod:`mixminus.recording.sealing`.

TRACK blocks hold samples of one named voice at the same ``position`` as the AUDIO block that comes after them, and of
its length; a track without a block is silent there. NOTES say what happened within that AUDIO block. Version 1 knew
neither.

Reading never raises on bad bytes. A cut-off end is simply not there yet; garbled bytes are skipped up to the next whole
block and counted. What the blocks amount to is the business of :mod:`mixminus.recording.timeline`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, Protocol, TypeAlias
from zlib import crc32

from mixminus.errors import StorageError

VERSION, SEALED_VERSION = 2, 3
_READABLE = (1, 2, 3)
SAMPLE_BYTES = 2
MAX_PAYLOAD = 1 << 20
"""Bytes; a longer length is damage."""

_SEGMENT_MAGIC = b"MXSG"
_BLOCK_MAGIC = b"MXBK"
_SEGMENT = struct.Struct("<4sHHIqq16s")
_BLOCK = struct.Struct("<4sBBHIIQqI")
_CRC = struct.Struct("<I")
_GAP = struct.Struct("<Q")
_NAME = struct.Struct("<H")
SEGMENT_HEADER_BYTES = _SEGMENT.size + _CRC.size
BLOCK_HEADER_BYTES = _BLOCK.size + _CRC.size
ENVELOPE_BYTES = 80
_PAUSED, _SEALED = 1, 2
_MIN_RATE, _MAX_RATE = 4000, 192_000


class Cipher(Protocol):
    """Seals the payloads of one segment."""

    overhead: int

    def seal(
        self, kind: int, sequence: int, position: int, monotonic_ns: int, payload: bytes | memoryview
    ) -> bytes: ...
    def open(self, kind: int, sequence: int, position: int, monotonic_ns: int, payload: bytes) -> bytes | None: ...


OpenEnvelope: TypeAlias = Callable[[bytes], Cipher]
"""May raise StorageError: there is no key for it."""


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
    TRACK = 6
    """Payload: length of the name u16, name in UTF-8, samples of that track."""
    NOTES = 7
    """Payload: JSON, a list of [samples from ``position``, kind, leg, value]."""


class SegmentHeader(NamedTuple):
    """Where a segment begins in time. ``monotonic_ns`` counts from the boot named by ``boot_id`` (16 bytes)."""

    rate: int
    monotonic_ns: int
    wall_ns: int
    boot_id: bytes
    paused: bool = False
    envelope: bytes = b""
    """Of a sealed segment: what its key is wrapped in, 80 bytes."""
    sealed: bool = False


class Block(NamedTuple):
    """One whole, checked block. ``payload`` is empty but for AUDIO, GAP, TRACK and NOTES."""

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
    sealed = bool(header.envelope)
    body = _SEGMENT.pack(
        _SEGMENT_MAGIC,
        SEALED_VERSION if sealed else VERSION,
        _PAUSED * header.paused | _SEALED * sealed,
        header.rate,
        header.monotonic_ns,
        header.wall_ns,
        header.boot_id,
    )
    envelope = header.envelope + _CRC.pack(crc32(header.envelope)) if sealed else b""
    return body + _CRC.pack(crc32(body)) + envelope


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


def encode_track(name: str, pcm: bytes) -> bytes:
    """Payload of a TRACK block."""
    text = name.encode()
    return _NAME.pack(len(text)) + text + pcm


def decode_track(payload: bytes) -> tuple[str, bytes]:
    """Name and samples; an empty name if the payload is not one of ours."""
    if len(payload) < _NAME.size:
        return "", b""
    end = _NAME.size + int(_NAME.unpack_from(payload)[0])
    pcm = payload[end:]
    return payload[_NAME.size : end].decode(errors="replace"), pcm[: len(pcm) - len(pcm) % SAMPLE_BYTES]


def decode_segment(data: bytes | bytearray | memoryview) -> SegmentHeader | None:
    """The header at the start of ``data``, without its envelope; ``None`` if it is not whole and sound."""
    if len(data) < SEGMENT_HEADER_BYTES:
        return None
    body = data[: _SEGMENT.size]
    magic, version, flags, rate, monotonic_ns, wall_ns, boot_id = _SEGMENT.unpack(body)
    sound = magic == _SEGMENT_MAGIC and version in _READABLE and _CRC.unpack_from(data, _SEGMENT.size)[0] == crc32(body)
    if not sound or not _MIN_RATE <= rate <= _MAX_RATE:
        return None
    return SegmentHeader(rate, monotonic_ns, wall_ns, boot_id, bool(flags & _PAUSED), sealed=bool(flags & _SEALED))


class _Head(NamedTuple):
    kind: Kind
    length: int
    sequence: int
    position: int
    monotonic_ns: int
    payload_crc: int


def _decode_head(data: bytearray, offset: int, overhead: int) -> _Head | None:
    """The block header at ``offset``, which must lie wholly in ``data``; ``None`` if it is damaged. ``overhead``: bytes
    by which payloads are longer than they say.
    """
    magic, kind, _, _, length, sequence, position, monotonic_ns, payload_crc = _BLOCK.unpack_from(data, offset)
    end = offset + _BLOCK.size
    if magic != _BLOCK_MAGIC or _CRC.unpack_from(data, end)[0] != crc32(memoryview(data)[offset:end]):
        return None
    plain = length - overhead
    free = {Kind.TRACK: plain, Kind.NOTES: plain, Kind.AUDIO: plain - plain % SAMPLE_BYTES}
    expected = free.get(Kind(kind), _GAP.size if kind == Kind.GAP else 0) if kind in _KINDS else -1
    if not 0 <= plain <= MAX_PAYLOAD or plain != expected:
        return None
    return _Head(Kind(kind), length, sequence, position, monotonic_ns, payload_crc)


_KINDS = frozenset(Kind)


class SegmentParser:
    """Bytes of one segment in, whole blocks out. Feed any pieces in order; nothing is ever raised.

    ``header`` is ``None`` until it was read; a segment whose header is damaged yields no blocks at all, because its
    rate and time are unknown. ``damage`` counts stretches of bytes that were skipped.

    ``open_envelope`` finds the key of a sealed segment; what it raises, StorageError, is the one thing that is.
    """

    def __init__(self, open_envelope: OpenEnvelope | None = None) -> None:
        self.header: SegmentHeader | None = None
        self._open_envelope = open_envelope
        self._cipher: Cipher | None = None
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
        header = decode_segment(self._buffer)
        length = SEGMENT_HEADER_BYTES
        if header is not None and header.sealed:
            length += ENVELOPE_BYTES + _CRC.size
            if len(self._buffer) < length:
                return False
            header = self._with_envelope(header)
        if header is None:
            self.damage += 1
            self._unreadable = True
            self._buffer.clear()
            return False
        self.header = header
        del self._buffer[:length]
        return True

    def _with_envelope(self, header: SegmentHeader) -> SegmentHeader | None:
        end = SEGMENT_HEADER_BYTES + ENVELOPE_BYTES
        envelope = bytes(self._buffer[SEGMENT_HEADER_BYTES:end])
        if crc32(envelope) != _CRC.unpack_from(self._buffer, end)[0]:
            return None
        if self._open_envelope is None:
            raise StorageError("the spool is sealed, and there is no key to open it: name the key file")
        self._cipher = self._open_envelope(envelope)
        return header._replace(envelope=envelope)

    def _next(self, offset: int, blocks: list[Block]) -> int:
        """Read one block at ``offset`` or skip damage; bytes used, 0 when more must come first."""
        if len(self._buffer) - offset < BLOCK_HEADER_BYTES:
            return 0
        head = _decode_head(self._buffer, offset, 0 if self._cipher is None else self._cipher.overhead)
        if head is None:
            return self._skip(offset)
        start = offset + BLOCK_HEADER_BYTES
        if len(self._buffer) < start + head.length:
            return 0
        payload = bytes(memoryview(self._buffer)[start : start + head.length])
        plain = self._opened(head, payload) if crc32(payload) == head.payload_crc else None
        if plain is None:
            return self._skip(offset)
        self._lost = False
        blocks.append(Block(head.kind, head.sequence, head.position, head.monotonic_ns, plain))
        return BLOCK_HEADER_BYTES + head.length

    def _opened(self, head: _Head, payload: bytes) -> bytes | None:
        if self._cipher is None:
            return payload
        return self._cipher.open(head.kind, head.sequence, head.position, head.monotonic_ns, payload)

    def _skip(self, offset: int) -> int:
        """Go on to what may be the next block. Counts once per stretch of damage."""
        if not self._lost:
            self._lost = True
            self.damage += 1
        found = self._buffer.find(_BLOCK_MAGIC, offset + 1)
        if found < 0:
            found = max(offset + 1, len(self._buffer) - len(_BLOCK_MAGIC) + 1)
        return found - offset
