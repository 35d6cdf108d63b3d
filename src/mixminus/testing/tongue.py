"""A phone's codec, both directions: what it says and hears at 8 kHz, and the payloads that stand for it."""

from __future__ import annotations

from typing import Final

import numpy as np

from mixminus.errors import MediaError
from mixminus.media.codecs import g711, g722, opus
from mixminus.media.wide.resample import Resampler
from mixminus.sdp.answer import Codec
from mixminus.testing.sources import FRAME, RATE, Samples

_LAWS: Final = {"PCMU": g711.PCMU, "PCMA": g711.PCMA}
_RATES: Final = {"G722": g722.RATE, "opus": opus.RATE}
_ROW = np.zeros(1, np.intp)


class Tongue:
    """Speaks one codec. ``clock``: Hz of its time stamps, 48,000 for Opus, 8,000 for all others.

    Raises:
        MediaError: there is no libopus.
    """

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.clock = opus.RATE if codec == "opus" else RATE
        self._g722 = (g722.Encoder(), g722.Decoder()) if codec == "G722" else None
        self._opus = (opus.Encoder(), opus.Decoder()) if codec == "opus" else None
        rate = _RATES.get(codec, 0)
        self._ways = (Resampler(RATE, rate), Resampler(rate, RATE)) if rate else None
        self._turns = [0, 0]
        self._out = np.zeros(opus.SLOT * opus.MAX_SLOTS, np.int16)
        self._packet = np.zeros(opus.MAX_PACKET, np.uint8)

    def encode(self, frame: Samples) -> bytes:
        """20 ms, (160,) → a payload."""
        if self._g722:
            return self._g722[0].encode(self._convert(0, frame))
        if self._opus:
            size = self._opus[0].encode(self._convert(0, frame), self._packet)
            return self._packet[:size].tobytes()
        return g711.ENCODE[_LAWS[self.codec]][frame.view(np.uint16)].tobytes()

    def decode(self, payload: bytes) -> Samples:
        """A payload → the samples in it, 8 for each millisecond. What is no payload of this codec is silence."""
        if self._g722:
            whole = payload[: len(payload) - len(payload) % (FRAME // 2)]
            return self._convert(1, self._g722[1].decode(whole)) if whole else np.zeros(0, np.int16)
        if self._opus:
            try:
                count = self._opus[1].decode(payload, self._out)
            except MediaError:
                return np.zeros(FRAME, np.int16)
            return self._convert(1, self._out[: count - count % opus.SLOT])
        return g711.DECODE[_LAWS[self.codec]][np.frombuffer(payload, np.uint8)]

    def _convert(self, way: int, samples: Samples) -> Samples:
        assert self._ways is not None, "a codec of 8 kHz needs none"
        self._turns[way] += 1
        converted: Samples = self._ways[way].run(_ROW, samples[None, :], self._turns[way])[0]
        return converted
