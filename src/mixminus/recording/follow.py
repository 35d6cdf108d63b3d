"""Reads a spool while it grows."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from mixminus.errors import StorageError
from mixminus.recording.channels import Spec, samples_of
from mixminus.recording.encryption import KeyRing
from mixminus.recording.journal import SegmentHeader, SegmentParser
from mixminus.recording.pieces import Piece
from mixminus.recording.raising import can_raise
from mixminus.recording.sealing import opener
from mixminus.recording.spool import disk_error, segment_files
from mixminus.recording.timeline import Anchor, Assembler, Happening, Marker

SLICE_BYTES = 1 << 19
"""Read, or made of silence, at a time: 32 s of audio, some 20 ms of work."""


class RateRose(StorageError):
    """The recording goes on at a higher rate: what was read has to be read anew, for a file at :attr:`rate` Hz."""

    def __init__(self, rate: int) -> None:
        super().__init__(f"the recording goes on at {rate} Hz")
        self.rate = rate


class SpoolTail:
    """What a spool folder holds, and what comes to it, as pieces of the finished file in order.

    A segment is left for the next only when the next exists, and then read to its end once more; its writer is gone by
    then. The folder need not exist yet. Files are opened for each reading: hundreds of tails hold no descriptors.
    """

    def __init__(self, folder: Path, spec: Spec | None = None, ring: KeyRing | None = None, *, rate: int = 0) -> None:
        """``ring``: opens what is sealed. ``rate``: Hz of the file; 0: that of the first segment."""
        self.folder = folder
        self._open_envelope = opener(ring or KeyRing())
        self.spec = spec or Spec()
        self.damage = 0
        self._assembler = Assembler(pause_as=self.spec.pause_as, rate=rate)
        self._ready: deque[Piece] = deque()
        self._taken = 0
        """Samples of the first ready piece that were given out."""
        self._given = 0
        """Samples given out in all."""
        self._parser = SegmentParser(self._open_envelope)
        self._announced = False
        self._path: Path | None = None
        self._offset = 0

    @property
    def rate(self) -> int:
        """Hz; 0 before the first segment was read."""
        return self._assembler.rate

    @property
    def samples(self) -> int:
        """Samples of all pieces found so far."""
        return self._assembler.samples

    @property
    def ended(self) -> bool:
        """The writer closed the recording."""
        return self._assembler.ended

    def markers(self) -> tuple[Marker, ...]:
        """Call once nothing more will come."""
        self._assembler.finish()
        return tuple(self._assembler.markers)

    def anchors(self) -> tuple[Anchor, ...]:
        return tuple(self._assembler.anchors)

    def happenings(self) -> tuple[Happening, ...]:
        return tuple(self._assembler.happenings)

    def tracks(self) -> tuple[str, ...]:
        """Names of the tracks found so far, in the order in which they first sounded."""
        return tuple(self._assembler.tracks)

    def begun(self) -> SegmentHeader | None:
        """Header of the first segment."""
        return self._assembler.begun

    def read(self) -> tuple[bytes, bool]:
        """Samples that follow, int16 little-endian, channels interleaved, and whether it is worth asking again at once.

        Raises StorageError when the disk cannot be read, and :class:`RateRose`.
        """
        more = True if self._ready else self._fill()
        return self._take(), more

    def _take(self) -> bytes:
        parts: list[bytes] = []
        room = SLICE_BYTES // (2 * self.spec.count)
        while room > 0 and self._ready:
            piece = self._ready[0]
            count = min(piece.samples - self._taken, room)
            parts.append(samples_of(piece, self._taken, count, self.rate, self.spec, self._given))
            self._given += count
            room -= count
            self._taken += count
            if self._taken == piece.samples:
                self._ready.popleft()
                self._taken = 0
        return b"".join(parts)

    def _fill(self) -> bool:
        """Read one slice of the spool; False when there is nothing new."""
        if self._path is None:
            files = segment_files(self.folder)
            if not files:
                return False
            self._path = files[0]
        if self._read_segment():
            return True
        following = [path for path in segment_files(self.folder) if path.name > self._path.name]
        if not following:
            return False
        if not self._read_segment():
            self._leave_segment(following[0])
        return True

    def _read_segment(self) -> bool:
        assert self._path is not None, "a segment was chosen"
        try:
            with self._path.open("rb", buffering=0) as file:
                file.seek(self._offset)
                data = file.read(SLICE_BYTES)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise disk_error(error, self._path, "reading") from error
        self._offset += len(data)
        damage = self._parser.damage
        blocks = self._parser.feed(data)
        self.damage += self._parser.damage - damage
        if self._parser.header is not None and not self._announced:
            self._announced = True
            if can_raise(self.rate, self._parser.header.rate):
                raise RateRose(self._parser.header.rate)
            self._ready += self._assembler.segment(self._parser.header)
        for block in blocks:
            self._ready += self._assembler.block(block)
        return bool(data)

    def _leave_segment(self, following: Path) -> None:
        self._path, self._offset = following, 0
        self._parser, self._announced = SegmentParser(self._open_envelope), False


def read_through(folder: Path, spec: Spec, ring: KeyRing | None = None) -> SpoolTail:
    """The tail of a spool that does not grow any more, all of it read, at the rate that its file has."""
    tail = SpoolTail(folder, spec, ring)
    while True:
        try:
            more = tail.read()[1]
        except RateRose as rise:
            tail, more = SpoolTail(folder, spec, ring, rate=rise.rate), True
        if not more:
            return tail
