"""Slots that are missing: which of them are to be made up, and how they are counted. The same for every codec."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mixminus.media.jitter.conceal import FADE_SLOTS
from mixminus.media.state import MediaState

Index = NDArray[np.intp]
Slots = NDArray[np.int64]
Flags = NDArray[np.bool_]


def to_fake(state: MediaState, row: Index, number: Slots, present: Flags) -> Flags:
    """Which of some slots ((A, N)) not ``present`` are to be made up: neither meant to be silent nor long gone."""
    good = np.maximum.accumulate(np.where(present, number, state.good[row, None]), axis=1)
    run = number - good - 1
    meant = (state.quiet_from[row, None] <= number) & (number < state.quiet_to[row, None])
    faked: Flags = ~present & ~meant & (run >= 0) & (run < FADE_SLOTS)
    return faked


def count(state: MediaState, row: Index, number: Slots, present: Flags, faked: Flags) -> None:
    """Enter slots ((A, N)) in the books."""
    known = number < state.end[row, None]
    state.concealed[row] += (faked & known).sum(axis=1)
    state.gap[row] += (faked & ~known).sum(axis=1)
    state.good[row] = np.where(present, number, state.good[row, None]).max(axis=1)
