from __future__ import annotations

import numpy as np
import pytest

from media.kit import Pcm, Studio, through, voice
from mixminus.media import protocol
from mixminus.media.codecs import g711
from mixminus.media.sound.agc import MOST_DB, TARGET_DB
from mixminus.media.state import FRAME, LEG


def speech(seconds: float, decibels: float, rate: int = 8000) -> Pcm:
    """Syllables in phrases with pauses between them; ``decibels`` of gain on some -25 dBFS."""
    sound = voice(seconds).reshape(-1, 48000 // rate).mean(axis=1) * 10 ** (decibels / 20)
    t = np.arange(sound.size) / rate
    noise = np.random.default_rng(5).normal(0, 3, sound.size)
    pcm: Pcm = np.rint(sound * (t % 1.6 < 1.2) + noise).clip(-32768, 32767).astype(np.int16)
    return pcm.reshape(-1, rate // 50)


def heard(frames: Pcm, *, agc: bool = True, codec: protocol.Codec = "PCMU") -> Pcm:
    studio = Studio()
    studio.join("a", codec=codec)
    studio.apply(protocol.SetGainControl("a", agc))
    studio.apply(protocol.StartTap("tape", "room", 1, "spool"))
    for frame in frames:
        studio.tick({"a": frame})
    studio.apply(protocol.StopTap("tape"))
    return studio.tapes["tape"].pcm.reshape(-1, frames.shape[1])


def loudness(frames: Pcm) -> float:
    """Mean power of what is voice, dB."""
    power = (frames.astype(np.float64) ** 2).mean(axis=1)
    return float(10 * np.log10(power[power > power.max() / 100].mean()))


@pytest.mark.parametrize("decibels", [-12.0, -8.0, 0.0, 4.0])
def test_quiet_and_loud_voices_come_to_one_level(decibels: float) -> None:
    out = heard(speech(12, decibels))
    assert loudness(out[400:]) == pytest.approx(TARGET_DB, abs=2.0)


def test_it_has_a_limit() -> None:
    frames = speech(12, -28)
    assert loudness(heard(frames)[400:]) - loudness(frames[400:]) == pytest.approx(MOST_DB, abs=1)


def test_without_it_nothing_changes() -> None:
    frames = speech(4, -16)
    assert loudness(heard(frames, agc=False)) == pytest.approx(loudness(frames), abs=0.2)


def test_wide_voices_too() -> None:
    frames = speech(12, -14, 16000)
    assert loudness(heard(frames, codec="G722")[400:]) == pytest.approx(TARGET_DB, abs=2.0)


def test_steady_noise_is_not_turned_up() -> None:
    noise = np.random.default_rng(1).normal(0, 120, (900, FRAME)).astype(np.int16)
    out = heard(noise)
    assert loudness(out[50:]) - loudness(noise) < 1


def test_noise_between_words_does_not_pump() -> None:
    """In a pause of three seconds the gain stays where the voice left it."""
    noise = np.random.default_rng(1).normal(0, 40, (150, FRAME))
    frames = np.concatenate((speech(10, -12), np.rint(noise).astype(np.int16), speech(2, -12)))
    out = heard(frames)
    first, last = loudness(out[510:540]), loudness(out[620:645])
    assert abs(first - last) < 0.5


def test_the_gain_moves_without_a_step() -> None:
    """A tone that swells on and off: the ratio of what comes out to what went in changes by little each sample."""
    t = np.arange(6 * 8000) / 8000
    tone = 600 * np.sin(2 * np.pi * 440 * t) * (t % 1.5 < 1.0)
    out = heard(np.rint(tone).astype(np.int16).reshape(-1, FRAME)).reshape(-1).astype(float)
    lag = int(np.flatnonzero(out)[0] - np.flatnonzero(np.rint(tone))[0])
    went = tone[: tone.size - lag]
    came = out[lag:]
    loud = np.abs(went) > 500
    gain = 20 * np.log10(np.abs(came[loud] / went[loud]))
    near = np.diff(np.flatnonzero(loud)) == 1
    assert np.abs(np.diff(gain)[near]).max() < 0.5
    assert gain[-1] > 10


def test_a_shout_after_whispering_is_limited() -> None:
    frames = np.concatenate((speech(10, -15), speech(1, 12)))
    out = heard(frames)[500:].astype(float)
    clipped = np.abs(out) >= 32000
    assert clipped.mean() < 0.01


def test_switched_off_in_the_call_the_voice_is_as_it_came_at_once_and_without_a_step() -> None:
    studio = Studio()
    peer = studio.join("a")
    studio.apply(protocol.SetGainControl("a", True))
    studio.apply(protocol.StartTap("tape", "room", 1, "spool"))
    t = np.arange(3 * 8000) / 8000
    tone = np.rint(600 * np.sin(2 * np.pi * 440 * t) * (t % 1.5 < 1.0)).astype(np.int16).reshape(-1, FRAME)
    for frame in tone[:120]:
        studio.tick({"a": frame})
    assert studio.engine._state.gain.max() > 1.4
    studio.apply(protocol.UpdateLeg("a", peer.address, dtmf_payload_type=101))
    assert studio.engine._state.agc.any()
    studio.apply(protocol.SetGainControl("a", False))
    studio.tick({"a": tone[120]})
    for _ in range(5):
        studio.tick({"a": tone[121]})
    assert (studio.engine._state.gain == 1).all()
    studio.apply(protocol.StopTap("tape"))
    tape = studio.tapes["tape"].pcm.reshape(-1, FRAME)
    steps = np.abs(np.diff(tape[118:122].astype(float).reshape(-1)))
    assert steps.max() < 2.2 * 600 * 2 * np.sin(np.pi * 440 / 8000) * 1.1
    assert (tape[-1] == through(g711.PCMU, tone[121])).all()


def test_a_leg_can_begin_with_it() -> None:
    studio = Studio()
    studio.apply(protocol.OpenLeg("a", "room", 20000, ("127.0.0.1", 4000), agc=True))
    assert studio.engine._state.agc.any()
    studio.apply(protocol.CloseLeg("a"))
    assert not studio.engine._state.agc.any()


def test_what_it_does_to_a_leg_is_told() -> None:
    studio = Studio()
    studio.join("a", talk=1, hear=0)
    studio.join("b", talk=0, hear=1)
    studio.apply(protocol.SetGainControl("a", True))
    for frame in speech(3.0, -20):
        studio.tick({"a": frame})
    told, gain = studio.stats("a"), float(studio.engine._state.gain[studio.engine._control._row(LEG, "a")])
    assert told.agc
    assert told.gain_db == pytest.approx(20 * np.log10(gain), abs=0.06)
    assert told.gain_db != 0
    assert (studio.stats("b").agc, studio.stats("b").gain_db) == (False, 0)
