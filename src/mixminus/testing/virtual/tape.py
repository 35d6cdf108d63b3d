"""Sound with its place in virtual time; of G.711 it is kept encoded as it was on the wire."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g711
from mixminus.media.many_ticks.stretch_heard import Later
from mixminus.testing.sources import RATE, Samples

NS: Final = 1_000_000_000 // RATE
LAWS: Final = {"PCMU": g711.PCMU, "PCMA": g711.PCMA}
LINEAR: Final = -1
"""In place of a law: samples as they are."""
Codes: TypeAlias = NDArray[np.uint8] | Samples | Later


class Tape:
    """Pieces in order of time. Between pieces there is silence."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._pieces: list[list[Codes]] = []
        """Of each stretch without a hole and in one law: its pieces, and where each begins in it."""
        self._offsets: list[list[int]] = []
        self._laws: list[int] = []

    def append(self, start_ns: int, law: int, codes: Codes) -> None:
        """``codes``: (S,) uint8, or int16 if ``law`` is ``LINEAR``, kept as they are; they begin at ``start_ns``."""
        if not self._starts or self._ends[-1] != start_ns or self._laws[-1] != law:
            self._starts.append(start_ns)
            self._ends.append(start_ns)
            self._pieces.append([])
            self._offsets.append([])
            self._laws.append(law)
        self._offsets[-1].append((self._ends[-1] - self._starts[-1]) // NS)
        self._pieces[-1].append(codes)
        self._ends[-1] = start_ns + codes.size * NS

    @property
    def spans(self) -> list[tuple[int, int]]:
        """From when to when there is anything, nanoseconds."""
        return list(zip(self._starts, self._ends, strict=True))

    def between(self, start_ns: int, end_ns: int) -> Samples:
        """(S,) int16, silence where there is nothing."""
        out = np.zeros(max(0, round((end_ns - start_ns) / NS)), np.int16)
        for index, (begin, end) in enumerate(self.spans):
            if end <= start_ns or begin >= end_ns:
                continue
            first = max(0, round((start_ns - begin) / NS))
            last = min((end - begin) // NS, round((end_ns - begin) / NS))
            samples = self._cut(index, first, last)
            at = max(0, round((begin - start_ns) / NS))
            kept = samples[: len(out) - at]
            out[at : at + len(kept)] = kept
        return out

    def all(self) -> Samples:
        """From the first sample to the last."""
        return self.between(self._starts[0], self._ends[-1]) if self._starts else np.zeros(0, np.int16)

    def _cut(self, index: int, first: int, last: int) -> Samples:
        offsets, pieces = self._offsets[index], self._pieces[index]
        begin = max(0, bisect_right(offsets, first) - 1)
        end = bisect_right(offsets, last)
        codes = np.concatenate(pieces[begin:end])
        skip = first - offsets[begin]
        cut = codes[skip : skip + last - first]
        law = self._laws[index]
        return cut.astype(np.int16, copy=False) if law == LINEAR else g711.DECODE[law][cut]
