"""Gaps in a leg's G.722: filled and joined as those of G.711 are, at 16 kHz."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.kit import Studio, strength, tone, voice
from mixminus.media import protocol
from mixminus.media.codecs import g722
from mixminus.media.jitter import conceal
from mixminus.media.wide.streams import G722Stream, Piece

Pcm = NDArray[np.int16]
SLOT = 160
SPEECH = np.ascontiguousarray(voice(2.0)[:, ::3]).reshape(-1, SLOT)


def played(payloads: list[bytes | None]) -> Pcm:
    stream, out = G722Stream(), np.zeros((len(payloads), SLOT), np.int16)
    for number, (payload, sound) in enumerate(zip(payloads, out, strict=True)):
        stream.play(number, [None if payload is None else Piece(payload, 0)], None, sound)
    return out


def slowly_played(payloads: list[bytes | None]) -> Pcm:
    """Slot after slot, looking back on an array that only grows."""
    decoder, run, lag = g722.Decoder(), 0, np.ones(1, np.intp)
    past, out = np.zeros((1, 6 * SLOT), np.int16), []
    for payload in payloads:
        history = past[:, -6 * SLOT :]
        lag = lag if run else conceal.pitch(history.astype(np.float32), SLOT)[0]
        ahead = conceal.go_on(history, SLOT, lag)
        faded = conceal.fade(ahead, np.array([run]))
        if payload is not None:
            sound = decoder.decode(payload)[None]
            sound = conceal.cross(faded, sound) if run else sound
            past, run = np.concatenate((past, sound), axis=1), 0
        elif run < conceal.FADE_SLOTS:
            sound, run = faded, run + 1
            past = np.concatenate((past, ahead), axis=1)
        else:
            sound = np.zeros((1, SLOT), np.int16)
        out.append(sound[0])
    return np.array(out)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, 150))
def test_gaps_are_filled_as_by_the_slow_twin(there: list[bool], first: int) -> None:
    encoder = g722.Encoder()
    payloads = [encoder.encode(slot) if come else None for slot, come in zip(SPEECH[first:], there, strict=False)]
    assert np.array_equal(played(payloads), slowly_played(payloads))


def test_a_tone_goes_on_at_its_pitch_and_is_joined_without_a_click() -> None:
    """150 Hz: no whole number of periods in 10 ms, so that repeating these would break it. All paths of the engine."""
    studio = Studio()
    talker = studio.join("talker", codec="G722")
    studio.apply(protocol.StartTap("tape", "room", 1, "nowhere"))
    for at, frame in enumerate(tone(150, 60, rate=16000)):
        packet = talker.packet(frame)
        studio.deliver(talker, *[packet] * (at != 40))
        studio.tick()
    studio.apply(protocol.StopTap("tape"))
    sound = studio.tapes["tape"].pcm.astype(np.int64)
    assert studio.stats("talker").concealed == 1
    begin = next(at for at in range(40 * 320, 43 * 320, 320) if np.abs(sound[at : at + 320]).max() < 2950)
    assert strength(sound[begin + 107 : begin + 214], 150, 16000) > 1500
    steps = np.abs(np.diff(sound[30 * 320 : 50 * 320]))
    assert steps.max() < 2 * np.abs(np.diff(sound[20 * 320 : 30 * 320])).max()
