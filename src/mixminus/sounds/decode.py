"""Audio files → samples: mp3, wav, ogg and flac, any rate and channels, to mono 16-bit at one rate.

Streams block by block, so that a small file that unpacks to hours is refused as soon as it is too long.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from mixminus.errors import SoundError

FORMATS: Final = frozenset({"MP3", "WAV", "WAVEX", "RF64", "OGG", "FLAC", "AIFF", "AU"})
MAX_CHANNELS: Final = 8
RATES: Final = range(4_000, 192_001)
"""Hz of the file."""
_BLOCK_SECONDS: Final = 1


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """Read from begin to end. The base class seeks after every block, which costs mp3 files tenths of a second each."""

    def seekable(self) -> bool:
        return False


def decode(path: Path, *, rate: int, longest_seconds: float) -> NDArray[np.int16]:
    """(N,) int16 at ``rate`` Hz, channels averaged.

    Raises:
        SoundError: not one of the formats, damaged, empty, or longer than ``longest_seconds``; the text says which.
    """
    try:
        with _Stream(path) as file:
            _check(file)
            return _read(file, rate, longest_seconds)
    except (soundfile.SoundFileError, ValueError) as error:
        raise SoundError(f"no mp3, wav, ogg or flac that can be read ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    return str(error).rpartition(": ")[2].strip(" .") or type(error).__name__


def _check(file: soundfile.SoundFile) -> None:
    if file.format not in FORMATS:
        raise SoundError(f"{file.format} audio is not supported; use mp3, wav, ogg or flac")
    if not 1 <= file.channels <= MAX_CHANNELS:
        raise SoundError(f"{file.channels} channels; at most {MAX_CHANNELS} are supported")
    if file.samplerate not in RATES:
        raise SoundError(f"{file.samplerate} samples per second; {RATES.start} to {RATES.stop - 1} are supported")


def _read(file: soundfile.SoundFile, rate: int, longest_seconds: float) -> NDArray[np.int16]:
    resampler = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32")
    parts: list[NDArray[np.float32]] = []
    frames = 0
    while True:
        block = file.read(_BLOCK_SECONDS * file.samplerate, dtype="float32", always_2d=True)
        frames += len(block)
        if frames > longest_seconds * file.samplerate:
            raise SoundError(f"longer than {longest_seconds:g} s")
        last = len(block) < _BLOCK_SECONDS * file.samplerate
        parts.append(resampler.resample_chunk(np.ascontiguousarray(block.mean(axis=1)), last=last))
        if last:
            break
    if not frames:
        raise SoundError("holds no audio")
    samples = np.concatenate(parts)
    # rounding of the rates must not leave nothing of a very short sound
    samples = samples if samples.size else np.zeros(1, np.float32)
    pcm: NDArray[np.int16] = np.clip(np.rint(np.nan_to_num(samples) * 32767), -32768, 32767).astype(np.int16)
    return pcm
