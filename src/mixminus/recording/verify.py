"""Reads a file back while it is made, and judges it against the samples it was made from.

WAV and FLAC must be equal, sample by sample. MP3 is decoded, by another library than the one that encoded it, and so is
Opus: the number of samples must be equal, and each half second that is not nearly silent must be alike in shape.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from mixminus.errors import StorageError
from mixminus.recording import libsndfile, mp3, wav
from mixminus.recording.rendering import MOST_CHANNELS, Format, Growing, GrowingFile, OpenFile, Rendering
from mixminus.recording.sealed_file import Reading
from mixminus.recording.spool import disk_error

CHUNK_SECONDS = 8
"""Checked at a time: fewer calls; and so much of the source is kept in memory."""
_READ_BYTES = 1 << 20


class Mismatch(StorageError):
    """What was read back is not what was written."""


class Check(Protocol):
    """The reading end of a rendering."""

    def expect(self, pcm: bytes) -> None:
        """These samples were given to the rendering."""
        ...

    def advance(self) -> None:
        """Check what can be checked so far. Raises :class:`Mismatch`, or StorageError if it cannot be read."""
        ...

    def finish(self) -> int:
        """After the rendering's ``finish``: check the rest and the whole; returns the samples the file decodes to."""
        ...

    def close(self) -> None:
        """Let go of what is kept for checking."""
        ...


def start(
    format: Format, path: Path, rate: int, channels: int = 1, open_file: OpenFile = GrowingFile
) -> tuple[Rendering, Check]:
    """A new file at ``path`` and the check that goes with it. StorageError: the format cannot hold so many channels.

    ``open_file`` makes the file of mp3 and wav.
    """
    if channels > MOST_CHANNELS[format]:
        raise StorageError(f"{format} holds at most {MOST_CHANNELS[format]} channels, not {channels}")
    if format == "wav":
        wave = wav.WavRendering(path, rate, channels, open_file)
        return wave, WavCheck(wave.file, rate, channels)
    if format == "mp3":
        packed = mp3.Mp3Rendering(path, rate, channels, open_file)
        return packed, Mp3Check(packed.file, rate, channels)
    made = libsndfile.FileRendering(path, format, rate, channels)
    return made, WholeCheck(made.file, format, rate, channels)


def _decoded_frames(file: Growing, rate: int, channels: int) -> int:
    """Samples a player will find, told by libsndfile."""
    path = file.path
    try:
        info = soundfile.info(str(path) if isinstance(file, GrowingFile) else Reading(file))
    except (OSError, soundfile.SoundFileError) as error:
        raise Mismatch(f"{path} cannot be opened again: {error}") from error
    if (info.samplerate, info.channels) != (rate, channels):
        told = f"{info.samplerate} Hz, {info.channels} channels"
        raise Mismatch(f"{path} reads as {told}, not {rate} Hz, {channels}")
    return int(info.frames)


class WavCheck:
    """Equal byte by byte."""

    def __init__(self, file: Growing, rate: int, channels: int = 1) -> None:
        self._file, self._path = file, file.path
        self._rate = rate
        self._channels = channels
        self._source = bytearray()
        self._offset = wav.HEADER_BYTES

    def expect(self, pcm: bytes) -> None:
        self._source += pcm

    def advance(self) -> None:
        if len(self._source) >= 2 * self._channels * CHUNK_SECONDS * self._rate:
            self._compare()

    def finish(self) -> int:
        self._compare()
        return _decoded_frames(self._file, self._rate, self._channels)

    def close(self) -> None:
        """Nothing is open between two calls."""

    def _compare(self) -> None:
        if self._file.read(self._offset, len(self._source)) != self._source:
            raise Mismatch(f"{self._path} does not hold what was written to it, near byte {self._offset}")
        self._offset += len(self._source)
        self._source.clear()


