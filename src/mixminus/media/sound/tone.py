"""Sounds that need no file: beeps, ringback, hold music. All (N,) int16 at 8 kHz, made once and kept."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import MediaError
from mixminus.media.state import RATE

Pcm = NDArray[np.int16]

_BEEP_HZ: Final = 880.0
_BEEP_MS: Final = 180
_BEEP_PAUSE_MS: Final = 120
_BEEP_PEAK: Final = 6000
_RINGBACK_HZ: Final = (440.0, 480.0)
"""North American: 2 s on, 4 s off (ITU-T E.180)."""
_RINGBACK_PEAK: Final = 2500
_MUSIC_PEAK: Final = 4500
_NOTE_MS: Final = 500
_A4: Final = 440.0
_CHORDS: Final = ((-9, -5, -2, 3), (-12, -9, -5, 0), (-16, -9, -4, 0), (-14, -7, -2, 2))
"""Semitones from A4: C, A minor, F, G; each broken up and down."""
_ARPEGGIO: Final = (0, 1, 2, 3, 2, 1, 2, 3)
MAX_SILENCE_MS: Final = 3_600_000


def built_in(source: str) -> Pcm | None:
    """Samples of ``beep:1``, ``beep:2``, ``music`` or ``ringback``; None if ``source`` is not one of these."""
    if source == "music":
        return music()
    if source == "ringback":
        return ringback()
    if source in ("beep:1", "beep:2"):
        return beeps(int(source[-1]))
    return None


def silence_samples(source: str) -> int | None:
    """Length of ``silence:MS`` in samples; None if ``source`` is something else.

    Raises:
        MediaError: MS is not a whole number from 1 to an hour.
    """
    if not source.startswith("silence:"):
        return None
    text = source.removeprefix("silence:")
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MAX_SILENCE_MS):
        raise MediaError(f"source {source!r}: silence takes whole milliseconds, 1 to {MAX_SILENCE_MS}")
    return int(text) * RATE // 1000


def sine(hertz: float, milliseconds: int) -> NDArray[np.float64]:
    """(N,) of amplitude 1, starting at phase 0."""
    samples: NDArray[np.float64] = np.sin(2 * np.pi * hertz / RATE * np.arange(milliseconds * RATE // 1000))
    return samples


@cache
def beeps(count: int) -> Pcm:
    """``count`` short beeps with a pause between them."""
    beep = _eased(sine(_BEEP_HZ, _BEEP_MS), 10) * _BEEP_PEAK
    pause = np.zeros(_BEEP_PAUSE_MS * RATE // 1000)
    parts = [beep, *(part for _ in range(count - 1) for part in (pause, beep))]
    return _pcm(np.concatenate(parts))


@cache
def ringback() -> Pcm:
    """One cycle of the tone heard while the other phone rings: 2 s on, 4 s off."""
    on = sum((_eased(sine(hertz, 2000), 5) for hertz in _RINGBACK_HZ), np.zeros(2 * RATE))
    return _pcm(np.concatenate((on * _RINGBACK_PEAK, np.zeros(4 * RATE))))


@cache
def music() -> Pcm:
    """16 s of broken chords that loop without a seam."""
    step = _NOTE_MS * RATE // 1000
    total = np.zeros(step * len(_ARPEGGIO) * len(_CHORDS))
    for bar, chord in enumerate(_CHORDS):
        for beat, tone in enumerate(_ARPEGGIO):
            note = _pluck(_A4 * 2 ** (chord[tone] / 12))
            at = (bar * len(_ARPEGGIO) + beat) * step
            total[(at + np.arange(note.size)) % total.size] += note
    return _pcm(total * _MUSIC_PEAK / np.abs(total).max())


def _pluck(hertz: float) -> NDArray[np.float64]:
    length = 3 * _NOTE_MS
    decay = np.exp(-np.arange(length * RATE // 1000) / (0.35 * RATE))
    return _eased((sine(hertz, length) + 0.25 * sine(2 * hertz, length)) * decay, 8)


def _eased(sound: NDArray[np.float64], milliseconds: int) -> NDArray[np.float64]:
    """Begin and end without a click."""
    ramp = np.linspace(0, 1, milliseconds * RATE // 1000)
    sound = sound.copy()
    sound[: ramp.size] *= ramp
    sound[-ramp.size :] *= ramp[::-1]
    return sound


def _pcm(sound: NDArray[np.float64]) -> Pcm:
    return np.rint(sound).astype(np.int16)
