"""Writes a spool: the journal of one recording, as it is mixed.

Made for one writer thread of a media worker. Every call reaches the kernel before it returns, so a killed process loses
only what it had not yet handed over; :meth:`Spool.sync` makes it safe against a power cut too.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

from mixminus.errors import DiskFull, StorageError
from mixminus.recording import journal
from mixminus.recording.journal import Kind
from mixminus.recording.reserve import Reserve


def _find_syncfs() -> Callable[[int], int] | None:
    """``syncfs(2)``, from Linux 5.8 on: before, it did not tell of data that could not be written."""
    if sys.platform != "linux":
        return None
    major, minor = (int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "syncfs", None)
    return found if (major, minor) >= (5, 8) else None


_SYNCFS = _find_syncfs()
NewCipher: TypeAlias = Callable[[], tuple[bytes, journal.Cipher]]
"""Envelope and cipher of a new segment."""
SEGMENT_NAME = re.compile(r"seg-(\d{6})\.spool")


def disk_error(error: OSError, path: Path, doing: str) -> StorageError:
    """What went wrong on disk, in a sentence an operator can act on."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"disk full while {doing} {path}: free some space ({error.strerror})")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(f"not allowed while {doing} {path}: check the folder's owner and mount ({error.strerror})")
    return StorageError(f"disk error while {doing} {path}: {error.strerror or error}")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe against a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of a file safe against a power cut, whoever wrote it. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def sync_together(spools: Sequence[Spool]) -> None:
    """Make everything written to several spools safe against a power cut, in one go where the kernel can (``syncfs``).

    A hundred files are then one commit of the file system's journal instead of a hundred: 0.3 ms of CPU, not 12. Spools
    that it could not be done for are synced one by one, so that a failure is told by the spool that has it.
    """
    done: dict[int, bool] = {}
    for spool in spools:
        device = spool.device
        if device not in done:
            done[device] = _sync_file_system(spool)
        if done[device]:
            spool.was_synced()
        else:
            spool.sync()


