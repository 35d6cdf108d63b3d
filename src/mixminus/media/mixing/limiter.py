"""What a sum is brought under the ceiling with, instead of cutting off its peaks.

A sum that stays under the ceiling passes to the bit. One that goes over is turned down, as a whole and only as far as
needed: within its frame the gain falls ahead of the peak (2 ms), nothing is delayed, and afterwards it comes back over
some 100 ms. Only what comes so suddenly that the frame begins with it is still cut, for 2 ms at most.

Gains belong to what lasts: the sum of a bus, and a row that hears a sum less its own sound. Only whoever hears a crowd
less the own sound has no gain apart, and hears it turned down as the crowd is: one voice less makes no difference, and
thousands of gains would cost more than all the mixing. What is then still too loud is cut off.
"""

from __future__ import annotations

from math import exp
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.mixing.layout import Layout
from mixminus.media.mixing.matrix import Index, Plan
from mixminus.media.state import FRAME

Pcm = NDArray[np.int16]
Totals = NDArray[np.int32]
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Gains = NDArray[np.float64]

LEAST: Final = -32768
MOST: Final = 32767
BLOCKS: Final = 10
"""Parts of a frame with a gain of their own at their end, 2 ms each; between their ends the gain is a straight line."""
_CEILING: Final = np.float32(MOST)
_RELEASE_MS: Final = 80.0
_AIM: Final = 1.1
"""Where the gain would come to rest; more than 1, so that it gets there: from 0.5 in 140 ms, from nothing in 190."""
_RELEASE: Final = float(np.float32(1 - exp(-20 / BLOCKS / _RELEASE_MS)))
"""Rounded: the last digits of an exponential differ between machines."""
_PIECE: Final = 128
"""Rows at a time: larger arrays are given back to the system each time, and fresh pages cost more than the sound."""


def limit(gain: Gains, total: Totals) -> tuple[Gains, Pcm]:
    """One frame of some sums, (N, S) with S a multiple of :data:`BLOCKS`, begun at ``gain`` (N,).

    Returns: gains at its end, and the samples, (N, S).
    """
    blocks = _blocks(total)
    most = _ceilings(blocks)
    ends = np.empty((BLOCKS + 1, len(total)))
    ends[0] = gain
    for block in range(BLOCKS):
        np.minimum(most[block], ends[block] + (_AIM - ends[block]) * _RELEASE, out=ends[block + 1])
    return ends[-1], _turned_down(blocks, ends[:-1], ends[1:])


