"""FLAC and Opus in Ogg, written by libsndfile into a file of ours, so that a full disk is told as what it is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import soundfile

from mixminus.errors import StorageError
from mixminus.recording.rendering import Format, Growing, GrowingFile

OPUS_RATES = frozenset({8000, 12000, 16000, 24000, 48000})
_KINDS: dict[Format, tuple[str, str]] = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "OPUS")}
_STRIDE = 8
"""Seconds handed to libsndfile at a time."""


class _Ours:
    """What libsndfile sees as a file. It cannot pass an exception on, so the first is kept in ``error``."""

    def __init__(self, path: Path) -> None:
        self.file = GrowingFile(path, b"")
        self.error: StorageError | None = None
        self._at = 0

    def write(self, data: bytes) -> int:
        content = bytes(data)
        if self.error is None:
            try:
                inside = content[: max(0, self.file.size - self._at)]
                self.file.rewrite(self._at, inside)
                self.file.append(content[len(inside) :])
            except StorageError as error:
                self.error = error
        self._at += len(content)
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.file.size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int = -1) -> bytes:
        raise AssertionError("nothing is read while writing")

    def flush(self) -> None:
        """Done by :meth:`GrowingFile.complete`."""


class FileRendering:
    """A :class:`~mixminus.recording.rendering.Rendering`."""

    def __init__(self, path: Path, format: Format, rate: int, channels: int) -> None:
        if format == "ogg" and rate not in OPUS_RATES:
            raise StorageError(f"opus cannot hold {rate} Hz; it can {', '.join(map(str, sorted(OPUS_RATES)))}")
        self.rate = rate
        self.samples = 0
        self._channels = channels
        self._ours = _Ours(path)
        self.file: Growing = self._ours.file
        kind, subtype = _KINDS[format]
        try:
            self._out = soundfile.SoundFile(self._ours, "w", rate, channels, subtype, format=kind)
        except soundfile.SoundFileError as error:
            self._ours.file.close()
            raise self._ours.error or StorageError(f"{path} cannot be written: {error}") from error

    def write(self, pcm: bytes) -> None:
        frames = np.frombuffer(pcm, "<i2").reshape(-1, self._channels)
        try:
            for start in range(0, len(frames), _STRIDE * self.rate):
                self._out.write(frames[start : start + _STRIDE * self.rate])
        except soundfile.SoundFileError as error:
            raise self._ours.error or StorageError(f"{self._ours.file.path} cannot be written: {error}") from error
        self._raise()
        self.samples += len(frames)

    def finish(self) -> int:
        self._out.close()
        self._raise()
        self._ours.file.complete()
        return self.samples

    def close(self) -> None:
        self._out.close()
        self._ours.file.close()

    def _raise(self) -> None:
        if self._ours.error is not None:
            raise self._ours.error
