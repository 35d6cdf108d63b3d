"""Packets of Opus that have come and are not played yet, those of all legs together: put away and found by number."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]
Ints = NDArray[np.int64]
Sizes = NDArray[np.int32]
Bytes = NDArray[np.uint8]

BOARDS: Final = 128
"""Lots that are kept, one a tick: 2.5 s, for the ring of the jitter buffer refers to 0.64 s."""
_PLACES: Final = 32
"""Bits of a number that tell a packet's place in its lot."""


class Shelf:
    """What a tick brings is one lot of bytes. A number is given once in 2^31 ticks."""

    def __init__(self) -> None:
        self._boards: dict[int, tuple[bytes, list[int]]] = {}
        """Lot → its packets, one behind the other, and where each begins, and the last ends."""
        self._next = 0

    def put(self, data: Bytes, at: Index, begin: Sizes, size: Sizes) -> Ints:
        """Keep ``size`` bytes from ``begin`` on of rows ``at`` ((A,) each) of ``data``; their numbers, (A,)."""
        ends = np.cumsum(size, dtype=np.int64)
        first = at * data.shape[1] + begin
        flat = np.repeat(first - ends + size, size) + np.arange(ends[-1] if ends.size else 0)
        self._boards[self._next] = data.reshape(-1)[flat].tobytes(), [0, *ends.tolist()]
        self._boards.pop(self._next - BOARDS, None)
        numbers = (np.int64(self._next) << _PLACES) + np.arange(at.size)
        self._next += 1
        return numbers

    def get(self, number: int) -> bytes | None:
        """The packet of this number, unless it was put away too long ago."""
        board = self._boards.get(number >> _PLACES)
        if board is None:
            return None
        packets, bounds = board
        place = number & (1 << _PLACES) - 1
        return packets[bounds[place] : bounds[place + 1]]

    def clear(self) -> None:
        """Nobody is left whose packets these are."""
        self._boards.clear()
