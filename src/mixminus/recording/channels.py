"""What goes into each channel of a file: the mix, or sums of tracks. Pure."""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from mixminus.recording.pieces import Audio, Piece, Silence, Tone
from mixminus.recording.timeline import PauseAs

TONE_HZ = 440
TONE_PEAK = 1000
"""-30 dBFS."""
TONE_ON, TONE_PERIOD = 0.25, 2.0
"""Seconds: a beep, and from one beep to the next."""
_LEAST, _MOST = -32768, 32767


class Spec(msgspec.Struct, frozen=True):
    """What a rendering is to hold. ``channels``: the tracks that are added up for each; none at all: the mix alone."""

    channels: tuple[tuple[str, ...], ...] = ()
    pause_as: PauseAs = "cut"
    silent: tuple[tuple[str, int, int], ...] = ()
    """(track, from, to): it is left out there, in samples of the file."""

    @property
    def count(self) -> int:
        """Channels of the file."""
        return max(1, len(self.channels))


def samples_of(piece: Piece, start: int, count: int, rate: int, spec: Spec, at: int = 0) -> bytes:
    """``count`` frames of a piece from ``start`` on: int16 little-endian, channels interleaved. ``at`` is where in the
    file they come to lie.
    """
    if isinstance(piece, Silence):
        return bytes(2 * count * spec.count)
    if isinstance(piece, Tone):
        period = _tone(rate)
        once = period[np.arange(start, start + count) % period.size]
        return np.repeat(once, spec.count).tobytes()
    if not spec.channels:
        return piece.pcm[2 * start : 2 * (start + count)]
    columns = [_sum(piece, names, start, count, spec, at) for names in spec.channels]
    return np.stack(columns, axis=1).astype("<i2").tobytes()


def _sum(piece: Audio, names: tuple[str, ...], start: int, count: int, spec: Spec, at: int) -> NDArray[np.int16]:
    total = np.zeros(count, np.int32)
    for name in names:
        pcm = piece.tracks.get(name)
        if pcm is not None:
            voice = np.frombuffer(pcm, "<i2")[start : start + count]
            for silent, begin, end in spec.silent:
                if silent == name and begin < at + count and end > at:
                    voice = voice.copy()
                    voice[max(0, begin - at) : end - at] = 0
            total += voice
    return np.clip(total, _LEAST, _MOST).astype(np.int16)


@lru_cache(maxsize=8)
def _tone(rate: int) -> NDArray[np.int16]:
    """One period."""
    time = np.arange(round(TONE_PERIOD * rate)) / rate
    ramp = np.clip(np.minimum(time, TONE_ON - time) / 0.01, 0, 1)
    wave: NDArray[np.int16] = np.rint(TONE_PEAK * ramp * np.sin(2 * np.pi * TONE_HZ * time)).astype("<i2")
    return wave
