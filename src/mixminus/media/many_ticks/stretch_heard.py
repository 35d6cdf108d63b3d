"""What legs hear in a stretch, made of what is played once somebody asks for it: most of it nobody ever looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g711
from mixminus.media.mixing.layout import LAWS, Layout
from mixminus.media.mixing.matrix import Index
from mixminus.media.state import FRAME

Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Played:
    """What H streams play in K ticks, so that it can be had again without being kept."""

    row: Index
    law: list[int]
    waited: Pcm
    """(H, W) the begin of each, which had come before,"""
    lag: list[int]
    """and how much of it is of use."""
    sound: Sequence[Bytes]
    """The payload of the rest, (K * S,) or longer."""
    active: NDArray[np.bool_]
    """(H, K)."""

    def of(self, row: int) -> Pcm:
        """(K * S,) as it was mixed: zero while the row was not active."""
        at = int(np.flatnonzero(self.row == row)[0])
        active = self.active[at]
        pcm = np.empty(active.size * FRAME, np.int16)
        begin = self.waited[at, : min(self.lag[at], pcm.size)]
        pcm[: begin.size] = begin
        g711.decode(self.law[at], self.sound[at][: pcm.size - begin.size], pcm[begin.size :])
        pcm.reshape(-1, FRAME)[~active] = 0
        return pcm


@dataclass(frozen=True, slots=True)
class Payloads:
    """The payloads of a stretch, (K * S,) each, by their numbers in its layout."""

    layout: Layout
    played: Played
    made: dict[int, Bytes]
    """Those there are already. Of the others, each sum fits into 16 bits, and does so less each own sound."""
    sums: Pcm | None
    """(U, K * S); ``None``: all that is in them is in ``played``."""

    @property
    def size(self) -> int:
        """Of each, bytes."""
        return int(self.played.active.shape[1]) * FRAME

    def __getitem__(self, number: int) -> Bytes:
        if number not in self.made:
            self.made[number] = self._make(number)
        return self.made[number]

    def _make(self, number: int) -> Bytes:
        if number < len(LAWS):
            return np.full(self.size, g711.SILENCE[LAWS[number]], np.uint8)
        number -= len(LAWS)
        law, needed = self.layout.encode[0]
        if number >= needed.size:
            number -= needed.size
            law, needed = self.layout.encode[1]
        return g711.encode(law, self._mix(int(needed[number])))

    def _mix(self, mix: int) -> Pcm:
        layout, less = self.layout, mix - self.layout.sums
        number, own = (mix, -1) if less < 0 else (int(layout.own_sum[less]), int(layout.own_row[less]))
        if self.sums is None:
            total: Pcm = np.zeros(self.size, np.int16)
            for row in layout.sources(number):
                if row != own:
                    total += self.played.of(row)
            return total
        total = self.sums[number].copy()
        if own >= 0:
            total -= self.played.of(own)
        return total


@dataclass(frozen=True, slots=True)
class Later:
    """One of ``payloads``, which is not made before it is looked at: an array to NumPy."""

    payloads: Payloads
    number: int

    @property
    def size(self) -> int:
        return self.payloads.size

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Bytes:
        return self.payloads[self.number]
