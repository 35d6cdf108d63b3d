"""Encoders with a state, one for each distinct mix that somebody is sent: they follow their listeners.

Listeners of one mix share one encoder, and so one payload. When they part (one begins to talk, and hears the others
without themself) those who go away get a copy of the encoder as it is (Opus), so that what their decoders know of the
past stays true. When they come together they go over to the encoder most of them have already; by then both have heard
the same for the 200 ms for which the gate is open after the last sound, and agree. G.722 cannot be copied: there who
goes away gets a new encoder, and a decoder adapts to it within a few milliseconds.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from functools import partial
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g722, opus
from mixminus.media.wideband import Job

Index = NDArray[np.intp]
Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]

RATE_OF: Final = {g722.G722_CODE: g722.RATE, opus.OPUS_CODE: opus.RATE}
"""Codec → Hz of what it codes."""

_G722_FRAME_BYTES: Final = 2 * g722.RATE // 50


def silence_of(law: int) -> bytes:
    """The payload for who hears nothing; to be sent however often."""
    return opus.silence() if law == opus.OPUS_CODE else g722.SILENCE


class G722Speaker:
    def __init__(self) -> None:
        self._encoder = g722.Encoder()

    def clone(self) -> G722Speaker:
        return G722Speaker()

    def speak(self, pcm: int, out: int, length: NDArray[np.int32], at: int) -> None:
        """320 samples → a payload, by their addresses; its length into ``length[at]``."""
        payload = self._encoder.encode(np.frombuffer(ctypes.string_at(pcm, _G722_FRAME_BYTES), np.int16))
        ctypes.memmove(out, payload, len(payload))
        length[at] = len(payload)


class OpusSpeaker:
    def __init__(self) -> None:
        self._encoder = opus.Encoder()

    def clone(self) -> OpusSpeaker:
        twin = object.__new__(OpusSpeaker)
        twin._encoder = self._encoder.clone()
        return twin

    def speak(self, pcm: int, out: int, length: NDArray[np.int32], at: int) -> None:
        """960 samples → a payload, by their addresses; its length into ``length[at]``."""
        length[at] = self._encoder.encode_at(pcm, out)


Speaker: TypeAlias = G722Speaker | OpusSpeaker


class Speakers:
    """The encoders of one codec, ``law`` (:data:`RATE_OF`), and which legs hear each."""

    def __init__(self, law: int) -> None:
        self.law = law
        self._make: type[G722Speaker] | type[OpusSpeaker] = OpusSpeaker if law == opus.OPUS_CODE else G722Speaker
        self._of: dict[int, Speaker] = {}
        """Leg's row → the encoder it heard last; kept while nothing is audible to it."""
        self._mixes: list[int] = []
        self._chosen: list[Speaker] = []

    def forget(self, row: int) -> None:
        """The leg has gone."""
        self._of.pop(row, None)

    def seat(self, leg: Index, mix: Index) -> Index:
        """Give every distinct mix an encoder; ``mix`` (L,) is what legs ``leg`` hear, -1: nothing.

        Returns: (L,) number of each leg's payload among those :meth:`jobs` makes, -1: silence.
        """
        audible = mix >= 0
        mixes, place = np.unique(mix[audible], return_inverse=True)
        groups: list[list[int]] = [[] for _ in mixes]
        for row, group in zip(leg[audible].tolist(), place.tolist(), strict=True):
            groups[group].append(row)
        self._mixes = mixes.tolist()
        self._chosen = self._choose(groups)
        number = np.full(leg.size, -1, np.intp)
        number[audible] = place
        return number

    def _choose(self, groups: list[list[int]]) -> list[Speaker]:
        """For each group the encoder that most of it has had; a copy of it if a larger group has taken it."""
        chosen: dict[int, Speaker] = {}
        taken: set[int] = set()
        for group in sorted(range(len(groups)), key=lambda group: -len(groups[group])):
            rows = groups[group]
            had = Counter(id(speaker) for row in rows if (speaker := self._of.get(row)) is not None)
            wanted = max(had, key=lambda key: (had[key], key not in taken), default=None)
            speaker = next((self._of[row] for row in rows if id(self._of.get(row)) == wanted), None)
            if speaker is None:
                speaker = self._make()
            elif id(speaker) in taken:
                speaker = speaker.clone()
            taken.add(id(speaker))
            chosen[group] = speaker
        for group, speaker in chosen.items():
            self._of.update(dict.fromkeys(groups[group], speaker))
        return [chosen[group] for group in range(len(groups))]

    def jobs(self, mix: Pcm, payload: Bytes, length: NDArray[np.int32], begin: int) -> list[Job]:
        """One job for each mix: from row of ``mix`` to row of ``payload``, from row ``begin`` on."""
        source, target = mix.ctypes.data, payload.ctypes.data
        step, stride = mix.strides[0], payload.strides[0]
        return [
            partial(speaker.speak, source + row * step, target + at * stride, length, at)
            for at, (row, speaker) in enumerate(zip(self._mixes, self._chosen, strict=True), begin)
        ]

    @property
    def count(self) -> int:
        """Payloads per tick."""
        return len(self._mixes)
