"""G.722 (64 kbit/s): 16 kHz sound in 160 bytes every 20 ms. One encoder or decoder per stream, each with its state.

In RTP it has static payload type 9 and, by an old mistake that is now the rule, a clock of 8 kHz (RFC 3551 §4.5.2):
one byte, two samples, one tick of the clock. So its packets fit the slots of G.711 unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import G722
import numpy as np
from numpy.typing import NDArray

G722_CODE: Final = 9
"""Its code in ``MediaState.law``, and its static RTP payload type."""
RATE: Final = 16000
BIT_RATE: Final = 64000
FRAME_BYTES: Final = 160

Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]


class Encoder:
    def __init__(self) -> None:
        self.codec = G722.G722(RATE, BIT_RATE)

    def encode(self, pcm: Pcm) -> bytes:
        """(S,) int16 samples, S even, contiguous → S / 2 bytes."""
        return bytes(self.codec.encode(pcm))


class Decoder:
    def __init__(self) -> None:
        self.codec = G722.G722(RATE, BIT_RATE)

    def decode(self, payload: bytes) -> Pcm:
        """N bytes → (2 N,) int16 samples."""
        return np.frombuffer(self.codec.decode(payload), np.int16)


def decode_each(decoders: Sequence[Decoder], payload: bytes, size: int) -> Pcm:
    """One piece of ``size`` bytes for each of the decoders, in order → (A, 2 size) samples."""
    pieces = [
        decoder.codec.decode(payload[at : at + size])
        for decoder, at in zip(decoders, range(0, len(payload), size), strict=True)
    ]
    return np.frombuffer(b"".join(pieces), np.int16).reshape(-1, 2 * size)


def encode_each(encoders: Sequence[Encoder], pcm: Sequence[Pcm]) -> Bytes:
    """One frame for each of the encoders, (S,) contiguous → (A, S / 2) bytes."""
    pieces = [encoder.codec.encode(frame) for encoder, frame in zip(encoders, pcm, strict=True)]
    return np.frombuffer(b"".join(pieces), np.uint8).reshape(len(pieces), -1)


SILENCE: Final = bytes((0xFA, 0xFE)) * (FRAME_BYTES // 2)
"""A frame that sounds like nothing after whatever was heard, however often repeated: the smallest step up, then down.

(What an encoder makes of silence is no such frame: played over and over it drifts away from zero.)
"""
