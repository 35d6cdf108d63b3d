"""What a spool amounts to: recorded samples, silence where some are missing; where it was paused nothing, silence or a
tone.

The time between two segments becomes silence of its measured length, unless it was paused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from mixminus.recording.journal import Block, Kind, SegmentHeader, SegmentParser, decode_track
from mixminus.recording.pieces import Audio, Piece, Silence, Tone
from mixminus.recording.raising import Raiser, can_raise

MAX_GAP_SECONDS = 3600
"""Longest silence put in for one gap or one damaged stretch; a marker still tells the true time."""


MAX_PAUSE_SECONDS = 86_400
"""Longest pause that is filled."""

PauseAs: TypeAlias = Literal["cut", "silence", "tone"]
"""What a pause becomes: nothing, silence of its length, or a tone."""


class Anchor(NamedTuple):
    """Sample ``at`` of the finished file was mixed at ``monotonic_ns``; samples after it follow at the file's rate,
    until the next anchor. ``running`` is False from a pause on.
    """

    at: int
    monotonic_ns: int
    running: bool


class Happening(NamedTuple):
    """A note of the worker: ``kind`` (``speech``, ``silence``, ``loss``) of ``leg`` at a sample of the finished file.

    ``value``: milliseconds concealed, of a loss.
    """

    at: int
    kind: str
    leg: str
    value: int


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

    pause_as: PauseAs = "cut"
    rate: int = 0
    """Hz of the file: what it was made with, or else that of the first segment; 0 before that."""
    samples: int = 0
    ended: bool = False
    markers: list[Marker] = field(default_factory=list)
    anchors: list[Anchor] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    tracks: list[str] = field(default_factory=list)
    """Names, in the order in which they first sounded."""
    begun: SegmentHeader | None = None
    """Of the first segment."""
    _beside: dict[str, bytes] = field(default_factory=dict)
    _header: SegmentHeader | None = None
    _foreign: bool = False
    _paused: bool = False
    _paused_at_ns: int = 0
    _anchor_ns: int = 0
    _anchor_position: int = 0
    _position: int = 0
    _sequence: int = 0
    _times: int = 1
    """Samples of the file to one of the segment."""
    _raiser: Raiser | None = None

    def segment(self, header: SegmentHeader) -> list[Piece]:
        """A segment begins. One of a lower rate is brought to that of the file. If that cannot be, it is left out and
        marked.
        """
        pieces: list[Piece] = []
        self.rate = self.rate or header.rate
        self._foreign = header.rate != self.rate and not can_raise(header.rate, self.rate)
        if self._foreign:
            self._mark("damage", 0, 0)
            return pieces
        if self._header is not None:
            pieces = self._between(self._header, header)
        self._times = self.rate // header.rate
        self._raiser = Raiser(header.rate, self.rate) if self._times > 1 else None
        self.begun = self.begun or header
        self._beside.clear()
        if header.paused and not self._paused:
            self._paused_at_ns = header.monotonic_ns
        elif self._paused and not header.paused:
            pieces += self._close_pause(header.monotonic_ns)
        self._anchor(header.monotonic_ns, not header.paused)
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
            pieces += self._silence("damage", (block.position - self._position) * self._times)
        self._position = block.position + block.samples
        if block.kind is Kind.AUDIO:
            pieces += self._audio(block, contiguous)
        elif block.kind is Kind.TRACK:
            name, pcm = decode_track(block.payload)
            self._beside[name] = pcm
        elif block.kind is Kind.NOTES:
            self._note(block.payload)
        elif block.kind is Kind.GAP:
            pieces += self._silence("gap", block.samples * self._times)
        elif block.kind is Kind.PAUSE:
            self._pause(block.monotonic_ns)
        elif block.kind is Kind.RESUME:
            pieces += self._resume(block)
        else:
            self.ended = True
            if self._paused:
                pieces += self._close_pause(block.monotonic_ns)
                self._paused = False
        return pieces

    def finish(self) -> None:
        """Nothing more will come: a pause that was never resumed is marked, with the length known so far."""
        if self._paused:
            self._mark("pause", 0, 0)
            self._paused = False

    def _audio(self, block: Block, contiguous: bool) -> list[Piece]:
        tracks, self._beside = self._beside, {}
        if self._paused and contiguous:
            return []  # never written by a sound writer; what was said while paused is not let out
        pieces = self._resume(block) if self._paused else []  # the RESUME itself was among the damaged bytes
        if not block.payload:
            return pieces
        self.samples += block.samples * self._times
        self.tracks += [name for name in tracks if name not in self.tracks]
        whole = {name: pcm for name, pcm in tracks.items() if len(pcm) == len(block.payload)}
        if self._raiser is None:
            return [*pieces, Audio(block.payload, whole)]
        return [*pieces, self._raiser.raised(Audio(block.payload, whole), block.position)]

    def _note(self, payload: bytes) -> None:
        for at, kind, leg, value in _read_notes(payload):
            self.happenings.append(Happening(max(0, self.samples + at * self._times), kind, leg, value))

    def _pause(self, at_ns: int) -> None:
        if not self._paused:
            self._paused, self._paused_at_ns = True, at_ns
            self._anchor(at_ns, False)

    def _resume(self, block: Block) -> list[Piece]:
        pieces: list[Piece] = []
        if self._paused:
            pieces = self._close_pause(block.monotonic_ns)
            self._anchor(block.monotonic_ns, True)
        self._paused = False
        self._anchor_ns, self._anchor_position = block.monotonic_ns, block.position
        return pieces

    def _close_pause(self, at_ns: int) -> list[Piece]:
        elapsed_ns = max(0, at_ns - self._paused_at_ns)
        samples = min(elapsed_ns * self.rate // 1_000_000_000, MAX_PAUSE_SECONDS * self.rate)
        if self.pause_as == "cut" or not samples:
            self._mark("pause", 0, elapsed_ns)
            return []
        self._mark("pause", samples, elapsed_ns)
        self.samples += samples
        return [Silence(samples) if self.pause_as == "silence" else Tone(samples)]

    def _anchor(self, at_ns: int, running: bool) -> None:
        self.anchors.append(Anchor(self.samples, at_ns, running))

    def _between(self, old: SegmentHeader, new: SegmentHeader) -> list[Piece]:
        """The time from the last sample of one segment to the first of the next."""
        if self._paused or new.paused:
            return []
        end_ns = self._anchor_ns + (self._position - self._anchor_position) * 1_000_000_000 // old.rate
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


def _read_notes(payload: bytes) -> list[tuple[int, str, str, int]]:
    """What a NOTES block says; what is not of its form is left out."""
    try:
        notes: Any = json.loads(payload)
    except ValueError:
        return []
    entries = notes if isinstance(notes, list) else []
    return [
        (entry[0], entry[1], entry[2], entry[3])
        for entry in entries
        if isinstance(entry, list) and [type(part) for part in entry] == [int, str, str, int]
    ]


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
    parsers = [(parser := SegmentParser(), parser.feed(data)) for data in segments]
    damage = sum(parser.damage for parser, _ in parsers)
    highest = 0
    for rate in (parser.header.rate for parser, _ in parsers if parser.header is not None):
        highest = rate if not highest or can_raise(highest, rate) else highest
    assembler, pieces = Assembler(rate=highest), list[Piece]()
    for parser, blocks in parsers:
        if parser.header is None:
            continue
        pieces += assembler.segment(parser.header)
        for block in blocks:
            pieces += assembler.block(block)
    assembler.finish()
    return Timeline(assembler.rate, assembler.samples, tuple(pieces), tuple(assembler.markers), assembler.ended, damage)
