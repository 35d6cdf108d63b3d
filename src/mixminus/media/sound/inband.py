"""Keys in the sound itself: DTMF tones (ITU-T Q.23, received as Q.24 asks), for legs that have no telephone-event.

Every 5 ms a window of 20 ms is compared with the eight frequencies, of all legs in one product (Goertzel's sums, as a
matrix). A window sounds like a key when one tone of the low group and one of the high group make up nearly all of its
energy, each near enough to its frequency, which is measured by how its phase turns from one window to the next, and
neither much stronger than the other. Speech does that by chance for one window or two; a key does for 40 ms.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.sound.dtmf import Press
from mixminus.media.state import FRAME, RATE

Index = NDArray[np.intp]
Pcm = NDArray[np.int16]
Floats = NDArray[np.float32]
Codes = NDArray[np.int8]
Sums = NDArray[np.complexfloating[Any, Any]]

LOW_HZ: Final = (697.0, 770.0, 852.0, 941.0)
HIGH_HZ: Final = (1209.0, 1336.0, 1477.0, 1633.0)
KEYPAD: Final = "123A456B789C*0#D"
"""Key of low tone ``i`` and high tone ``j``: number ``4 i + j``."""
HOP: Final = 40
"""Samples, 5 ms."""
WINDOW: Final = 160
"""Samples, 20 ms."""

MAX_DEVIATION: Final = 0.025
"""Of a frequency: up to 1.5 % must be taken, from 3.5 % on must not."""
MAX_TWIST_DB: Final = 5.5
"""The high tone over the low one: up to 4 dB must be taken."""
MAX_REVERSE_TWIST_DB: Final = 9.5
"""The low tone over the high one: up to 8 dB must be taken."""
MIN_PEAK: Final = 600.0
"""Of either tone, about -31 dBm0; down to -25 must be taken."""
MIN_SHARE: Final = 0.88
"""Of the window's energy that is in the two tones: noise may be some 9 dB below them, harmonics of a voice not."""
ON_WINDOWS: Final = 5
"""Windows in a row that make a key: a tone of 40 ms has six, one of 25 ms four."""
OFF_WINDOWS: Final = 7
"""Windows in a row without it that end it: a gap of 40 ms has ten, one of 10 ms five."""
_LEAD_MS: Final = 8
"""What a tone lasts more than its windows, 5 ms each."""
_NONE: Final = -1

_HZ: Final = np.array(LOW_HZ + HIGH_HZ)
_SHAPE: Final = np.hanning(WINDOW + 2)[1:-1]
_TURNS: Final = _SHAPE[:, None] * np.exp(-2j * np.pi / RATE * np.outer(np.arange(WINDOW), _HZ))
_SHAPE_POWER: Final = _SHAPE**2


def _at_each_hop(columns: NDArray[np.float64], first: int) -> Floats:
    """(K * C, 2 WINDOW): (WINDOW, C) at each of the windows of a tick and the frame before, from ``first`` on."""
    begins = range(first * HOP, WINDOW + 1, HOP)
    rows = [np.pad(columns.T, ((0, 0), (begin, WINDOW - begin))) for begin in begins]
    return np.concatenate(rows).astype(np.float32)


_SUMS: Final = _at_each_hop(np.concatenate((_TURNS.real, _TURNS.imag), axis=1), 0)
_ENERGIES: Final = _at_each_hop(_SHAPE_POWER[:, None], 1)
_PIECE: Final = 128
"""Legs at a time, so that what is worked on stays in the cache."""
_HOP_TURN: Final = np.exp(-2j * np.pi * HOP / RATE * _HZ)
_TO_POWER: Final = np.float32((2 / _SHAPE.sum()) ** 2)
"""From the square of a sum to that of the tone's peak."""
_TO_ENERGY: Final = np.float32((_SHAPE**2).sum() / 2)
"""From the square of a tone's peak to its part of the window's energy."""
_WIDEST_HZ: Final = 60


def _response() -> NDArray[np.float64]:
    """(61,) what the window leaves of the power of a tone that is 0, 1, 2, ... Hz off."""
    time = np.arange(WINDOW) - (WINDOW - 1) / 2
    turns = np.exp(-2j * np.pi / RATE * np.outer(np.arange(_WIDEST_HZ + 1), time))
    power: NDArray[np.float64] = np.abs(turns @ _SHAPE / _SHAPE.sum()) ** 2
    return power


_RESPONSE: Final = _response()


