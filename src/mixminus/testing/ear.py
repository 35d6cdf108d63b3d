"""Judging sound: how loud, which tones, from when to when, and whether a known sound is in it.

Everything takes mono int16 arrays at 8 kHz, shape (S,). Levels are dBFS with a full-scale sine at 0 (AES17), so that
the level of a tone and the level of a stretch that holds only that tone are the same number; silence is ``-inf``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mixminus.testing.sources import FULL_SCALE, RATE, Samples

_HOP = 80
"""Samples between looks at the sound: 10 ms."""


class Span(NamedTuple):
    """From when to when, seconds from the first sample."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


class Match(NamedTuple):
    """Where a sound was found and how alike it is there: 1 the same but for loudness, around 0 unrelated."""

    at: float
    """Seconds from the first sample."""
    likeness: float


def level(samples: Samples) -> float:
    """Loudness of the whole stretch, dBFS."""
    if not len(samples):
        return -np.inf
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return _decibels(np.sqrt(2 * power) / FULL_SCALE)


def tone_level(samples: Samples, hz: float) -> float:
    """Level of the sine of ``hz`` in the stretch, dBFS; other tones are kept out by a Hann window."""
    return _decibels(float(_amplitudes(samples[np.newaxis, :], hz)[0])) if len(samples) else -np.inf


def tones(samples: Samples, candidates: Iterable[float], *, above: float = -40.0) -> set[float]:
    """Those of ``candidates`` (Hz) that are in the stretch louder than ``above`` dBFS on average.

    Candidates should lie ``4 / duration`` Hz apart, so 40 Hz for a tenth of a second.
    """
    return {hz for hz in candidates if tone_level(samples, hz) > above}


def tone_spans(samples: Samples, hz: float, *, above: float = -40.0, window: float = 0.04) -> list[Span]:
    """When the tone is there, to about half a ``window`` (seconds)."""
    size = round(window * RATE)
    frames = _frames(samples, size)
    return _spans(_amplitudes(frames, hz) > 10 ** (above / 20), size, close=0.0)


def sound_spans(samples: Samples, *, above: float = -45.0, close: float = 0.5) -> list[Span]:
    """When anything louder than ``above`` dBFS is there; pauses shorter than ``close`` seconds are bridged."""
    size = 160
    frames = _frames(samples, size).astype(np.float64)
    power = np.mean(np.square(frames), axis=1)
    return _spans(np.sqrt(2 * power) / FULL_SCALE > 10 ** (above / 20), size, close=close)


def find(reference: Samples, samples: Samples) -> Match:
    """The place in ``samples`` that is most like ``reference``, whatever its loudness.

    Normalised cross-correlation over every offset at which ``reference`` lies wholly inside.
    """
    if len(samples) < len(reference) or not np.any(reference) or not np.any(samples):
        return Match(0.0, 0.0)
    ours, theirs = reference.astype(np.float64), samples.astype(np.float64)
    size = 1 << (len(ours) + len(theirs) - 1).bit_length()
    places = len(theirs) - len(ours) + 1
    product = np.fft.irfft(np.fft.rfft(theirs, size) * np.conj(np.fft.rfft(ours, size)), size)[:places]
    energy = np.concatenate(([0.0], np.cumsum(np.square(theirs))))
    local = energy[len(ours) :] - energy[:places]
    floor = 1e-3 * float(np.max(local))
    likeness = product / np.sqrt(np.maximum(local, floor) * float(np.sum(np.square(ours))))
    best = int(np.argmax(likeness))
    return Match(best / RATE, float(likeness[best]))


def holds(reference: Samples, samples: Samples, *, piece: float = 1.0) -> float:
    """How surely ``reference`` is in ``samples``: the median likeness of its pieces, each looked for by itself.

    Pieces (seconds) may slip against one another, as they do when a jitter buffer adapts. Unrelated speech stays
    below 0.5; the same speech through G.711 and MP3 is above 0.9.
    """
    size = round(piece * RATE)
    pieces = [reference[start : start + size] for start in range(0, max(1, len(reference) - size + 1), size)]
    loud = max(level(part) for part in pieces)
    found = [find(part, samples).likeness for part in pieces if level(part) > loud - 15]
    return float(np.median(found)) if found else 0.0


def _decibels(amplitude: float) -> float:
    return float(20 * np.log10(amplitude)) if amplitude > 0 else -np.inf


def _frames(samples: Samples, size: int) -> Samples:
    """Overlapping windows, shape (N, size): a view on ``samples``."""
    if len(samples) < size:
        return np.zeros((0, size), np.int16)
    return np.lib.stride_tricks.sliding_window_view(samples, size)[::_HOP]


def _amplitudes(frames: Samples, hz: float) -> npt.NDArray[np.float64]:
    """Amplitude of the sine of ``hz`` in each row, 1 = full scale, shape (N,)."""
    count = frames.shape[1]
    window = np.hanning(count + 2)[1:-1]
    probe = window * np.exp(-2j * np.pi * hz * np.arange(count) / RATE)
    return np.asarray(2 * np.abs(frames @ probe) / (window.sum() * FULL_SCALE), np.float64)


def _spans(there: npt.NDArray[np.bool_], size: int, *, close: float) -> list[Span]:
    """Runs of true windows as seconds, measured at the windows' middles."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], there, [False])).astype(np.int8)))
    middle = size / 2 / RATE
    spans: list[Span] = []
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        start = first * _HOP / RATE + middle if first else 0.0
        end = (after - 1) * _HOP / RATE + middle
        if spans and start - spans[-1].end < close:
            spans[-1] = Span(spans[-1].start, end)
        else:
            spans.append(Span(start, end))
    return spans
