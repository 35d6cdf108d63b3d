"""How loud every leg is: the gate that lets silent members cost nothing, and who is speaking."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.protocol import Event, SpeakStart, SpeakStop
from mixminus.media.state import FRAME, MediaState

GATE_PEAK: Final = 24
"""A frame without a sample beyond this (16-bit scale, -62.7 dBFS: the three smallest codes of G.711) is silence.

A frame of -60 dBFS (RMS 33) or more has a sample beyond it, always, so the gate never cuts such a frame; being decided
on the frame itself, it never cuts the begin of a word.
"""
HANGOVER: Final = 10
"""Ticks (200 ms) for which the gate stays open after the last frame that was not silence."""
SPEECH_RMS: Final = 184.0
"""-45 dBFS."""
START_TICKS: Final = 3
"""60 ms of speech, single quiet frames forgiven, are a start of speaking."""
STOP_TICKS: Final = 30
"""600 ms without speech are its end."""


def gate(state: MediaState, row: NDArray[np.intp], pcm: NDArray[np.int16]) -> None:
    """Set ``active`` and ``frame`` of rows from their samples ((A, S)); rows not given become inactive."""
    state.active[:] = False
    if not row.size:
        return
    peak = np.maximum(pcm.max(axis=1), np.negative(pcm.min(axis=1), dtype=np.int32))
    hangover = np.where(peak > GATE_PEAK, HANGOVER, np.maximum(state.hangover[row] - 1, 0))
    state.hangover[row] = hangover
    state.active[row] = hangover > 0
    state.frame[row] = pcm


def speaking(state: MediaState, row: NDArray[np.intp], energy: NDArray[np.float32], now_ns: int) -> list[Event]:
    """Judge every leg by the frame it has (sum of squares, (A,) of rows (A,)); a leg nobody may hear does not speak."""
    loud = np.zeros(state.capacity, np.bool_)
    loud[row] = energy > SPEECH_RMS**2 * FRAME
    rise = np.where(loud, 1, -1).astype(np.int16)
    np.clip(state.loud + rise, 0, START_TICKS, out=state.loud)
    np.minimum(np.where(loud, 0, state.quiet + 1), STOP_TICKS, out=state.quiet, casting="unsafe")
    start = ~state.speaking & (state.loud >= START_TICKS)
    stop = state.speaking & ((state.quiet >= STOP_TICKS) | (state.talk == 0))
    if not (start.any() or stop.any()):
        return []
    state.speaking ^= start | stop
    state.loud[stop] = 0
    events: list[Event] = [SpeakStart(state.names[leg], now_ns) for leg in np.flatnonzero(start)]
    events += [SpeakStop(state.names[leg], now_ns) for leg in np.flatnonzero(stop)]
    return events
