"""Bad networks for tests, without a network: packets go in with a time, and come out late, twice, mixed up or never.

Everything is drawn from one seed, so that a bad minute repeats to the packet. Nothing here reads a clock or sleeps.

    link = Link(Weather(loss=0.05, burst=3, jitter_ms=40), seed=1)
    link.send(packet, at_ns)
    for packet in link.arrived(now_ns): ...
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

MILLISECOND_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Weather:
    """What a network does to packets. Shares are 0 to 1.

    Raises ValueError when a field is out of its range.
    """

    loss: float = 0.0
    """Share of packets that never come."""
    burst: float = 1.0
    """Mean length of a run of losses, packets (Gilbert model); 1: each for itself."""
    delay_ms: float = 0.0
    """What every packet takes."""
    jitter_ms: float = 0.0
    """Mean, and so deviation, of what a packet takes beyond that (exponential)."""
    in_order: bool = True
    """Packets wait for those before them, as in the one queue of a slow link."""
    reorder: float = 0.0
    """Share of packets that overtake: they take ``delay_ms`` alone."""
    duplicate: float = 0.0
    """Share of packets that come twice, the second after a jitter of its own."""
    drift_ppm: float = 0.0
    """How much faster than true the sender's clock runs, parts per million."""

    def __post_init__(self) -> None:
        for name in ("loss", "reorder", "duplicate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}: a share is 0 to 1")
        if self.burst < 1 or (self.loss < 1 and self.loss / (1 - self.loss) > self.burst):
            raise ValueError(f"burst {self.burst}: must be 1 or more, and at least loss / (1 - loss)")
        if self.delay_ms < 0 or self.jitter_ms < 0:
            raise ValueError("delay_ms and jitter_ms cannot be negative")
        if self.drift_ppm <= -1_000_000:
            raise ValueError(f"drift_ppm {self.drift_ppm}: a clock cannot stand still")


class Link:
    """One direction of one path.

    Attributes:
        sent, lost, duplicated: packets so far.
    """

    def __init__(self, weather: Weather, *, seed: int) -> None:
        self.sent = self.lost = self.duplicated = 0
        self._weather = weather
        self._random = np.random.default_rng(seed)
        self._flying: list[tuple[int, int, bytes]] = []
        self._losing = False
        self._last_ns = 0
        self._number = 0

    def send(self, packet: bytes, at_ns: int) -> None:
        """A packet leaves at ``at_ns`` of the sender's clock; calls must be in order of time."""
        weather = self._weather
        self.sent += 1
        # Always draw the same numbers, so that one field of the weather does not change the luck of the others.
        fate, second, overtakes = self._random.random(3)
        extra = self._random.exponential(1.0, 2) * weather.jitter_ms * MILLISECOND_NS
        left_ns = at_ns / (1 + weather.drift_ppm / 1e6) + weather.delay_ms * MILLISECOND_NS
        if self._loses(fate):
            self.lost += 1
            return
        if overtakes < weather.reorder:
            self._fly(packet, left_ns)
        else:
            arrival_ns = left_ns + extra[0]
            if weather.in_order:
                arrival_ns = max(arrival_ns, self._last_ns)
            self._last_ns = int(arrival_ns)
            self._fly(packet, arrival_ns)
        if second < weather.duplicate:
            self.duplicated += 1
            self._fly(packet, left_ns + extra[1])

    def arrived(self, now_ns: int) -> list[bytes]:
        """What has come by ``now_ns`` of the receiver's clock and was not taken yet, in order of arrival."""
        here = []
        while self._flying and self._flying[0][0] <= now_ns:
            here.append(heapq.heappop(self._flying)[2])
        return here

    def _loses(self, fate: float) -> bool:
        weather = self._weather
        if weather.loss in (0, 1):
            return weather.loss == 1
        leave = 1 / weather.burst
        enter = weather.loss * leave / (1 - weather.loss)
        if weather.burst == 1:
            return fate < weather.loss
        self._losing = fate >= leave if self._losing else fate < enter
        return self._losing

    def _fly(self, packet: bytes, arrival_ns: float) -> None:
        heapq.heappush(self._flying, (int(arrival_ns), self._number, packet))
        self._number += 1
