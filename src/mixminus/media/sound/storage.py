"""Prompt files on disk."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from mixminus.errors import MediaError

log = structlog.get_logger(__name__)

RATE = 8000
LONGEST_SECONDS = 600
"""A prompt is read within a tick; music is shorter than this and loops."""


def load_wav(path: str) -> NDArray[np.int16]:
    """Samples of a mono 16-bit WAV file at 8 kHz, (N,) int16. Raises MediaError naming the path and the reason."""
    try:
        with wave.open(path, "rb") as file:
            channels, width, rate, frames = file.getparams()[:4]
            if (channels, width, rate) != (1, 2, RATE):
                raise MediaError(
                    f"prompt {path}: {channels} channels of {8 * width} bits at {rate} Hz; "
                    f"must be mono, 16 bits, {RATE} Hz"
                )
            if frames > LONGEST_SECONDS * RATE:
                raise MediaError(f"prompt {path}: longer than {LONGEST_SECONDS} s")
            return np.frombuffer(file.readframes(frames), "<i2").astype(np.int16)
    except (OSError, EOFError, wave.Error) as error:
        raise MediaError(f"prompt {path}: cannot be read ({error})") from None


def load_wide(path: str, rate: int, samples: int) -> NDArray[np.int16] | None:
    """What ``NAME-8000.wav`` is at another rate, from ``NAME-{rate}.wav`` beside it: (``samples``,) int16, mapped into
    memory and read as it is played. None if there is no such file; one that does not fit is told of in the log.
    """
    name = path.removesuffix(f"-{RATE}.wav")
    beside = Path(f"{name}-{rate}.wav")
    if name == path or not beside.exists():
        return None
    try:
        with beside.open("rb") as stream, wave.open(stream, "rb") as file:
            found = (*file.getparams()[:3], file.getnframes())
            if found == (1, 2, rate, samples):
                return np.asarray(np.memmap(stream, "<i2", "r", stream.tell(), (samples,)))
            reason = "{} channels of {} bytes at {} Hz, {} samples".format(*found)
    except (OSError, EOFError, ValueError, wave.Error) as error:
        reason = str(error)
    log.warning("a wide prompt does not fit its narrow one, which is played", path=str(beside), reason=reason)
    return None
