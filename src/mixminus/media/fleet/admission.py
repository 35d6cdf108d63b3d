"""Whether a media worker has time left for another call: a high-water mark with hysteresis. Pure."""

from __future__ import annotations

from typing import Final

from mixminus.media.protocol import Stats

HYSTERESIS: Final = 0.9
"""A worker that was full takes calls again below this share of its mark."""
_FREE: Final = 0.3
"""Load below which legs that the counters do not know yet are not reckoned with: there it is mostly fixed cost."""


class Gate:
    """One worker's door. ``high_water``: share of the tick's 20 ms, 0 to 1, from which no more legs are let in."""

    def __init__(self, high_water: float) -> None:
        self._high_water = high_water
        self._full = False

    def load(self, stats: Stats | None, legs: int) -> float:
        """Share of its time that a worker with these counters will need for the ``legs`` it has by now.

        The counters are some seconds old; what was let in since is taken to cost what the others do.
        """
        if stats is None:
            return 0.0
        if stats.load < _FREE or not stats.legs:
            return stats.load
        return stats.load * max(1.0, legs / stats.legs)

    def open(self, stats: Stats | None, legs: int) -> bool:
        """Whether one more leg may come in."""
        load = self.load(stats, legs)
        if load >= self._high_water:
            self._full = True
        elif load < self._high_water * HYSTERESIS:
            self._full = False
        return not self._full
