"""What a spool amounts to: recorded samples, silence where some are missing, nothing where it was paused.

The time between two segments becomes silence of its measured length, unless it was paused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from mixminus.recording.journal import SAMPLE_BYTES, Block, Kind, SegmentHeader, SegmentParser

MAX_GAP_SECONDS = 3600
"""Longest silence put in for one gap or one damaged stretch; a marker still tells the true time."""


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
