"""Automatic gain control: talkers who are too quiet or too loud, brought to one level. For legs that want it.

The gain follows the level of the voice only, never that of what is between the words: a frame counts as voice when it
lies well above the quietest of the last seconds. It moves slowly, and within a frame on a straight line.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.mixing.limiter import bring_under
from mixminus.media.state import FRAME, RATE, MediaState
from mixminus.media.wide.wideband import Sound

Index = NDArray[np.intp]
Pcm = NDArray[np.int16]
Floats = NDArray[np.float32]

TARGET_DB: Final = 67.3
"""Mean power of a voice, dB of a sample's square: -23 dBFS."""
MOST_DB: Final = 15.0
"""Up or down."""
UP_DB: Final = 0.1
"""A tick: 5 dB a second."""
DOWN_DB: Final = 0.4
"""20 dB a second."""
VOICE_DB: Final = 10.0
"""How far above the quietest a voice lies."""
LEAST_DB: Final = 34.0
"""Below this, -56 dBFS, nothing is a voice."""
RISE_DB: Final = 0.08
"""A tick, by which the quietest is forgotten: steady noise is known as such after some seconds."""
FIRST: Final = 10
"""Frames of voice before the gain moves."""
_PIECE: Final = 128
"""Legs at a time, so that what is worked on stays in the cache."""
MEMORY: Final = 100
"""Frames of voice, 2 s, that its level is the mean of, the older the less."""


class GainControl:
    """The gains of all legs that want it. State is in the rows of the :class:`MediaState`."""

    def __init__(self, state: MediaState) -> None:
        self._state = state

    def any(self) -> bool:
        """Whether any leg has a gain."""
        return bool(self._state.agc.any() or (self._state.gain != 1).any())

    def run(self, row: Index, energy: Floats, sounds: Iterable[Sound]) -> None:
        """One tick: rows (A,), sums of the squares of their frames at 8 kHz, and all their sounds, changed in place.

        Who wants it no more is back at the gain of 1 at the end of the tick.
        """
        state = self._state
        begins = state.gain.copy()
        state.gain[~state.agc] = 1
        mine = np.flatnonzero(state.agc[row])
        row = row[mine]
        voice = self._judge(row, 10 * np.log10(energy[mine] / FRAME + 1))
        self._move(row[voice])
        for sound in sounds:
            self._apply(sound, begins)

    def _judge(self, row: Index, level: Floats) -> NDArray[np.bool_]:
        """Which frames are voice; their level is taken into account."""
        state = self._state
        floor = np.minimum(level, state.noise_db[row] + np.float32(RISE_DB))
        state.noise_db[row] = floor
        voice: NDArray[np.bool_] = (level > floor + VOICE_DB) & (level > LEAST_DB)
        row, power = row[voice], 10 ** (level[voice] / 10)
        state.voiced[row] = np.minimum(state.voiced[row] + 1, MEMORY)
        state.voice_power[row] += (power - state.voice_power[row]) / state.voiced[row]
        return voice

    def _move(self, row: Index) -> None:
        """One step towards the gain that these voices want."""
        state = self._state
        row = row[state.voiced[row] >= FIRST]
        wanted = np.clip(TARGET_DB - 10 * np.log10(state.voice_power[row]), -MOST_DB, MOST_DB)
        now = 20 * np.log10(state.gain[row])
        state.gain[row] = 10 ** ((now + np.clip(wanted - now, -DOWN_DB, UP_DB)) / 20)

    def _apply(self, sound: Sound, begins: Floats) -> None:
        """From the gain of the last tick to that of this one; what then does not fit is limited."""
        state = self._state
        found = np.flatnonzero(state.agc[sound.row] | (begins[sound.row] != 1))
        for first in range(0, found.size, _PIECE):
            self._apply_to(sound, found[first : first + _PIECE], begins)

    def _apply_to(self, sound: Sound, at: Index, begins: Floats) -> None:
        state = self._state
        row, pcm = sound.row[at], sound.pcm[at].astype(np.float32)
        begin, end = begins[row][:, None], state.gain[row][:, None]
        ramp = np.arange(1, pcm.shape[1] + 1, dtype=np.float32) / np.float32(pcm.shape[1])
        pcm *= begin + (end - begin) * ramp
        out = np.empty(pcm.shape, np.int16)
        wide = int(sound.rate > RATE)
        state.headroom[row, wide] = bring_under(state.headroom[row, wide], np.rint(pcm).astype(np.int32), out)
        sound.pcm[at] = out
