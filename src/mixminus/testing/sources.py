"""Sounds to put into a phone's mouth: mono int16 arrays at 8 kHz, and the :class:`Mouth` that cuts them into frames.

A sound is nothing but an array, so ``numpy`` joins, mixes and trims them.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.int16]
"""Shape (S,), int16, mono, 8 kHz."""

RATE = 8000
"""Hz."""
FRAME = 160
"""Samples of one 20 ms frame."""
FULL_SCALE = 32767

Voice = Literal["agent", "customer", "supervisor", "card", "goodbye"]
_VOICES = Path(__file__).parent / "voices"


def tone(hz: float, seconds: float = 1.0, *, dbfs: float = -12.0) -> Samples:
    """A sine of ``hz``; 0 dBFS is the loudest there is. One second of a whole number of Hz loops without a click."""
    if not 0 < hz < RATE / 2:
        raise ValueError(f"a tone of {hz} Hz cannot be had at {RATE} Hz: choose 1 to {RATE // 2 - 1}")
    phase = 2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE
    return np.rint(FULL_SCALE * 10 ** (dbfs / 20) * np.sin(phase)).astype(np.int16)


def silence(seconds: float) -> Samples:
    """Digital silence."""
    return np.zeros(round(seconds * RATE), np.int16)


def sequence(*sounds: Samples) -> Samples:
    """One sound after the other."""
    return np.concatenate(sounds) if sounds else silence(0)


def voice(who: Voice) -> Samples:
    """Synthesised speech of 3 to 10 s that comes with the package; ``voices/README.md`` has the sentences."""
    return from_file(_VOICES / f"{who}.flac")


def from_file(file: Path | str | BinaryIO) -> Samples:
    """Read a WAV, FLAC, MP3 or Ogg file; several channels are averaged, another rate is converted.

    Raises :class:`ValueError` when the file cannot be read as sound.
    """
    import soundfile

    data: npt.NDArray[np.float64]
    try:
        data, rate = soundfile.read(file, dtype="float64", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{file}: {error}") from None
    mono = data.mean(axis=1)
    if rate != RATE:
        mono = _resample(mono, rate)
    clipped: npt.NDArray[np.float64] = np.clip(np.rint(mono * (FULL_SCALE + 1)), -FULL_SCALE - 1, FULL_SCALE)
    return clipped.astype(np.int16)


def _resample(signal: npt.NDArray[np.float64], rate: int) -> npt.NDArray[np.float64]:
    """Whole-signal conversion in the frequency domain: exact for what lies below both Nyquist limits."""
    count = round(len(signal) * RATE / rate)
    if not count:
        return np.zeros(0)
    spectrum = np.fft.rfft(signal)
    kept = np.zeros(count // 2 + 1, complex)
    shared = min(len(spectrum), len(kept))
    kept[:shared] = spectrum[:shared]
    return np.fft.irfft(kept, count) * (count / len(signal))


class Mouth:
    """What is yet to be said, taken one 20 ms frame at a time; silence when there is nothing."""

    def __init__(self) -> None:
        self._queue: deque[Samples] = deque()
        self._looped: Samples = silence(0)
        self._position = 0

    @property
    def talking(self) -> bool:
        """Whether a sound said once is still going on."""
        return bool(self._queue)

    def say(self, sound: Samples) -> None:
        """Say ``sound`` once, after what is still waiting, in place of any looped sound meanwhile."""
        if len(sound):
            if not self._queue:
                self._position = 0
            self._queue.append(np.ascontiguousarray(sound, np.int16))

    def loop(self, sound: Samples) -> None:
        """Say ``sound`` over and over when nothing else is to be said; an empty one ends that."""
        self._looped = np.ascontiguousarray(sound, np.int16)
        if not self._queue:
            self._position = 0

    def hush(self) -> None:
        """Drop everything, also what is looped."""
        self._queue.clear()
        self._looped = silence(0)
        self._position = 0

    def frame(self) -> Samples:
        """The next 160 samples, shape (160,)."""
        return self.take(FRAME)

    def take(self, wanted: int) -> Samples:
        """The next samples, shape (wanted,)."""
        samples = self.peek(wanted)
        self.skip(wanted)
        return samples

    def peek(self, wanted: int) -> Samples:
        """The next samples, shape (wanted,), without taking them."""
        out = [_piece(sound, begin, end) for sound, begin, end in self.coming(wanted)]
        return out[0] if len(out) == 1 else np.concatenate(out)

    def coming(self, wanted: int) -> list[tuple[Samples | None, int, int]]:
        """The next samples as parts of sounds: sound (``None``: silence), first sample and the one after the last."""
        parts: list[tuple[Samples | None, int, int]] = []
        position = self._position
        for sound in self._queue:
            if not wanted:
                return parts
            end = min(len(sound), position + wanted)
            parts.append((sound, position, end))
            wanted -= end - position
            position = 0
        looped = self._looped
        while wanted and len(looped):
            end = min(len(looped), position + wanted)
            parts.append((looped, position, end))
            wanted -= end - position
            position = 0
        return [*parts, (None, 0, wanted)] if wanted else parts

    def skip(self, wanted: int) -> None:
        """Pass over the next samples."""
        while self._queue:
            left = len(self._queue[0]) - self._position
            if wanted < left:
                self._position += wanted
                return
            wanted -= left
            self._position = 0
            self._queue.popleft()
        self._position = (self._position + wanted) % len(self._looped) if len(self._looped) else 0

    @property
    def frames_left(self) -> int:
        """Frames until everything to be said once has been said; 0: there is nothing."""
        if not self._queue:
            return 0
        return -(-(sum(len(sound) for sound in self._queue) - self._position) // FRAME)


def _piece(sound: Samples | None, begin: int, end: int) -> Samples:
    return np.zeros(end - begin, np.int16) if sound is None else sound[begin:end]
