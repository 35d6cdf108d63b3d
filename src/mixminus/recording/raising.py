"""Samples of a segment at the higher rate of its file. Pure.

A call is recorded at the highest rate that anybody in it can use. When a phone comes that can use more, the recording
goes on at that rate, and what there was before is brought to it with the very filters of the live mix: so it is as late
as their sound will be from then on (3.6 ms, :func:`mixminus.media.wide.resample.delay_seconds`), and there is no seam.
"""

from __future__ import annotations

import numpy as np

from mixminus.media.wide.resample import RATES, Resampler
from mixminus.recording.pieces import Audio


def can_raise(source: int, target: int) -> bool:
    """Whether samples at one rate, Hz, can be brought to another."""
    return source < target and {source, target} <= set(RATES)


class Raiser:
    """Brings the mix and the tracks of one segment from rate ``source`` to ``target``, of which it is a divisor."""

    def __init__(self, source: int, target: int) -> None:
        self.times = target // source
        self._resampler = Resampler(source, target)
        self._rows = {"": 0}
        """Name of a track, empty for the mix → its stream."""
        self._turn = 0
        self._end = 0

    def raised(self, audio: Audio, position: int) -> Audio:
        """``position``: samples of the segment before it. After a hole the streams begin anew."""
        self._turn += 1 if position == self._end else 2
        self._end = position + audio.samples
        sounds = {"": audio.pcm, **audio.tracks}
        row = np.array([self._rows.setdefault(name, len(self._rows)) for name in sounds], np.intp)
        pcm = np.zeros((row.size, -(-audio.samples // self._resampler.block) * self._resampler.block), np.int16)
        for place, sound in enumerate(sounds.values()):
            pcm[place, : audio.samples] = np.frombuffer(sound, "<i2")
        raised = self._resampler.run(row, pcm, self._turn)[:, : audio.samples * self.times].astype("<i2")
        mix, *tracks = (sound.tobytes() for sound in raised)
        return Audio(mix, dict(zip(audio.tracks, tracks, strict=True)))
