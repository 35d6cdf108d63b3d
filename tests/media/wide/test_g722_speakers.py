"""Encoders of G.722: every listener's decoder hears its own encoder and no other, in silence too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.kit import voice
from mixminus.media.codecs import g722
from mixminus.media.wide.g722_speakers import G722Speakers
from mixminus.media.wide.streams import on_this_thread

Pcm = NDArray[np.int16]
SPEECH = np.ascontiguousarray(voice(4.0)[:, ::3])
SILENCE = np.zeros(320, np.int16)


def test_what_each_hears_is_to_the_sample_what_an_encoder_of_its_own_makes() -> None:
    """Legs that come, change what they hear, hear nothing, are not sent to for a while, and go."""
    random = np.random.default_rng(1)
    speakers, payload = G722Speakers(), np.zeros((8, 160), np.uint8)
    alone: dict[int, g722.Encoder] = {}
    hears: dict[int, int] = {}
    for tick in range(100):
        if tick % 7 == 0:
            hears = {leg: int(random.integers(-1, 2)) for leg in range(4) if random.random() < 0.7}
            gone = int(random.integers(8))
            if gone in alone and gone not in hears:
                speakers.forget(gone)
                del alone[gone]
        mix = SPEECH[[tick, tick + 50]]
        legs = np.array(sorted(hears), np.intp)
        seats = speakers.seat(legs, np.array([hears[leg] for leg in legs.tolist()], np.intp))
        assert speakers.speak(mix, payload, 2, on_this_thread).tolist() == [160] * len(hears)
        for leg, seat in zip(legs.tolist(), seats.tolist(), strict=True):
            frame = SILENCE if hears[leg] < 0 else np.ascontiguousarray(mix[hears[leg]])
            expected = alone.setdefault(leg, g722.Encoder()).encode(frame)
            assert payload[2 + seat].tobytes() == expected