def _blocks(total: Totals) -> Floats:
    """(BLOCKS, S / BLOCKS, N): sums lie side by side, so that every operation runs along all of them."""
    rows, size = total.shape
    return total.T.astype(np.float32, order="C").reshape(BLOCKS, size // BLOCKS, rows)


def _ceilings(blocks: Floats) -> Floats:
    """(BLOCKS, N): the highest gain at the end of each; less than 1 only where something does not fit."""
    most: Floats = _CEILING / np.maximum(np.maximum(blocks.max(axis=1), -1 - blocks.min(axis=1)), _CEILING)
    np.minimum(most[:-1], most[1:], out=most[:-1])
    return most


def _turned_down(blocks: Floats, begin: Gains, end: Gains) -> Pcm:
    """(N, S) of ``blocks``, which are used up, with the gains at their begins and ends, (BLOCKS, N) each."""
    _, part, rows = blocks.shape
    blocks *= _curve(begin, end, part)
    np.clip(np.rint(blocks, out=blocks), LEAST, MOST, out=blocks)
    return blocks.reshape(-1, rows).T.astype(np.int16, order="C")


def _curve(begin: Gains, end: Gains, part: int) -> Floats:
    """(B, part, N): the gains of samples that go from ``begin`` (B, N) to ``end``."""
    first, last = begin.astype(np.float32)[:, None], end.astype(np.float32)[:, None]
    ramp = np.arange(1, part + 1, dtype=np.float32)[:, None] / np.float32(part)
    curve: Floats = first + (last - first) * ramp
    return curve


def crowd_curve(gain: Gains, total: Totals, size: int) -> tuple[Gains, Floats]:
    """Several frames of ``size`` samples, (N, K * size), begun at ``gain`` (N,), as by :func:`limit` one by one.

    Returns: gains at the end, and those of every sample, (N, K * size).
    """
    rows = len(total)
    most = _ceilings(_blocks(total.reshape(-1, size))).T.reshape(rows, -1).astype(np.float64)
    ends = _below(gain, most)
    curve = _curve(ends[:, :-1].T, ends[:, 1:].T, size // BLOCKS).reshape(-1, rows)
    return ends[:, -1], np.ascontiguousarray(curve.T)


def follow_curve(total: Totals, curve: Floats | None, out: Pcm) -> None:
    """Sums (N, W) to ``out`` at the gains of ``curve``, (W,) or (N, W); ``None``: as they are. The rest is cut off."""
    if curve is not None:
        turned = total.astype(np.float32)
        turned *= curve
        np.copyto(out, np.clip(np.rint(turned, out=turned), LEAST, MOST, out=turned), casting="unsafe")
    elif is_over(total):
        np.copyto(out, np.clip(total, LEAST, MOST), casting="unsafe")
    else:
        np.copyto(out, total, casting="unsafe")


def is_over(total: Totals) -> bool:
    """Whether any sample of (N, S) does not fit into 16 bits."""
    return total.size > 0 and bool(total.max() > MOST or total.min() < LEAST)


def bring_under(gain: Gains, total: Totals, out: Pcm) -> Gains:
    """One frame of sums (N, S), begun at ``gain`` (N,), to ``out`` (N, S); returns the gains at its end."""
    np.copyto(out, total, casting="unsafe")
    over = np.flatnonzero((total.max(axis=1) > MOST) | (total.min(axis=1) < LEAST) | (gain < 1))
    gain = gain.copy()
    for begin in range(0, over.size, _PIECE):
        rows = over[begin : begin + _PIECE]
        gain[rows], out[rows] = limit(gain[rows], total[rows])
    return gain


def _bring_ticks_under(gain: Gains, total: Totals, out: Pcm) -> Gains:
    """Several frames of sums, (N, K * FRAME), as by :func:`bring_under` one after the other.

    Only the gains go block by block; the samples of all frames are worked on together.
    """
    np.copyto(out, total, casting="unsafe")
    frames = total.reshape(-1, FRAME)
    over = (frames.max(axis=1) > MOST) | (frames.min(axis=1) < LEAST)
    most = np.ones((len(frames), BLOCKS))
    for at in _pieces(over):
        most[at] = _ceilings(_blocks(frames[at])).T
    ends = _below(gain, most.reshape(gain.size, -1))
    begin, end = ends[:, :-1].reshape(-1, BLOCKS), ends[:, 1:].reshape(-1, BLOCKS)
    to = out.reshape(-1, FRAME)
    for at in _pieces(over | (begin[:, 0] < 1)):
        to[at] = _turned_down(_blocks(frames[at]), begin[at].T, end[at].T)
    return ends[:, -1]


def _pieces(which: Flags) -> list[Index]:
    at = np.flatnonzero(which)
    return [at[begin : begin + _PIECE] for begin in range(0, at.size, _PIECE)]


def _below(gain: Gains, most: Gains) -> Gains:
    """The gains of N sums at the begin and after each of B blocks, (N, B + 1): begun at ``gain`` (N,), below ``most``
    (N, B).
    """
    ends = np.ones((gain.size, most.shape[1] + 1))
    ends[:, 0] = gain
    aim, release = _AIM, _RELEASE
    for row in np.flatnonzero((gain < 1) | (most < 1).any(axis=1)).tolist():
        last = float(gain[row])
        # Each gain needs the one before, and few sums are too loud at once: numbers are quicker here than arrays.
        ends[row, 1:] = [
            last := free if (free := last + (aim - last) * release) < ceiling else ceiling
            for ceiling in most[row].tolist()
        ]
    return ends


class Limiter:
    """The gains of the mixes of one rate, while anything is over the ceiling; without that it costs a look."""

    def __init__(self) -> None:
        self._gain: Gains = np.ones(0)
        """(mixes,) of the present layout."""
        self._plan: Plan | None = None
        self._layout: Layout | None = None
        self.turned_down = False
        """Some gain is not 1."""

    def follow(self, plan: Plan, layout: Layout) -> None:
        """The mixes to come are those of ``layout``; who goes on hearing something hears it as loud as before."""
        if layout is self._layout:
            return
        gain = np.ones(layout.mixes)
        if self.turned_down and self._plan is not None and self._layout is not None:
            of_bus, of_row = _heard(self._plan, self._layout, self._gain)
            if plan is not self._plan:
                of_bus = _by_new_bus(of_bus, self._plan, plan)
            sounding = np.flatnonzero(layout.place >= 0)
            gain[layout.place[sounding]] = of_bus[sounding]
            known = layout.own_row < of_row.size
            gain[layout.sums :][known] = of_row[layout.own_row[known]]
        self._gain, self._plan, self._layout = gain, plan, layout
        self.settle()

    def finish(self, total: Totals, begin: int, out: Pcm) -> None:
        """One frame, (N, S), of the mixes from number ``begin`` on, to 16 bits."""
        if self.turned_down or is_over(total):
            part = slice(begin, begin + len(total))
            self._gain[part] = bring_under(self._gain[part], total, out)
        else:
            np.copyto(out, total, casting="unsafe")

    def finish_crowds(self, total: Totals, begin: int, out: Pcm, size: int) -> Floats | None:
        """Frames of ``size`` samples of crowds, (N, K * size), which are the mixes from number ``begin`` on.

        Returns: for :func:`follow_curve`, the gain of every sample, (N, K * size); ``None``: nothing is turned down.
        """
        part = slice(begin, begin + len(total))
        curve = None
        if (self._gain[part] < 1).any() or is_over(total):
            self._gain[part], curve = crowd_curve(self._gain[part], total, size)
        follow_curve(total, curve, out)
        return curve

    def finish_ticks(self, total: Totals, mix: Index, out: Pcm) -> None:
        """Several frames, (N, K * FRAME), of the mixes numbered ``mix`` (N,), as by :meth:`finish` one by one."""
        gain = self._gain[mix]
        if not (gain < 1).any() and not is_over(total):
            np.copyto(out, total, casting="unsafe")
        else:
            self._gain[mix] = _bring_ticks_under(gain, total, out)

    def turns_down(self, mix: Index) -> bool:
        """Whether some of the mixes numbered ``mix`` (N,) has a gain below 1."""
        return self.turned_down and bool((self._gain[mix] < 1).any())

    def settle(self) -> None:
        """After a frame, or several, of all mixes."""
        if self._layout is not None and (crowded := self._layout.crowded):
            begin = self._layout.sums
            self._gain[begin : begin + crowded] = self._gain[self._layout.own_sum[:crowded]]
        self.turned_down = bool((self._gain < 1).any())


def _heard(plan: Plan, layout: Layout, gain: Gains) -> tuple[Gains, Gains]:
    """The gain of each bus, and that at which each row hears what it hears; 1 where there was silence."""
    of_bus = np.ones(plan.buses)
    sounding = np.flatnonzero(layout.place >= 0)
    of_bus[sounding] = gain[layout.place[sounding]]
    of_row = np.ones(plan.bus_of.size)
    listens = np.flatnonzero(plan.bus_of >= 0)
    of_row[listens] = of_bus[plan.bus_of[listens]]
    of_row[layout.own_row] = gain[layout.sums :]
    return of_bus, of_row


def _by_new_bus(of_bus: Gains, old: Plan, new: Plan) -> Gains:
    """A bus goes on as the one that its listeners heard before."""
    size = min(old.bus_of.size, new.bus_of.size)
    stays = np.flatnonzero((old.bus_of[:size] >= 0) & (new.bus_of[:size] >= 0))
    found = np.ones(new.buses)
    np.minimum.at(found, new.bus_of[stays], of_bus[old.bus_of[stays]])
    return found
