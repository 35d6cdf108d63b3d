"""Encoders of Opus, one for each distinct mix that somebody is sent: they follow their listeners.

Listeners of one mix share one encoder, and so one payload. When they part (one begins to talk, and hears the others
without themself) those who go away get a copy of the encoder as it is, so that what their decoders know of the past
stays true. When they come together they go over to the encoder most of them have already; by then both have heard the
same for the 200 ms for which the gate is open after the last sound, and agree.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import MediaError
from mixminus.media.codecs import g722, opus
from mixminus.media.wide.streams import Run

Index = NDArray[np.intp]
Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]

RATE_OF: Final = {g722.G722_CODE: g722.RATE, opus.OPUS_CODE: opus.RATE}
"""Codec → Hz of what it codes."""


class Speakers:
    """The encoders of Opus, and which legs hear each."""

    def __init__(self) -> None:
        self._of: dict[int, opus.Encoder] = {}
        """Leg's row → the encoder it heard last; kept while nothing is audible to it."""
        self._mixes: list[int] = []
        self._chosen: list[opus.Encoder] = []
        self._tasks: list[opus.Encoding] = []
        self._places: tuple[int, ...] = ()
        """Addresses and strides of the arrays that the tasks are for."""

    def forget(self, row: int) -> None:
        """The leg has gone."""
        self._of.pop(row, None)

    def seat(self, leg: Index, mix: Index) -> Index:
        """Give every distinct mix an encoder; ``mix`` (L,) is what legs ``leg`` hear, -1: nothing.

        Returns: (L,) number of each leg's payload among those :meth:`speak` makes, -1: silence.
        """
        audible = mix >= 0
        mixes, place = np.unique(mix[audible], return_inverse=True)
        groups: list[list[int]] = [[] for _ in mixes]
        for row, group in zip(leg[audible].tolist(), place.tolist(), strict=True):
            groups[group].append(row)
        self._mixes = mixes.tolist()
        self._chosen = self._choose(groups)
        self._places = ()
        number = np.full(leg.size, -1, np.intp)
        number[audible] = place
        return number

    def _choose(self, groups: list[list[int]]) -> list[opus.Encoder]:
        """For each group the encoder that most of it has had; a copy of it if a larger group has taken it."""
        chosen: dict[int, opus.Encoder] = {}
        taken: set[int] = set()
        for group in sorted(range(len(groups)), key=lambda group: -len(groups[group])):
            rows = groups[group]
            had = Counter(id(speaker) for row in rows if (speaker := self._of.get(row)) is not None)
            wanted = max(had, key=lambda key: (had[key], key not in taken), default=None)
            speaker = next((self._of[row] for row in rows if id(self._of.get(row)) == wanted), None)
            if speaker is None:
                speaker = opus.Encoder()
            elif id(speaker) in taken:
                speaker = speaker.clone()
            taken.add(id(speaker))
            chosen[group] = speaker
        for group, speaker in chosen.items():
            self._of.update(dict.fromkeys(groups[group], speaker))
        return [chosen[group] for group in range(len(groups))]

    def speak(self, mix: Pcm, payload: Bytes, begin: int, run: Run) -> NDArray[np.int32]:
        """Encode every mix, from its row of ``mix`` to a row of ``payload``, from row ``begin`` on; (N,) lengths."""
        stride = payload.strides[0]
        places = mix.ctypes.data, mix.strides[0], payload.ctypes.data + begin * stride, stride
        if places != self._places:
            self._tasks, self._places = self._arranged(*places), places
        sizes = [0] * len(self._tasks)
        run(partial(opus.encode_each, iter(self._tasks), sizes), len(sizes))
        length = np.array(sizes, np.int32)
        if length.min() < 0:
            raise MediaError(f"libopus: {opus.reason(int(length.min()))}")
        return length

    def _arranged(self, source: int, step: int, target: int, stride: int) -> list[opus.Encoding]:
        """The same in every tick until others are seated, or the arrays are others."""
        return [
            (number, speaker.at, source + row * step, target + number * stride)
            for number, (row, speaker) in enumerate(zip(self._mixes, self._chosen, strict=True))
        ]

    @property
    def count(self) -> int:
        """Payloads per tick."""
        return len(self._mixes)
