"""G.711 µ-law and A-law as look-up tables.

Values are on the 16-bit scale of the ITU-T reference (G.191 ``g711.c``): µ-law keeps the upper 14 bits of a sample,
A-law the upper 13. Both directions are bit-exact with it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PCMU: Final = 0
"""µ-law, and its static RTP payload type (RFC 3551)."""
PCMA: Final = 8
"""A-law, and its static RTP payload type."""

_PIECE: Final = 1 << 15
"""Look-ups at a time."""

Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]


def _expand_ulaw() -> Pcm:
    code = ~np.arange(256) & 0xFF
    exponent = code >> 4 & 7
    magnitude = (((code & 15) << 3) + 0x84 << exponent) - 0x84
    expanded: Pcm = np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)
    return expanded


def _expand_alaw() -> Pcm:
    code = np.arange(256) ^ 0x55
    exponent = code >> 4 & 7
    mantissa = ((code & 15) << 4) + 8 + np.where(exponent > 0, 0x100, 0)
    magnitude = mantissa << np.maximum(exponent - 1, 0)
    expanded: Pcm = np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)
    return expanded


def _magnitude(linear: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
    """The reference drops low bits of the one's complement of negative samples, so -1 falls together with 0."""
    magnitude: NDArray[np.int64] = np.where(linear < 0, ~linear, linear) >> shift
    return magnitude


def _compress_ulaw(linear: NDArray[np.int64]) -> Bytes:
    biased = np.minimum(_magnitude(linear, 2) + 33, 0x1FFF)
    segment = np.floor(np.log2(biased)).astype(np.int64) - 5
    code = segment << 4 | (biased >> segment + 1 & 15)
    compressed: Bytes = (~code & 0x7F | np.where(linear < 0, 0, 0x80)).astype(np.uint8)
    return compressed


def _compress_alaw(linear: NDArray[np.int64]) -> Bytes:
    magnitude = _magnitude(linear, 4)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int64) - 4, -1) + 1
    mantissa = magnitude >> np.maximum(segment - 1, 0) & 15
    compressed: Bytes = ((segment << 4 | mantissa | np.where(linear < 0, 0, 0x80)) ^ 0x55).astype(np.uint8)
    return compressed


def _by_uint16(table: Bytes) -> Bytes:
    """Reorder a table for -32768..32767 so that a sample's bits, read as uint16, are the index."""
    return np.roll(table, 32768)


_LINEAR = np.arange(-32768, 32768)
DECODE: Final = {PCMU: _expand_ulaw(), PCMA: _expand_alaw()}
"""Law → (256,) int16."""
ENCODE: Final = {PCMU: _by_uint16(_compress_ulaw(_LINEAR)), PCMA: _by_uint16(_compress_alaw(_LINEAR))}
"""Law → (65536,) uint8, indexed by the sample's bits as uint16."""
SILENCE: Final = {law: int(table[0]) for law, table in ENCODE.items()}
"""Law → code of a zero sample: 0xFF and 0xD5."""


def _pairs(table: Pcm) -> NDArray[np.uint32]:
    """(65536,) uint32: two samples side by side for two codes side by side, whatever the byte order."""
    codes = np.arange(65536, dtype=np.uint16).view(np.uint8)
    pairs: NDArray[np.uint32] = table[codes].view(np.uint32)
    return pairs


_DECODE_PAIRS: Final = {law: _pairs(table) for law, table in DECODE.items()}
RECODE: Final = {
    PCMU: ENCODE[PCMU][DECODE[PCMA].view(np.uint16)],
    PCMA: ENCODE[PCMA][DECODE[PCMU].view(np.uint16)],
}
"""Law to arrive at → (256,) uint8, from codes of the other law."""


def decode(law: int, payload: Bytes, out: Pcm | None = None) -> Pcm:
    """(R, S) uint8 codes, S even and contiguous → (R, S) int16 samples; into ``out`` if given."""
    if out is None:
        out = np.empty(payload.shape, np.int16)
    # Two codes per look-up: half the look-ups for a table that still fits the second-level cache.
    _look_up(_DECODE_PAIRS[law], payload.view(np.uint16), out.view(np.uint32))
    return out


def encode(law: int, pcm: Pcm, out: Bytes | None = None) -> Bytes:
    """(R, S) int16 samples, contiguous → (R, S) uint8 codes; into ``out`` if given."""
    if out is None:
        out = np.empty(pcm.shape, np.uint8)
    _look_up(ENCODE[law], pcm.view(np.uint16), out)
    return out


def _look_up(table: NDArray[Any], index: NDArray[np.uint16], out: NDArray[Any]) -> None:
    """Piece by piece: NumPy makes indices of eight bytes, which are to stay in the cache."""
    if index.size <= _PIECE or not (index.flags.c_contiguous and out.flags.c_contiguous):
        np.take(table, index, out=out, mode="clip")
        return
    index, out = index.reshape(-1), out.reshape(-1)
    for begin in range(0, index.size, _PIECE):
        np.take(table, index[begin : begin + _PIECE], out=out[begin : begin + _PIECE], mode="clip")
