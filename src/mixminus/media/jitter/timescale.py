"""Speech made shorter or longer by a pitch period, without a change of pitch and without a cut.

In the manner of WSOLA: at the place of a joint, the sound is crossed over to itself one lag further on
(:func:`shorten`) or one lag earlier (:func:`lengthen`); the lag, 2.5 to 15 ms, is the one at which the two are most
alike. Pure, for any rate that is a multiple of 8 kHz, and for all rows at once.

A stream that uses it keeps what it decoded beyond the frame it has to give away (at most ``AHEAD_MS`` more), and some
``BEHIND_MS`` of what it gave away already. With ``sound`` (A, S), the last of it all on the right, and ``begin`` (A,),
the column of the first sample that was not given away yet::

    done = timescale.shorten(sound, begin, 16000, most=owed)
    sound, begin = done.sound, begin + done.by      # ``by`` samples fewer are left to be given away
    done = timescale.lengthen(sound, begin, 16000)
    sound, begin = done.sound, begin - done.by      # or more

``by`` is 0 where no lag was alike enough (``likeness``), and that row is left as it was: try again in a later frame.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
Floats = NDArray[np.float32]
Index = NDArray[np.intp]

SHORTEST_MS: Final = 2.5
LONGEST_MS: Final = 15
"""Lags tried: pitches of 67 to 400 Hz."""
BEHIND_MS: Final = 20
"""What must be there before ``begin``."""
AHEAD_MS: Final = 30
"""What must be there from ``begin`` on to shorten; to lengthen, ``LONGEST_MS`` will do."""
ALIKE: Final = 0.8
"""Likeness from which on a joint is not heard."""
QUIET: Final = 60
"""Loudness (RMS) below which no joint is heard."""
_LEAD_MS: Final = 5
"""What is compared begins so much before the joint..."""
_WINDOW_MS: Final = 15
"""... and is so long."""
_LONGER: Final = 0.03
"""Likeness that the longest lag may lack, and the shortest would win: of several periods rather the most."""
_COARSE: Final = 8000
"""Hz: the rate at which lags are sought first, all of them."""


class Scaled(NamedTuple):
    """What became of the rows of ``sound``."""

    sound: Pcm
    """(A, S), its end where it was; what is before the joint has moved."""
    by: Index
    """(A,) samples taken out or put in; 0: row left as it was."""
    likeness: Floats
    """(A,) of the two sounds at the joint, -1 to 1."""


def shorten(
    sound: Pcm, begin: Index, rate: int, most: Index | int | None = None, alike: Floats | float = ALIKE
) -> Scaled:
    """Take out one lag at column ``begin`` ((A,)) of each row of ``sound`` ((A, S)).

    Args:
        rate: Hz, a multiple of 8000.
        most: samples that may be taken out at most, (A,) or for all; fewer than ``SHORTEST_MS``: nothing is.
        alike: likeness that is good enough, (A,) or for all.
    """
    return _scale(sound, begin, rate, 1, most, alike)


def lengthen(
    sound: Pcm, begin: Index, rate: int, most: Index | int | None = None, alike: Floats | float = ALIKE
) -> Scaled:
    """Put in one lag at column ``begin``; as :func:`shorten`. What was on the far left is lost."""
    return _scale(sound, begin, rate, -1, most, alike)


def skip(sound: Pcm, begin: Index, by: Index) -> Pcm:
    """Take out just ``by`` ((A,), 1 or more) samples at column ``begin``, alike or not: for what is quiet."""
    return _join(sound, begin, by, np.zeros(len(sound), np.float32))


def _scale(sound: Pcm, begin: Index, rate: int, way: int, most: Index | int | None, alike: Floats | float) -> Scaled:
    if rate % _COARSE:
        raise ValueError(f"rate {rate}: must be a multiple of {_COARSE} Hz")
    longest = rate * LONGEST_MS // 1000
    limit = np.broadcast_to(np.asarray(longest if most is None else most), begin.shape)
    lag, likeness = best_lag(sound, begin, rate, way, limit)
    good = (likeness >= alike) & (lag <= limit) & (lag > 0)
    made = np.flatnonzero(good)
    scaled = sound.copy()
    if made.size:
        scaled[made] = _join(sound[made], begin[made], way * lag[made], likeness[made])
    return Scaled(scaled, np.where(good, lag, 0), likeness)


def best_lag(sound: Pcm, begin: Index, rate: int, way: int, most: Index) -> tuple[Index, Floats]:
    """Lag in samples at which the sound around column ``begin`` is most like that one lag further on (``way`` 1) or
    earlier (-1), of those from ``SHORTEST_MS`` to ``most``; and how like (normalised correlation), (A,) each.

    Where it is quiet, the longest lag there may be, and 1.
    """
    factor = rate // _COARSE
    longest = rate * LONGEST_MS // 1000
    here, there = _around(sound, begin, rate, way)
    lags = np.arange(round(_COARSE * SHORTEST_MS / 1000), _COARSE * LONGEST_MS // 1000 + 1)
    score = _likeness(_thin(here, factor), _thin(there, factor), lags, way)
    score[lags * factor > np.maximum(most, lags[0] * factor)[:, None]] = -1
    at = np.argmax(score + np.float32(_LONGER) * (lags / lags[-1]).astype(np.float32), axis=1)
    lag, likeness = lags[at], np.take_along_axis(score, at[:, None], axis=1)[:, 0]
    if factor > 1:
        lag, likeness = _refine(here, there, lag * factor, factor, way, np.minimum(most, longest))
    quiet = (_power(here) < QUIET**2) & (_power(there) < QUIET**2)
    return np.where(quiet, np.minimum(most, longest), lag), np.where(quiet, np.float32(1), likeness)


def _around(sound: Pcm, begin: Index, rate: int, way: int) -> tuple[Floats, Floats]:
    """What is compared, (A, W), and all it is compared with, (A, W + longest lag): that further on, or earlier."""
    window, longest = rate * _WINDOW_MS // 1000, rate * LONGEST_MS // 1000
    first = begin - rate * _LEAD_MS // 1000
    columns = np.arange(window + longest)
    here = np.take_along_axis(sound, first[:, None] + columns[:window], axis=1)
    there = np.take_along_axis(sound, first[:, None] + (columns if way > 0 else columns - longest), axis=1)
    return here.astype(np.float32), there.astype(np.float32)


def _power(sound: Floats) -> Floats:
    power: Floats = np.einsum("as,as->a", sound, sound) / np.float32(sound.shape[1])
    return power


def _thin(sound: Floats, factor: int) -> Floats:
    """Means of ``factor`` samples each."""
    return sound if factor == 1 else sound.reshape(len(sound), -1, factor).mean(axis=2, dtype=np.float32)


def _likeness(here: Floats, there: Floats, lags: Index, way: int) -> Floats:
    """(A, len(lags)) of ``here`` and what of ``there`` is one lag away; ``lags`` rising by one."""
    window = here.shape[1]
    longest = there.shape[1] - window
    begins = lags if way > 0 else longest - lags[::-1]
    near = there[:, begins[0] : begins[-1] + window]
    cross = _correlate(near, here)
    power = np.cumsum(np.pad(near.astype(np.float64) ** 2, ((0, 0), (1, 0))), axis=1)
    energy = power[:, window:] - power[:, :-window]
    own = np.einsum("as,as->a", here, here)
    score: Floats = (cross / np.sqrt(np.maximum(energy * own[:, None], 1.0))).astype(np.float32)
    return score if way > 0 else score[:, ::-1]


def _correlate(long: Floats, short: Floats) -> NDArray[np.float64]:
    """(A, L - W + 1) products of ``short`` ((A, W)) and each piece of ``long`` ((A, L)) of its length."""
    length = long.shape[1]
    size = 1 << (length - 1).bit_length()
    found = np.fft.rfft(long.astype(np.float64), size) * np.conj(np.fft.rfft(short.astype(np.float64), size))
    products: NDArray[np.float64] = np.fft.irfft(found, size)[:, : length - short.shape[1] + 1]
    return products


def _refine(here: Floats, there: Floats, lag: Index, factor: int, way: int, most: Index) -> tuple[Index, Floats]:
    """The best of the lags within ``factor`` of one found at the coarse rate."""
    window = here.shape[1]
    longest = there.shape[1] - window
    near = lag[:, None] + np.arange(-factor, factor + 1)
    near = near.clip(min(factor, longest), np.maximum(most, factor)[:, None])
    first = near if way > 0 else longest - near
    moved = np.take_along_axis(there[:, None, :], first[:, :, None] + np.arange(window), axis=2)
    cross = np.einsum("als,as->al", moved, here)
    energy = np.einsum("als,als->al", moved, moved) * np.einsum("as,as->a", here, here)[:, None]
    score = cross / np.sqrt(np.maximum(energy, 1.0))
    at = np.argmax(score, axis=1)[:, None]
    return np.take_along_axis(near, at, axis=1)[:, 0], np.take_along_axis(score, at, axis=1)[:, 0]


def _join(sound: Pcm, begin: Index, jump: Index, likeness: Floats) -> Pcm:
    """Cross over, from column ``begin`` on and for as long as ``jump``, to what is ``jump`` columns further on."""
    size = sound.shape[1]
    length = np.abs(jump)
    first = begin + jump
    earlier = np.take_along_axis(sound, (np.arange(size) - jump[:, None]).clip(0, size - 1), axis=1)
    joined = np.where(np.arange(size) < first[:, None], earlier, sound)
    step = np.arange(length.max())
    column = (first[:, None] + step).clip(0, size - 1)
    rise = (0.5 - 0.5 * np.cos(np.pi * ((step + 0.5) / length[:, None]).clip(0, 1))).astype(np.float32)
    level = 1 - 2 * rise * (1 - rise) * (1 - likeness.clip(0, 1)[:, None])
    old, new = np.take_along_axis(earlier, column, axis=1), np.take_along_axis(sound, column, axis=1)
    crossed = np.rint((old * (1 - rise) + new * rise) / np.sqrt(level)).clip(-32768, 32767)
    np.put_along_axis(joined, column, crossed.astype(np.int16), axis=1)
    return joined
