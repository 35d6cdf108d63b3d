"""Encoders of G.722, one for each listener.

A decoder of G.722 follows its encoder by what it is sent, and by that alone. Sent the output of another it is off for a
tenth of a second: by up to 20 dB above the voice after silence, and 13 to 20 dB below it when both have encoded the
same for seconds. The state of an encoder cannot be copied, nor brought about. So each listener has one encoder from the
first packet to the last, and that is never left out: silence is encoded too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g722
from mixminus.media.wide.streams import Run

Index = NDArray[np.intp]
Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]


class G722Speakers:
    """As :class:`~mixminus.media.wide.speakers.Speakers`; but every leg has its own payload, who hears nothing too."""

    def __init__(self) -> None:
        self._of: dict[int, g722.Encoder] = {}
        self._encoders: list[g722.Encoder] = []
        self._mixes: list[int] = []
        """Row of the mix that each hears, -1: nothing."""

    def forget(self, row: int) -> None:
        """The leg has gone."""
        self._of.pop(row, None)

    def seat(self, leg: Index, mix: Index) -> Index:
        """(L,) number of the payload of each leg; ``mix`` (L,) is what it hears, -1: nothing."""
        rows = leg.tolist()
        for row in rows:
            if row not in self._of:
                self._of[row] = g722.Encoder()
        self._encoders = [self._of[row] for row in rows]
        self._mixes = mix.tolist()
        return np.arange(leg.size)

    def speak(self, mix: Pcm, payload: Bytes, begin: int, run: Run) -> NDArray[np.int32]:
        """Encode for every leg, from its row of ``mix`` to a row of ``payload``, from row ``begin`` on; (N,) lengths.

        On this thread: the library holds the GIL.
        """
        silence = np.zeros(mix.shape[1], np.int16)
        coded = g722.encode_each(self._encoders, [silence if heard < 0 else mix[heard] for heard in self._mixes])
        payload[begin : begin + len(coded), : coded.shape[1]] = coded
        return np.full(len(coded), coded.shape[1], np.int32)

    @property
    def count(self) -> int:
        """Payloads per tick."""
        return len(self._mixes)
