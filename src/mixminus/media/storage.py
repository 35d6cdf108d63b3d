"""Prompt files on disk."""

from __future__ import annotations

import wave

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import MediaError

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