class Mp3Check:
    """Frames are decoded in chunks; a few frames before each chunk are decoded with it and left out.

    The first of those refer to bytes that are not there any more. Their side information is zeroed: they then decode to
    nothing, without complaint, and still provide the bit reservoir of those after them.
    """

    _LEAD, _HUSHED = 5, 2

    def __init__(self, file: Growing, rate: int, channels: int = 1) -> None:
        self._file, self._path = file, file.path
        self._rate = rate
        self._channels = channels
        self._source = bytearray()
        self._source_start = 0
        self._offset = 0
        self._frames = 0
        self._frame_samples = 0
        self._lead: list[bytes] = []

    def expect(self, pcm: bytes) -> None:
        self._source += pcm

    def advance(self) -> None:
        if len(self._source) >= 2 * self._channels * (CHUNK_SECONDS + 1) * self._rate:
            self._decode_new()

    def finish(self) -> int:
        self._decode_new()
        info = mp3.parse_info(self._file.read(0, mp3.info_bytes(self._rate, self._channels)))
        if info is None or (info.frames, info.size) != (self._frames, self._offset):
            raise Mismatch(f"{self._path} holds {self._frames} frames, {self._offset} bytes; its start tells {info}")
        if info.samples != _decoded_frames(self._file, self._rate, self._channels):
            raise Mismatch(f"{self._path} is read with another length than the {info.samples} samples it tells")
        return info.samples

    def close(self) -> None:
        """Nothing is open between two calls."""

    def _decode_new(self) -> None:
        if self._offset == 0:
            self._offset = mp3.info_bytes(self._rate, self._channels)
        data = self._file.read(self._offset, _READ_BYTES)
        while data:
            frames = self._split(data)
            self._compare(frames)
            self._offset += sum(map(len, frames))
            data = self._file.read(self._offset, _READ_BYTES)

    def _split(self, data: bytes) -> list[bytes]:
        frames, at = [], 0
        while (frame := mp3.parse_frame(data, at)) and at + frame.length <= len(data):
            if frame.rate != self._rate or frame.mono != (self._channels == 1):
                break
            self._frame_samples = frame.samples
            frames.append(data[at : at + frame.length])
            at += frame.length
        if not frames or (at < len(data) and len(data) < _READ_BYTES):
            raise Mismatch(f"{self._path} holds no whole frame at byte {self._offset + at}")
        return frames

    def _compare(self, frames: list[bytes]) -> None:
        decoded = self._decode(frames)
        begin = self._frames * self._frame_samples - mp3.ENCODER_DELAY - mp3.DECODER_DELAY
        self._frames += len(frames)
        skip = max(0, self._source_start - begin)
        source = np.frombuffer(self._source, "<i2").reshape(-1, self._channels)[: len(decoded) - skip]
        taken = len(source)
        self._judge(source.astype(np.float32), decoded[skip : skip + taken])
        del source  # it holds on to the buffer
        del self._source[: 2 * self._channels * taken]
        self._source_start += taken
        self._lead = (self._lead + frames)[-self._LEAD :]

    def _decode(self, frames: list[bytes]) -> npt.NDArray[np.float32]:
        """(S, channels) samples of ``frames``, float32 at int16 scale."""
        lead = [_hush(frame) for frame in self._lead[: self._HUSHED]] + self._lead[self._HUSHED :]
        try:
            samples, _ = soundfile.read(io.BytesIO(b"".join(lead + frames)), dtype="int16", always_2d=True)
        except soundfile.SoundFileError as error:
            raise Mismatch(f"{self._path} cannot be decoded at byte {self._offset}: {error}") from error
        if len(samples) != (len(lead) + len(frames)) * self._frame_samples:
            raise Mismatch(f"{self._path} decodes to {len(samples)} samples at byte {self._offset}")
        return np.asarray(samples[len(lead) * self._frame_samples :], np.float32)

    def _judge(self, source: npt.NDArray[np.float32], decoded: npt.NDArray[np.float32]) -> None:
        judge(self._path, source, decoded, self._rate, self._source_start)


def _hush(frame: bytes) -> bytes:
    parsed = mp3.parse_frame(frame)
    assert parsed is not None, "frames were split by their headers"
    return frame[:4] + bytes(parsed.side_info_bytes) + frame[4 + parsed.side_info_bytes :]


