"""What is heard where a packet is missing: the voice goes on at its own pitch for a while, and fades.

In the manner of ITU-T G.711 Appendix I, for all rows at once and without its delay: the pitch is found by correlation,
the last period is repeated, what comes after the gap is crossed over to. Unlike there, it fades from the beginning, and
not two and three periods are repeated as the gap goes on: both scored better (``bench/quality.py``).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
Floats = NDArray[np.float32]
Index = NDArray[np.intp]

HISTORY_MS: Final = 60
"""What is looked at before a gap."""
LEVEL: Final = np.array([1.0, 0.8, 0.6, 0.4, 0.25, 0.1, 0.0], np.float32)
"""Loudness at the borders of concealed slots (10 ms): gone after 60 ms."""
FADE_SLOTS: Final = LEVEL.size - 1
CROSS_MS: Final = 3
"""For so long the first sound after a gap is crossed over to."""
_LONGEST_MS: Final = 15
_SHORTEST_MS: Final = 5
"""Longest and shortest lag tried: pitches of 67 to 200 Hz, of higher ones a multiple of the period."""
_WINDOW_MS: Final = 10
"""What is compared: the end of what was before the gap."""


def extrapolate(history: Pcm, length: int) -> Pcm:
    """Go on with sounds, (A, H) int16, for ``length`` samples of one slot.

    Args:
        history: the last 60 ms of each row, ``length * 6`` samples: what this function made included, not yet faded.

    Returns: (A, ``length``) int16, as loud as what was before; :func:`fade` it.
    """
    sound = history.astype(np.float32)
    return _to_pcm(_repeated(sound, length, pitch(sound, length)[0]))


def go_on(history: Pcm, length: int, lag: Index) -> Pcm:
    """As :func:`extrapolate`, of a lag ((A,) samples) that is known: a gap goes on as it began."""
    return _to_pcm(_repeated(history.astype(np.float32), length, lag))


def pitch(sound: Floats, slot: int) -> tuple[Index, Floats]:
    """Lag in samples at which the end of each sound ((A, H), a slot of ``slot`` samples being 10 ms) is most like what
    came before, and how like it is (normalised correlation), (A,) each.
    """
    window, shortest, longest = slot * _WINDOW_MS // 10, slot * _SHORTEST_MS // 10, slot * _LONGEST_MS // 10
    size = sound.shape[1]
    end = sound[:, size - window :]
    before = sound[:, size - window - longest : size - shortest]
    views = sliding_window_view(before, window, axis=1)
    cross = np.matmul(views, end[:, :, None])[:, :, 0]
    power = np.cumsum(np.pad(before**2, ((0, 0), (1, 0))), axis=1)
    energy = power[:, window:] - power[:, :-window]
    own = np.einsum("as,as->a", end, end)
    likeness = cross / np.sqrt(np.maximum(energy * own[:, None], 1.0))
    best = np.argmax(likeness, axis=1)
    return longest - best, np.take_along_axis(likeness, best[:, None], axis=1)[:, 0].astype(np.float32)


def fade(sound: Pcm, run: NDArray[np.int64]) -> Pcm:
    """Slots ((A, S)) number ``run`` ((A,)) of their gaps, as loud as they shall be; silent from FADE_SLOTS on."""
    length = sound.shape[1]
    first, last = LEVEL[np.minimum(run, FADE_SLOTS)], LEVEL[np.minimum(run + 1, FADE_SLOTS)]
    ramp = (np.arange(length, dtype=np.float32) + 1) / np.float32(length)
    return _to_pcm(sound * (first[:, None] + (last - first)[:, None] * ramp))


def cross(ahead: Pcm, sound: Pcm) -> Pcm:
    """Begin ``sound`` ((A, S), after a gap) as ``ahead``, what concealment would have gone on with."""
    length = sound.shape[1] * CROSS_MS // 10
    rise = (np.arange(length, dtype=np.float32) + 0.5) / np.float32(length)
    crossed = sound.copy()
    crossed[:, :length] = np.rint(ahead[:, :length] * (1 - rise) + sound[:, :length] * rise)
    return crossed


def _repeated(sound: Floats, length: int, lag: Index) -> Floats:
    n = np.arange(length)
    at = sound.shape[1] - lag[:, None] + n % lag[:, None]
    ahead: Floats = np.take_along_axis(sound, at, axis=1)
    _smooth_joint(ahead, sound, lag, length)
    return ahead


def _smooth_joint(ahead: Floats, sound: Floats, lag: Index, slot: int) -> None:
    """Take the step out where the repeated piece begins, here and at each of its further begins."""
    length = slot // 4
    rows = np.arange(len(sound))
    step = sound[:, -1] - sound[rows, sound.shape[1] - 1 - lag]
    decay = (1 - (np.arange(ahead.shape[1])[None] % lag[:, None]) / np.float32(length)).clip(0)
    ahead += step[:, None] * decay.astype(np.float32)


def _to_pcm(sound: Floats) -> Pcm:
    return np.rint(sound).clip(-32768, 32767).astype(np.int16)
