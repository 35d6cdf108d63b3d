"""Whether what one said is in what another heard: judged on the samples, not on what should have been."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixminus.testing.ear import Span
from mixminus.testing.sources import FULL_SCALE, RATE, Samples
from mixminus.testing.virtual.tape import NS

WINDOW = 2000
"""Samples (0.25 s) judged at a time."""
MOST_DELAY = 2000
"""Samples by which a sound may come late."""
_SIZE = 4096
_BATCH = 512
SPOKEN = -50.0
"""dBFS from which a window counts as something said."""
LIKE = 0.5
"""Least share of the said amplitude that must be found for it to count as heard (-6 dB)."""

Between = Callable[[int, int], Samples]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Audible:
    """True when something was heard. Times are virtual seconds since the world began."""

    spans: tuple[Span, ...]
    level: float
    """Mean level of what was heard, dBFS (a full-scale sine is 0); -inf: nothing was."""
    spoken: float
    """Seconds in which there was anything to be heard."""

    def __bool__(self) -> bool:
        return bool(self.spans)

    @property
    def seconds(self) -> float:
        return sum(span.seconds for span in self.spans)


def audible(said: Between, heard: Between, start_ns: int, end_ns: int, *, origin_ns: int, above: float) -> Audible:
    """Look for what was ``said`` in what was ``heard``, in windows of a quarter of a second."""
    found: list[tuple[int, float]] = []
    spoken = 0
    step = _BATCH * WINDOW * NS
    for begin in range(start_ns, end_ns, step):
        finish = min(end_ns, begin + step)
        windows = -(-(finish - begin) // (WINDOW * NS))
        voice = said(begin, begin + windows * WINDOW * NS).astype(np.float32).reshape(windows, WINDOW)
        ear = heard(begin, begin + (windows * WINDOW + MOST_DELAY) * NS).astype(np.float32)
        loud = np.flatnonzero(_level(voice) > SPOKEN)
        spoken += loud.size
        if not loud.size:
            continue
        gain = _gains(voice[loud], np.stack([ear[w * WINDOW : w * WINDOW + WINDOW + MOST_DELAY] for w in loud]))
        level = _level(voice[loud]) + 20 * np.log10(np.maximum(gain, 1e-9))
        for at, window in enumerate(loud.tolist()):
            if gain[at] >= LIKE and level[at] >= above:
                found.append((begin + window * WINDOW * NS, float(level[at])))
    seconds = WINDOW / RATE
    power = [10 ** (level / 10) for _, level in found]
    mean = 10 * float(np.log10(np.mean(power))) if power else -np.inf
    return Audible(_spans([(at - origin_ns) / 1e9 for at, _ in found], seconds), mean, spoken * seconds)


def _gains(voice: Floats, ear: Floats) -> Floats:
    """(W,) by how much each voice is in what was heard, at the delay at which it is most."""
    spectrum = np.fft.rfft(ear, _SIZE, axis=1) * np.conj(np.fft.rfft(voice, _SIZE, axis=1))
    product = np.fft.irfft(spectrum, _SIZE, axis=1)[:, :MOST_DELAY]
    energy = np.einsum("ws,ws->w", voice, voice)
    gains: Floats = product.max(axis=1) / np.maximum(energy, 1)
    return gains


def _level(windows: Floats) -> Floats:
    power = np.mean(np.square(windows, dtype=np.float64), axis=1)
    level: Floats = 20 * np.log10(np.maximum(np.sqrt(2 * power) / FULL_SCALE, 1e-9))
    return level


def _spans(starts: list[float], seconds: float) -> tuple[Span, ...]:
    spans: list[Span] = []
    for start in starts:
        if spans and abs(spans[-1].end - start) < 1e-6:
            spans[-1] = Span(spans[-1].start, start + seconds)
        else:
            spans.append(Span(start, start + seconds))
    return tuple(spans)
