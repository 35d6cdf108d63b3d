"""Audio files → samples: mp3, wav, ogg and flac, any rate and channels, to mono 16-bit at one rate or several.

Streams block by block, so that a small file that unpacks to hours is refused as soon as it is too long.
"""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from mixminus.errors import SoundError
from mixminus.sounds.cache import at_rate

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
        SoundError: as of :func:`decode_at`.
    """
    return decode_at(path, rates=(rate,), longest_seconds=longest_seconds)[rate]


def decode_at(path: Path, *, rates: Sequence[int], longest_seconds: float) -> dict[int, NDArray[np.int16]]:
    """The sound at the first of ``rates`` (Hz), (N,) int16, channels averaged; if the file itself has a higher rate
    than that, at the others too, which are multiples of the first: as many times N samples, to the sample.

    Raises:
        SoundError: not one of the formats, damaged, empty, or longer than ``longest_seconds``; the text says which.
    """
    try:
        with _Stream(path) as file:
            _check(file)
            return _read(file, rates if file.samplerate > rates[0] else rates[:1], longest_seconds)
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


def _read(file: soundfile.SoundFile, rates: Sequence[int], longest_seconds: float) -> dict[int, NDArray[np.int16]]:
    resamplers = {rate: soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32") for rate in rates}
    parts: dict[int, list[NDArray[np.int16]]] = {rate: [] for rate in rates}
    frames = 0
    last = False
    while not last:
        block = file.read(_BLOCK_SECONDS * file.samplerate, dtype="float32", always_2d=True)
        frames += len(block)
        if frames > longest_seconds * file.samplerate:
            raise SoundError(f"longer than {longest_seconds:g} s")
        last = len(block) < _BLOCK_SECONDS * file.samplerate
        mono = np.ascontiguousarray(block.mean(axis=1))
        for rate, resampler in resamplers.items():
            parts[rate].append(_pcm(resampler.resample_chunk(mono, last=last)))
    if not frames:
        raise SoundError("holds no audio")
    # rounding of the rates must not leave nothing of a very short sound
    size = max(1, sum(part.size for part in parts[rates[0]]))
    return {rate: _fit(np.concatenate(parts[rate]), size * rate // rates[0]) for rate in rates}


def _pcm(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    pcm: NDArray[np.int16] = np.clip(np.rint(np.nan_to_num(samples) * 32767), -32768, 32767).astype(np.int16)
    return pcm


def _fit(pcm: NDArray[np.int16], size: int) -> NDArray[np.int16]:
    """Rounding has made it a few samples longer or shorter than it is at another rate."""
    last = pcm[-1] if pcm.size else np.int16(0)
    return np.concatenate((pcm[:size], np.full(max(0, size - pcm.size), last)))


def write_wavs(source: Path, target: Path, *, rates: Sequence[int], longest_seconds: float) -> None:
    """Write WAV files of what :func:`decode_at` gives: the first to ``target``, the others beside it."""
    for rate, pcm in decode_at(source, rates=rates, longest_seconds=longest_seconds).items():
        with wave.open(str(target if rate == rates[0] else at_rate(target, rate)), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(pcm.astype("<i2").tobytes())