def windows(sound: Pcm) -> Codes:
    """(N, 2 WINDOW) samples, a frame and the one before → (N, 4): the key each new window sounds like, -1: none."""
    found = np.full((len(sound), WINDOW // HOP), _NONE, np.int8)
    for begin in range(0, len(sound), _PIECE):
        part = slice(begin, begin + _PIECE)
        found[part] = _windows(sound[part])
    return found


def _windows(sound: Pcm) -> Codes:
    # Legs lie side by side, so that every operation runs along all of them.
    cut = sound.T.astype(np.float32, order="C")
    sums = (_SUMS @ cut).reshape(-1, 2, 8, len(sound))
    power = np.square(sums[1:, 0]) + np.square(sums[1:, 1])
    power *= _TO_POWER
    energy = _ENERGIES @ np.square(cut)
    low, high = power[:, :4].max(axis=1), power[:, 4:].max(axis=1)
    # A tone at the edge of what is taken loses up to half of its power in the window.
    likely = (np.minimum(low, high) > MIN_PEAK**2 / 4) & ((low + high) * _TO_ENERGY > MIN_SHARE / 4 * energy)
    found = np.full(likely.shape, _NONE, np.int8)
    at, leg = np.nonzero(likely)
    if leg.size:
        tones = sums[:, 0] + 1j * sums[:, 1]
        found[at, leg] = _keys(tones[at, :, leg], tones[at + 1, :, leg], power[at, :, leg], energy[at, leg])
    return found.T


def _keys(before: Sums, now: Sums, power: Floats, energy: Floats) -> Codes:
    """Keys of windows by their sums and those of the windows before, (M, 8) each, power (M, 8) and energy (M,)."""
    low, high = power[:, :4].argmax(axis=1), 4 + power[:, 4:].argmax(axis=1)
    window = np.arange(len(power))
    turn = np.angle(now * np.conj(before) * _HOP_TURN)
    off = np.abs(turn) * (RATE / (2 * np.pi * HOP))
    whole = power / np.interp(off, np.arange(_WIDEST_HZ + 1), _RESPONSE)
    of_low, of_high = whole[window, low], whole[window, high]
    twist = 10 * np.log10(of_high / of_low)
    good = (off[window, low] <= MAX_DEVIATION * _HZ[low]) & (off[window, high] <= MAX_DEVIATION * _HZ[high])
    good &= (np.minimum(of_low, of_high) > MIN_PEAK**2) & (twist > -MAX_REVERSE_TWIST_DB) & (twist < MAX_TWIST_DB)
    good &= (of_low + of_high) * _TO_ENERGY > MIN_SHARE * energy
    return np.where(good, 4 * low + high - 4, _NONE).astype(np.int8)


class InbandKeys:
    """Listens for keys in the sound of some legs; all arrays (N,), in the order in which they came."""

    def __init__(self) -> None:
        self._row = np.zeros(0, np.intp)
        self._before: Pcm = np.zeros((0, WINDOW), np.int16)
        """The frame before."""
        self._last: Codes = np.zeros(0, np.int8)
        """What the last window sounded like."""
        self._run = np.zeros(0, np.int32)
        """Windows in a row that sounded so."""
        self._held: Codes = np.zeros(0, np.int8)
        """The key that is down; -1: none."""
        self._length = np.zeros(0, np.int32)
        """Windows for which it has been down."""
        self._missed = np.zeros(0, np.int32)
        """Windows since it was last heard."""

    @property
    def rows(self) -> Index:
        """Legs that are listened to."""
        return self._row

    def __bool__(self) -> bool:
        return self._row.size > 0

    def open(self, row: int) -> None:
        """Listen to a leg; if it is listened to already, go on."""
        if row in self._row:
            return
        self._row = np.append(self._row, row)
        self._before = np.concatenate((self._before, np.zeros((1, WINDOW), np.int16)))
        self._last, self._held = np.append(self._last, np.int8(_NONE)), np.append(self._held, np.int8(_NONE))
        self._run, self._length = np.append(self._run, 0), np.append(self._length, 0)
        self._missed = np.append(self._missed, 0)

    def close(self, rows: Iterable[int]) -> None:
        """Listen to these no more; a key that is down is not told."""
        keep = ~np.isin(self._row, np.fromiter(rows, np.intp))
        if keep.all():
            return
        for name in ("_row", "_before", "_last", "_run", "_held", "_length", "_missed"):
            setattr(self, name, getattr(self, name)[keep])

    def hear(self, row: Index, pcm: Pcm) -> list[tuple[int, Press]]:
        """One tick: rows that have a frame, (A,), and their samples (A, FRAME); returns rows and what was pressed.

        A key is told when it has been let go.
        """
        place = np.full(max(row.max(initial=0), self._row.max(initial=0)) + 1, _NONE, np.intp)
        place[row] = np.arange(row.size)
        at = place[self._row]
        frame = np.zeros((at.size, FRAME), np.int16)
        frame[at >= 0] = pcm[at[at >= 0]]
        found = np.full((at.size, FRAME // HOP), _NONE, np.int8)
        loud = np.flatnonzero(frame.max(axis=1, initial=0) > MIN_PEAK)
        if loud.size:
            found[loud] = windows(np.concatenate((self._before[loud], frame[loud]), axis=1))
        self._before = frame
        if (found == _NONE).all() and (self._last == _NONE).all() and (self._held == _NONE).all():
            return []
        return [press for window in found.T for press in self._window(window)]

    def _window(self, found: Codes) -> list[tuple[int, Press]]:
        """5 ms of all legs."""
        self._run = np.where(found == _NONE, 0, np.where(found == self._last, self._run + 1, 1))
        self._last = found
        holds = self._held != _NONE
        same = holds & (found == self._held)
        self._missed = np.where(same, 0, self._missed + 1)
        self._length = np.where(same, self._length + 1, self._length)
        begins = (self._run >= ON_WINDOWS) & ~same
        ends = holds & (begins | (self._missed >= OFF_WINDOWS))
        told = [(int(self._row[at]), self._press(at)) for at in np.flatnonzero(ends).tolist()]
        self._held = np.where(begins, found, np.where(ends, np.int8(_NONE), self._held))
        self._length = np.where(begins, self._run, self._length)
        self._missed = np.where(begins, 0, self._missed)
        return told

    def _press(self, at: int) -> Press:
        return Press(KEYPAD[self._held[at]], int(self._length[at]) * 1000 * HOP // RATE + _LEAD_MS)
