"""A long call in virtual time whose phones' clocks are wrong: nobody drifts, and no sample is lost or made up."""

from __future__ import annotations

import os

import numpy as np
import pytest

from media.kit import SILENCE, Pcm, Peer, Studio, Tape, strength, tone
from mixminus.media import protocol
from mixminus.media.state import FRAME

pytestmark = pytest.mark.slow

HOURS = float(os.environ.get("DRIFT_HOURS", "0.25"))
PPM = float(os.environ.get("DRIFT_PPM", "200"))
"""How wrong the wrong clocks are: half an hour at 3,200 drifts as far as eight hours at 200."""
RATE = 8000
EVERY = 10
"""Seconds between two moments at which everybody speaks."""
BURST = 3
"""Frames of tone at each."""
LATEST, APART = 0.2, 0.06
"""Seconds after the moment at which a voice may be heard in the recording; and two voices from each other."""


class Ear(Tape):
    """Listens for the voices as the recording grows, and keeps nothing else."""

    def __init__(self, voices: dict[str, int]) -> None:
        super().__init__()
        self.samples = 0
        self.heard: dict[str, list[float]] = {name: [] for name in voices}
        """Seconds from each moment to when the voice was heard; 1000: never."""
        self._voices = voices
        self._waiting: list[Pcm] = []
        self._waiting_samples = 0

    def write(self, pcm: Pcm, now_ns: int) -> None:
        self.samples += pcm.size
        self._waiting.append(pcm.copy())
        self._waiting_samples += pcm.size
        if self._waiting_samples >= EVERY * RATE:
            all_of_it = np.concatenate(self._waiting)
            self._listen(all_of_it[: EVERY * RATE])
            self._waiting = [all_of_it[EVERY * RATE :]]
            self._waiting_samples = self._waiting[0].size

    def _listen(self, window: Pcm) -> None:
        frames = window[: RATE // 2].reshape(-1, FRAME)
        for name, hertz in self._voices.items():
            loud = [index for index, frame in enumerate(frames) if strength(frame, hertz) > 700]
            self.heard[name].append(loud[0] * FRAME / RATE if loud else 1000.0)


class Phone:
    """Sends a frame whenever 20 ms have passed by its own clock; a tone at every moment."""

    def __init__(self, studio: Studio, peer: Peer, hertz: int, parts_per_million: float) -> None:
        self._studio, self._peer = studio, peer
        self._frame = 0.02 / (1 + parts_per_million / 1e6)
        self._burst = list(tone(hertz, BURST))
        self._sent, self._moment, self._left = 0, -1, 0

    def send_until(self, now: float) -> None:
        """Everything that is due by the true time ``now``, seconds."""
        while self._sent * self._frame <= now:
            moment = int(self._sent * self._frame / EVERY)
            if moment > self._moment:
                self._moment, self._left = moment, BURST
            pcm = self._burst[BURST - self._left] if self._left else SILENCE
            self._left = max(0, self._left - 1)
            self._studio.deliver(self._peer, self._peer.packet(pcm))
            self._sent += 1


@pytest.mark.timeout(round(120 + 1800 * HOURS))
def test_nobody_drifts_and_every_tick_is_recorded() -> None:
    clocks = {"fast": (500, PPM), "slow": (1250, -PPM), "right": (2000, 0.0)}
    studio = Studio()
    phones = [Phone(studio, studio.join(name, send=False), *clock) for name, clock in clocks.items()]
    ear = studio.tapes["tap"] = Ear({name: hertz for name, (hertz, _) in clocks.items()})
    studio.apply(protocol.StartTap("tap", "room", 1, "/nowhere"))
    ticks = round(HOURS * 3600 * 50)
    for number in range(ticks):
        for phone in phones:
            phone.send_until(number * 0.02)
        studio.tick()
    studio.apply(protocol.StopTap("tap"))
    assert ear.samples == ticks * FRAME
    moments = len(ear.heard["right"])
    assert moments == ticks // (50 * EVERY)
    delays = np.array([ear.heard[name] for name in clocks])[:, 1:]
    missed = int((delays > LATEST).sum())
    apart = np.ptp(delays, axis=0).max()
    print(f"{HOURS:g} h, {PPM:g} ppm: delay {delays.min():.3f}-{delays.max():.3f} s, apart at most {apart:.3f}")  # noqa: T201
    assert missed == 0
    assert apart <= APART
    assert abs(delays[:, -10:].mean(axis=1) - delays[:, :10].mean(axis=1)).max() <= APART
