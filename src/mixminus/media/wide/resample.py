"""Live resampling between 8, 16 and 48 kHz, all streams of one pair of rates in one matrix product.

A linear-phase FIR low-pass (Kaiser window) at the higher rate, cut below half the lower rate, so that nothing folds
back. In polyphase form every output sample is a weighted sum of the input samples around it; for a block of samples
those weights are one banded matrix, so a frame is ``windows of (history ‖ frame) @ matrix``.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mixminus.errors import MediaError
from mixminus.media.state import NEVER

Pcm = NDArray[np.int16]
Floats = NDArray[np.float32]
Index = NDArray[np.intp]

RATES: Final = (8000, 16000, 48000)
PASS: Final = 0.425
"""Of the lower rate: flat up to 3.4 kHz (of 8), 6.8 kHz (of 16)."""
STOP: Final = 0.5
"""Of the lower rate: from here on at least :data:`REJECTION` is taken away."""
REJECTION: Final = 70.0
"""dB, by design; rounding to 16 bits comes on top."""
_BLOCKS: Final = {(8000, 16000): 20, (8000, 48000): 20, (16000, 48000): 40}
"""Samples of a block at the lower rate: smaller wastes less on the band's edges, larger multiplies better."""


@cache
def low_pass(low: int, high: int) -> NDArray[np.float64]:
    """(N,) symmetric taps at rate ``high``, N odd, of unit gain at 0 Hz."""
    width = 2 * np.pi * (STOP - PASS) * low / high
    count = int(np.ceil((REJECTION - 7.95) / (2.285 * width))) | 1
    at = np.arange(count) - count // 2
    cut = (STOP + PASS) * low / high
    taps: NDArray[np.float64] = cut * np.sinc(cut * at) * np.kaiser(count, 0.1102 * (REJECTION - 8.7))
    taps /= taps.sum()
    return taps


def delay_seconds(source: int, target: int) -> float:
    """What the filter between two rates adds to the delay."""
    if source == target:
        return 0.0
    low, high = sorted((source, target))
    return (low_pass(low, high).size // 2) / high


class Resampler:
    """Any number of streams from rate ``source`` to ``target`` (Hz, two different ones of :data:`RATES`).

    Each stream is a row and keeps its own history; rows are made as they are used.
    """

    def __init__(self, source: int, target: int) -> None:
        if source == target or source not in RATES or target not in RATES:
            raise MediaError(f"{source} → {target} Hz: resampling is between two of {', '.join(map(str, RATES))} Hz")
        self.source, self.target = source, target
        self.block, self.matrix = _matrix(source, target)
        self.reach = self.matrix.shape[0] - self.block
        """Samples of history that count."""
        self._history: Pcm = np.zeros((0, self.reach), np.int16)
        self._turn = np.zeros(0, np.int64)
        """In which a stream was last given."""

    def run(self, row: Index, pcm: Pcm, turn: int) -> Pcm:
        """One frame of streams ``row`` ((A,), none twice), (A, S) at the source's rate → (A, S') at the target's.

        S is a whole number of blocks; 20 ms are. ``turn`` counts frames: a stream that was not given in the turn before
        begins anew, out of silence.
        """
        if not row.size:
            return np.zeros((0, pcm.shape[1] * self.target // self.source), np.int16)
        self._make(int(row.max()) + 1)
        paused = row[self._turn[row] != turn - 1]
        if paused.size:
            self._history[paused] = 0
        self._turn[row] = turn
        heard = np.concatenate((self._history[row], pcm), axis=1)
        self._history[row] = heard[:, -self.reach :]
        windows = sliding_window_view(heard, self.reach + self.block, axis=1)[:, :: self.block]
        samples: Floats = windows.reshape(-1, self.reach + self.block).astype(np.float32) @ self.matrix
        np.rint(samples, out=samples)
        np.clip(samples, -32768, 32767, out=samples)
        resampled: Pcm = samples.astype(np.int16).reshape(row.size, -1)
        return resampled

    def go_on_from(self, row: Index, pcm: Pcm, turn: int) -> None:
        """Streams ``row`` were this, (A, S), in turn ``turn``, though nothing was made of it."""
        if row.size:
            self._make(int(row.max()) + 1)
            self._history[row] = pcm[:, -self.reach :]
            self._turn[row] = turn

    def reset(self, row: Index) -> None:
        """Forget what streams ``row`` sounded like: others have their rows now."""
        self._turn[row[row < len(self._history)]] = NEVER

    def _make(self, count: int) -> None:
        if count > len(self._history):
            more = max(count, 2 * len(self._history)) - len(self._history)
            self._history = np.concatenate((self._history, np.zeros((more, self.reach), np.int16)))
            self._turn = np.concatenate((self._turn, np.full(more, NEVER)))


@cache
def _matrix(source: int, target: int) -> tuple[int, Floats]:
    """Samples in a block at the source's rate, and the weights (history + block, block at the target's rate)."""
    low, high = sorted((source, target))
    taps = low_pass(low, high) * (target / source if target > source else 1)
    into, out = high // source, high // target
    block = _BLOCKS[low, high] * source // low
    count = block * target // source
    reach = -(-(taps.size - 1) // into)
    lag = out * np.arange(count)[None, :] - into * (np.arange(reach + block)[:, None] - reach)
    weights = np.where((lag >= 0) & (lag < taps.size), taps[np.clip(lag, 0, taps.size - 1)], 0)
    return block, weights.astype(np.float32)