def _sync_file_system(spool: Spool) -> bool:
    if _SYNCFS is None:
        return False
    return bool(_SYNCFS(spool.fileno()) == 0)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and make its content safe against a power cut; its name is safe when its folder is synced. Raises
    OSError.
    """
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fdatasync(file.fileno())


def make_folder(folder: Path) -> None:
    """Create a folder and those above it; each new name is synced. Raises OSError."""
    for path in _made(folder):
        sync_folder(path.parent)


def _made(folder: Path) -> list[Path]:
    """Create a folder and those above it; the new ones, topmost first. Raises OSError."""
    missing = [folder, *folder.parents]
    missing = missing[: next((n for n, path in enumerate(missing) if path.is_dir()), len(missing))]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
    return missing[::-1]


def segment_files(folder: Path) -> list[Path]:
    """The segments of a spool in order; empty if the folder is not there, or something else is."""
    try:
        return sorted(path for path in folder.iterdir() if SEGMENT_NAME.fullmatch(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def boot_id() -> bytes:
    """16 bytes naming this boot of the machine; zeros where the kernel does not tell."""
    try:
        return UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes
    except (OSError, ValueError):
        return bytes(16)


class Spool:
    """The writing end of one segment. Not safe for use by two threads at once.

    Every method raises :class:`~mixminus.errors.StorageError` naming reason and path; what was written before stays
    readable, and the spool accepts nothing more but :meth:`close`.
    """

    def __init__(
        self,
        path: Path,
        descriptor: int,
        *,
        rate: int,
        paused: bool,
        unnamed: Sequence[Path] = (),
        cipher: journal.Cipher | None = None,
    ) -> None:
        """``unnamed``: folders with names in them that a power cut would still take."""
        self.path = path
        self.rate = rate
        self.paused = paused
        self._descriptor = descriptor
        self._reserve = Reserve(descriptor, rate)
        self._unnamed = tuple(unnamed)
        self._cipher = cipher
        self._dirty = True
        self._ended = False
        self._written = 0
        self._position = 0
        self._recorded = 0
        self._sequence = 0
        self._error: StorageError | None = None

    @classmethod
    def open(
        cls, folder: Path, *, rate: int, now_ns: int, paused: bool = False, seal: NewCipher | None = None
    ) -> Spool:
        """Begin the next segment of the recording in ``folder``, which is created if need be.

        ``now_ns``: CLOCK_MONOTONIC of the first sample. The time since the segment before, if there is one, becomes a
        marked silence. Nothing waits for the disk: the first :meth:`sync` makes name and content safe. With ``seal``
        (:func:`mixminus.recording.sealing.new_cipher` of a key) everything is sealed.
        """
        path = folder
        try:
            unnamed = [*(made.parent for made in _made(folder)), folder]
            existing = segment_files(folder)
            number = int(existing[-1].stem.removeprefix("seg-")) + 1 if existing else 1
            path = folder / f"seg-{number:06d}.spool"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise disk_error(error, path, "creating spool") from error
        envelope, cipher = seal() if seal is not None else (b"", None)
        spool = cls(path, descriptor, rate=rate, paused=paused, unnamed=unnamed, cipher=cipher)
        header = journal.SegmentHeader(rate, now_ns, time.time_ns(), boot_id(), paused, envelope)
        try:
            spool._write(journal.encode_segment(header))
            spool._reserve.follow(spool._written, 0)
            if number == 1 and spool._reserve.short is not None:
                raise disk_error(spool._reserve.short, path, "keeping room for")  # it would not get far
        except StorageError:
            os.close(descriptor)
            raise
        return spool

    @property
    def trouble(self) -> str:
        """Why it cannot go on for much longer: the disk is full. What comes in the next seconds is still taken."""
        short = self._reserve.short
        return "" if short is None else str(disk_error(short, self.path, "keeping room for"))

    @property
    def samples(self) -> int:
        """Samples recorded in this segment, gaps and paused time left out."""
        return self._recorded

    def append(self, pcm: bytes | memoryview, now_ns: int = 0) -> None:
        """Add samples, int16 little-endian mono. They are in the kernel's hands when this returns.

        Append at most half a second at a time if a killed process may lose no more than one second. ``now_ns`` (of the
        first sample) is informative. Must not be called while paused.
        """
        assert not self.paused, "samples must not reach a paused spool"
        data = memoryview(pcm).cast("B")
        assert len(data) % journal.SAMPLE_BYTES == 0, "whole samples only"
        for start in range(0, len(data), journal.MAX_PAYLOAD):
            self._block(Kind.AUDIO, data[start : start + journal.MAX_PAYLOAD], now_ns)
        samples = len(data) // journal.SAMPLE_BYTES
        self._recorded += samples
        self._reserve.follow(self._written, samples)

    def beside(self, tracks: Sequence[tuple[str, bytes]], notes: Sequence[Sequence[Any]], now_ns: int = 0) -> None:
        """What belongs to the samples of the next :meth:`append`: (name, samples) of each track that sounds, int16
        little-endian, and notes, each [samples from the begin of that append, kind, leg, value].
        """
        assert not self.paused, "tracks must not reach a paused spool"
        for name, pcm in tracks:
            self._block(Kind.TRACK, memoryview(journal.encode_track(name, pcm)), now_ns)
        if notes:
            self._block(Kind.NOTES, memoryview(json.dumps(notes, separators=(",", ":")).encode()), now_ns)

    def gap(self, samples: int, now_ns: int) -> None:
        """``samples`` were never mixed (skipped ticks) or could not be kept: silence takes their place, marked."""
        assert not self.paused, "a paused spool has no gaps"
        if samples > 0:
            self._block(Kind.GAP, memoryview(journal.encode_gap(samples)), now_ns)

    def pause(self, now_ns: int) -> None:
        """Leave out what follows. ``now_ns``: end of the last sample before. Pausing a paused spool changes nothing."""
        if not self.paused:
            self._block(Kind.PAUSE, memoryview(b""), now_ns)
            self.paused = True

    def resume(self, now_ns: int) -> None:
        """Go on. ``now_ns``: CLOCK_MONOTONIC of the next sample. Resuming a running spool changes nothing."""
        if self.paused:
            self._block(Kind.RESUME, memoryview(b""), now_ns)
            self.paused = False

    def fileno(self) -> int:
        return self._descriptor

    @property
    def device(self) -> int:
        """The file system it lies on."""
        return os.fstat(self._descriptor).st_dev

    def sync(self) -> None:
        """Wait until everything written is safe against a power cut (fdatasync), the file's name too."""
        self._refuse_after_failure()
        try:
            os.fdatasync(self._descriptor)
            for folder in self._unnamed:
                sync_folder(folder)
        except OSError as error:
            self._error = disk_error(error, self.path, "syncing")
            raise self._error from error
        self.was_synced()

    def was_synced(self) -> None:
        """Somebody synced the file system this lies on."""
        self._dirty, self._unnamed = False, ()

    def end(self, now_ns: int) -> None:
        """Mark the end of the recording; nothing but :meth:`sync` and :meth:`close` may follow."""
        self._block(Kind.END, memoryview(b""), now_ns)
        self._ended = True

    def leave(self) -> None:
        """The recording goes on in a segment that another process writes: nothing but :meth:`close` may follow."""
        self._ended = True

    def close(self, now_ns: int) -> int:
        """End the recording: mark the end, sync, close, as far as that was not done yet. Returns :attr:`samples`.

        After a failure it only closes the file and returns what had been written.
        """
        if self._descriptor < 0:
            return self._recorded
        try:
            if self._error is None and not self._ended:
                self.end(now_ns)
            if self._error is None and self._dirty:
                self.sync()
        finally:
            with contextlib.suppress(OSError):  # what was kept ahead and not needed is given back
                os.ftruncate(self._descriptor, self._written)
            os.close(self._descriptor)
            self._descriptor = -1
            self._error = self._error or StorageError(f"spool {self.path} is closed")
        return self._recorded

    def _refuse_after_failure(self) -> None:
        if self._error is not None:
            raise self._error

    def _block(self, kind: Kind, payload: memoryview, now_ns: int) -> None:
        sealed: bytes | memoryview = payload
        if self._cipher is not None:
            sealed = self._cipher.seal(kind, self._sequence, self._position, now_ns, payload)
        header = journal.encode_block_header(kind, self._sequence, self._position, now_ns, sealed)
        self._write(header, sealed)
        self._sequence += 1
        if kind is Kind.AUDIO:
            self._position += len(payload) // journal.SAMPLE_BYTES
        elif kind is Kind.GAP:
            self._position += int.from_bytes(payload, "little")

    def _write(self, *parts: bytes | memoryview) -> None:
        """All of the parts or, as far as the reader can see, none of them."""
        self._refuse_after_failure()
        self._dirty = True
        rest = [memoryview(part) for part in parts if len(part)]
        total = sum(len(part) for part in rest)
        try:
            while rest:
                done = os.writev(self._descriptor, rest)
                while rest and done >= len(rest[0]):
                    done -= len(rest.pop(0))
                if rest:
                    rest[0] = rest[0][done:]
        except OSError as error:
            with contextlib.suppress(OSError):  # readers skip a broken last block, too
                os.ftruncate(self._descriptor, self._written)
            self._error = disk_error(error, self.path, "writing")
            raise self._error from error
        self._written += total