def judge(path: Path, source: npt.NDArray[np.float32], decoded: npt.NDArray[np.float32], rate: int, start: int) -> None:
    """Raise :class:`Mismatch` unless each channel of (S, channels) sounds like its source, ``start`` samples in."""
    for channel in range(source.shape[1]):
        if not alike(source[:, channel], decoded[:, channel], rate // 2):
            second = start // rate
            raise Mismatch(f"{path} does not sound like what was recorded, about {second} s from its start")


class WholeCheck:
    """Read back as a whole at the end: FLAC must be equal, Opus alike. The source is kept in a file without a name."""

    def __init__(self, file: Growing, format: Format, rate: int, channels: int) -> None:
        path = file.path
        self._file, self._path, self._exact = file, path, format == "flac"
        self._rate, self._channels = rate, channels
        try:
            self._source = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - lives as long as the check
        except OSError as error:
            raise disk_error(error, path.parent, "creating a file in") from error

    def expect(self, pcm: bytes) -> None:
        try:
            self._source.write(pcm)
        except OSError as error:
            raise disk_error(error, self._path, "keeping the source of") from error

    def advance(self) -> None:
        """All is checked at the end."""

    def finish(self) -> int:
        frames = _decoded_frames(self._file, self._rate, self._channels)
        self._source.seek(0)
        try:
            with soundfile.SoundFile(str(self._path)) as file:
                done = 0
                while len(block := file.read(_WHOLE_SECONDS * self._rate, dtype="int16", always_2d=True)):
                    self._compare(block, done)
                    done += len(block)
        except soundfile.SoundFileError as error:
            raise Mismatch(f"{self._path} cannot be decoded: {error}") from error
        if done != frames or self._source.read(1):
            raise Mismatch(f"{self._path} decodes to {done} samples, tells {frames}, and is not as long as its source")
        return done

    def close(self) -> None:
        self._source.close()

    def _compare(self, block: npt.NDArray[np.int16], start: int) -> None:
        data = self._source.read(2 * block.size)
        if len(data) != 2 * block.size:
            raise Mismatch(f"{self._path} decodes to more samples than were recorded")
        source = np.frombuffer(data, "<i2").reshape(block.shape)
        if not self._exact:
            judge(self._path, source.astype(np.float32), block.astype(np.float32), self._rate, start)
        elif not np.array_equal(source, block):
            second = start // self._rate
            raise Mismatch(f"{self._path} does not hold what was written to it, about {second} s from its start")


_WHOLE_SECONDS = 30
_AUDIBLE = 30.0
"""Root mean square, int16 scale (-61 dBFS): windows softer than this are judged by level alone."""
_LEAST_CORRELATION = 0.3
"""White noise reaches 0.97, tones at the edge of the band 0.9; another signal, or the same one misplaced, about 0."""


def alike(source: npt.NDArray[np.float32], decoded: npt.NDArray[np.float32], window: int) -> bool:
    """Whether two signals of equal length, (S,) float32 at int16 scale, are the same but for lossy coding.

    What no codec keeps, steady offset and the highest frequencies, is taken out of both before they are compared.
    """
    count = len(source) // window
    if count == 0:
        return True
    x, y = (_windows(signal, count, window) for signal in (source, decoded))
    x_level, y_level = np.sqrt((x * x).mean(axis=1)), np.sqrt((y * y).mean(axis=1))
    around = np.maximum(x_level, np.maximum(np.roll(x_level, 1), np.roll(x_level, -1)))
    correlation = (x * y).mean(axis=1) / np.maximum(x_level * y_level, 1e-6)
    audible = x_level >= _AUDIBLE
    return bool((correlation[audible] >= _LEAST_CORRELATION).all() and (y_level <= 2 * around + 100).all())


def _windows(signal: npt.NDArray[np.float32], count: int, window: int) -> npt.NDArray[np.float32]:
    smooth = signal.copy()
    smooth[1:-1] = (signal[:-2] + 2 * signal[1:-1] + signal[2:]) / 4
    smooth[0], smooth[-1] = smooth[1], smooth[-2]
    rows = smooth[: count * window].reshape(count, window)
    return np.asarray(rows - rows.mean(axis=1, keepdims=True), np.float32)
