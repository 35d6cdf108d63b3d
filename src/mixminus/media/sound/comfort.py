"""Comfort noise: made up where a peer says that only noise is left (RFC 3389), and sent where a leg needs it.

Noise is made once, as a loop without a seam (its spectrum is given, its phases are random), and played from another
place for every leg. All of it is the same in every run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g711
from mixminus.media.jitter.ingest import Arrivals
from mixminus.media.mixing.layout import LAWS
from mixminus.media.state import FOREVER, FRAME, MediaState

Index = NDArray[np.intp]
Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]

LOOP: Final = 64
"""Frames of a loop, 1.3 s."""
OVERLOAD: Final = 32124
"""0 dBov: a square wave of this height (RFC 3389 section 3)."""
LOUDEST_DBOV: Final = -30
"""Noise above it is played at it: nobody means a louder one."""
MOST_COEFFICIENTS: Final = 12
SENT_DBOV: Final = -66
"""Of the noise that is sent: some -60 dBm0, that of a quiet line."""
_STEEPEST: Final = 0.98
"""A coefficient beyond would make a whistle of the noise."""
_MOST_LOOPS: Final = 256
_MOST_NEW: Final = 2
"""A tick: one takes half a millisecond."""
_STRIDE: Final = 17
"""Frames from the place of one leg in a loop to that of the next."""


def make_loop(dbov: float, reflection: Iterable[float] = (), seed: int = 1) -> Pcm:
    """(LOOP, FRAME) noise of that power, coloured by reflection coefficients (RFC 3389 section 3.2)."""
    size = LOOP * FRAME
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=size))
    spectrum /= np.abs(np.fft.rfft(predictor(reflection), size))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, size)
    noise *= OVERLOAD * 10 ** (dbov / 20) / np.sqrt(np.mean(noise**2))
    loop: Pcm = np.clip(np.rint(noise), -32768, 32767).astype(np.int16).reshape(LOOP, FRAME)
    return loop


def predictor(reflection: Iterable[float]) -> NDArray[np.float64]:
    """A(z) of the all-pole model 1/A(z), of reflection coefficients within -1..1 (Levinson's recursion)."""
    poles = np.ones(1)
    for coefficient in reflection:
        padded = np.append(poles, 0.0)
        poles = padded + coefficient * padded[::-1]
    return poles


def read_noise(payload: bytes) -> tuple[float, tuple[float, ...]]:
    """Level, dBov, and reflection coefficients of a comfort noise payload; an empty one is the lowest."""
    level = float(max(-127, min(LOUDEST_DBOV, -(payload[0] & 0x7F)))) if payload else -127.0
    coefficients = (258 * (byte - 127) / 32768 for byte in payload[1 : 1 + MOST_COEFFICIENTS])
    return level, tuple(max(-_STEEPEST, min(_STEEPEST, one)) for one in coefficients)


class ComfortNoise:
    """Noise in the place of peers who pause."""

    def __init__(self, state: MediaState) -> None:
        self._state = state
        self._loops: dict[bytes, Pcm] = {}
        self._none: Pcm = np.zeros((LOOP, FRAME), np.int16)
        self._new = 0
        """Loops made in this tick."""
        self._of: dict[int, Pcm] = {}
        """Row → what it last said its noise is like."""

    def receive(self, arrivals: Arrivals, data: Bytes) -> None:
        """Take note of the comfort noise packets among this tick's arrivals; a key is no noise."""
        self._new = 0
        for at in np.flatnonzero(~arrivals.audio).tolist():
            row, begin, size = int(arrivals.row[at]), int(arrivals.offset[at]), int(arrivals.size[at])
            if arrivals.event[at]:
                self._of.pop(row, None)
            else:
                size = min(size, 1 + MOST_COEFFICIENTS)
                self._of[row] = self._loop(data[arrivals.packet[at], begin : begin + size].tobytes())

    def forget(self, row: int) -> None:
        """The leg is gone, or speaks another codec."""
        self._of.pop(row, None)

    def any(self) -> bool:
        return bool(self._of)

    def play(self, tick: int, row: Index) -> tuple[Index, Pcm]:
        """Rows that pause in this tick, besides those that have a frame (A,), and their noise: (N,), (N, FRAME)."""
        state = self._state
        quiet = np.fromiter(self._of, np.intp, len(self._of))
        pauses = state.started[quiet] & (state.quiet_to[quiet] == FOREVER) & (state.talk[quiet] != 0)
        quiet = quiet[pauses & ~np.isin(quiet, row)]
        noise = [self._of[leg][(tick + _STRIDE * leg) % LOOP] for leg in quiet.tolist()]
        return quiet, np.array(noise, np.int16).reshape(quiet.size, FRAME)

    def _loop(self, payload: bytes) -> Pcm:
        """The noise of a payload. Of too many new ones in one tick (a hostile peer) only what is known is played."""
        if payload in self._loops:
            return self._loops[payload]
        level, reflection = read_noise(payload)
        if self._new == _MOST_NEW:
            return self._loops.get(bytes([-int(level)]), self._none)
        self._new += 1
        if len(self._loops) == _MOST_LOOPS:
            del self._loops[next(iter(self._loops))]
        self._loops[payload] = make_loop(level, reflection)
        return self._loops[payload]


class LineNoise:
    """What is sent instead of silence: a payload for every law, shared by all who get it."""

    def __init__(self) -> None:
        loop = make_loop(SENT_DBOV, seed=2)
        self._payload = np.stack([g711.encode(law, loop) for law in LAWS])
        self._tick = 0

    def next(self) -> Bytes:
        """(LAWS, FRAME) of the coming tick."""
        self._tick += 1
        payload: Bytes = self._payload[:, self._tick % LOOP]
        return payload
