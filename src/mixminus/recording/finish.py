"""From a spool to a finished file: rendered and checked along the way, so that at the end little is left to do."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

import msgspec

from mixminus.errors import StorageError
from mixminus.recording import sidecar, verify
from mixminus.recording.channels import Spec
from mixminus.recording.encryption import SUFFIX, KeyRing, seal
from mixminus.recording.follow import RateRose, SpoolTail
from mixminus.recording.rendering import Format, GrowingFile, OpenFile, Rendering
from mixminus.recording.sealed_file import SealedFile
from mixminus.recording.spool import disk_error, make_folder, sync_file, sync_folder, write_synced
from mixminus.recording.timeline import Marker

_HASH_BYTES = 1 << 24
"""Hashed between two chances for others to work; about 15 ms."""


class FinishedFile(msgspec.Struct, frozen=True):
    """A recording that was verified and is in its place."""

    path: str
    format: Format
    samples: int
    rate: int
    """Hz."""
    size: int
    """Bytes."""
    sha256: str
    """Of the file, lower-case hexadecimal."""
    markers: tuple[Marker, ...] = ()
    damage: int = 0
    """Stretches of the spool that could not be read. Marked where their length is known."""
    complete: bool = True
    """False: the writer was cut off; up to a second of audio is missing at the end."""
    tracks: tuple[str, ...] = ()
    """Tracks of the spool that sounded, in order."""
    sidecar_trouble: str = ""
    """Why the sidecars could not be written; the recording itself is whole."""

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.samples / self.rate


Wait: TypeAlias = Callable[[], None]
"""What mostly waits for the disk: to be called, in any thread, before the next turn."""
Turns: TypeAlias = Generator[Wait | None, None, FinishedFile]


class NoAudio(StorageError):
    """Nothing was recorded, or nothing of it is left."""


class Job:
    """One recording on its way into a file. :meth:`step` now and then while it runs, :meth:`finish` once at its end.

    What goes wrong on the way (a full disk, say) is kept in :attr:`trouble`, the partial file is removed to give its
    space back, and :meth:`finish` begins anew from the spool.
    """

    def __init__(
        self,
        folder: Path,
        format: Format,
        target: Path,
        spec: Spec | None = None,
        sidecar_of: str = "",
        ring: KeyRing | None = None,
    ) -> None:
        """``sidecar_of``: recording id for the files beside the target; empty: none are written. ``ring`` opens a
        sealed spool.
        """
        self._ring = ring or KeyRing()
        self._sidecar_of = sidecar_of
        self._peaks: sidecar.Peaks | None = None
        self.trouble: StorageError | None = None
        self._spec = spec or Spec()
        self._folder = folder
        self._format = format
        self._target = target
        sealed = self._ring.seals and format in ("mp3", "wav")
        self._open_file: OpenFile = partial(SealedFile, key=self._ring.sealing_key) if sealed else GrowingFile
        self._placed = target.with_name(target.name + SUFFIX) if sealed else target
        """What the file is called on disk."""
        self._partial = target.with_name(target.name + ".partial")  # not shared by two formats of one recording
        self._rate = 0
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._tail = SpoolTail(self._folder, self._spec, self._ring, rate=self._rate)
        self._rendering: Rendering | None = None
        self._check: verify.Check | None = None
        self._peaks = None
        self._sidecar_trouble = ""

    def step(self) -> bool:
        """Render one slice of what is new; whether more is waiting. Never raises for what the disk does."""
        if self.trouble is not None:
            return False
        try:
            return self._slice()
        except StorageError as error:
            self.trouble = error
            self.abandon()
            return False

    def finish(self) -> Turns:
        """Render what is left and put the file in its place. Runs in short turns: drive it to its return value. What a
        turn yields is to be called before the next; if it raises, that is to be thrown in.

        Tries a second time from the start if something goes wrong, then raises StorageError: :class:`NoAudio`, or the
        reason. The spool stays in any case.
        """
        if self.trouble is None:
            try:
                return (yield from self._complete())
            except NoAudio:
                raise
            except StorageError as error:
                self.trouble = error
        self.abandon()
        try:
            return (yield from self._complete())
        except StorageError:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Remove the partial file. The spool stays."""
        self._let_go()
        with contextlib.suppress(OSError):  # it is written over next time
            self._partial.unlink(missing_ok=True)
        self._begin_anew()

    def _let_go(self) -> None:
        if self._rendering is not None and self._check is not None:
            self._rendering.close()
            self._check.close()

    def _slice(self) -> bool:
        try:
            pcm, more = self._tail.read()
        except RateRose as rise:
            self._rate = rise.rate
            self.abandon()
            return True
        if pcm:
            if self._rendering is None or self._check is None:
                self._open()
            assert self._rendering is not None and self._check is not None
            self._rendering.write(pcm)
            self._check.expect(pcm)
            self._check.advance()
            if self._peaks is not None:
                self._peaks.add(pcm, self._spec.count)
        return more

    def _open(self) -> None:
        try:
            make_folder(self._target.parent)
        except OSError as error:
            raise disk_error(error, self._target.parent, "creating") from error
        self._rendering, self._check = verify.start(
            self._format, self._partial, self._tail.rate, self._spec.count, self._open_file
        )
        if self._sidecar_of:
            self._peaks = sidecar.Peaks(self._tail.rate)

    def _complete(self) -> Turns:
        while self._slice():
            yield None
        if self._rendering is None or self._check is None:
            raise NoAudio(f"no audio was recorded (spool {self._folder})")
        yield self._end_rendering
        samples = self._rendering.samples
        decoded = self._check.finish()
        self._check.close()
        if not decoded == samples == self._tail.samples:
            raise verify.Mismatch(
                f"{self._partial} decodes to {decoded} samples; {samples} were written of {self._tail.samples} recorded"
            )
        size, sha256 = yield from self._digest()
        ended, markers = self._tail.ended, self._tail.markers()
        yield lambda: self._place(samples, markers)
        return FinishedFile(
            str(self._placed),
            self._format,
            samples,
            self._tail.rate,
            size,
            sha256,
            markers,
            self._tail.damage,
            ended,
            self._tail.tracks(),
            self._sidecar_trouble,
        )

    def _digest(self) -> Generator[Wait | None, None, tuple[int, str]]:
        """Size in bytes and SHA-256 of what the file holds; of a sealed one in the clear, so all of it was opened."""
        assert self._rendering is not None, "a file was made"
        digest, size, turn = hashlib.sha256(), 0, 0
        for data in self._rendering.file.content():
            digest.update(data)
            size += len(data)
            if size - turn >= _HASH_BYTES:
                turn = size
                yield None
        return size, digest.hexdigest()

    def _end_rendering(self) -> None:
        assert self._rendering is not None, "a file was begun"
        self._rendering.finish()
        self._rendering.close()

    def _place(self, samples: int, markers: tuple[Marker, ...]) -> None:
        self._sidecar_trouble = self._write_sidecars(samples, markers) if self._sidecar_of else ""
        self._put_in_place()

    def _write_sidecars(self, samples: int, markers: tuple[Marker, ...]) -> str:
        """Why it was impossible, if it was."""
        begun = self._tail.begun()
        assert begun is not None and self._peaks is not None, "a file was made"
        try:
            notes_file = self._folder / sidecar.NOTES_FILE
            noted = notes_file.read_bytes() if notes_file.exists() else b""
            if noted:
                sync_file(notes_file)  # the master's renderings need it too
            notes = sidecar.read_notes(noted, self._ring)
            document = sidecar.build(
                recording_id=self._sidecar_of,
                rate=self._tail.rate,
                samples=samples,
                begun=datetime.fromtimestamp(begun.wall_ns / 1e9, UTC),
                anchors=self._tail.anchors(),
                markers=markers,
                happenings=self._tail.happenings(),
                tracks=self._tail.tracks(),
                notes=notes,
                complete=self._tail.ended,
                damage=self._tail.damage,
            )
            self._write_beside("timeline.json", msgspec.json.encode(document))
            self._write_beside("vtt", sidecar.webvtt(document).encode())
            self._write_beside("peaks.json", self._peaks.document())
        except OSError as error:
            return str(disk_error(error, self._target, "writing the sidecars of"))
        return ""

    def _write_beside(self, ending: str, content: bytes) -> None:
        path = beside(self._target, ending)
        if self._ring.seals:
            path, content = path.with_name(path.name + SUFFIX), b"".join(seal([content], self._ring.sealing_key))
        write_synced(path, content)

    def _put_in_place(self) -> None:
        try:
            self._partial.replace(self._placed)
            sync_folder(self._target.parent)
        except OSError as error:
            raise disk_error(error, self._target, "putting in place") from error


def beside(target: Path, ending: str) -> Path:
    """Another file of the same recording: ``x.mp3`` → ``x.{ending}``."""
    return target.with_name(f"{target.name.partition('.')[0]}.{ending}")


def run(job: Job) -> FinishedFile:
    """Drive :meth:`Job.finish` to its end at once."""
    turns = job.finish()
    while True:
        try:
            call(turns, next(turns))
        except StopIteration as end:
            finished: FinishedFile = end.value
            return finished


def call(turns: Turns, wait: Wait | None) -> None:
    """Do here and now what a turn yielded. Raises what the next turn raises, StopIteration included."""
    while wait is not None:
        try:
            wait()
        except StorageError as error:
            wait = turns.throw(error)
        else:
            return
