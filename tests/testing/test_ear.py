from __future__ import annotations

import numpy as np
import pytest

from mixminus.testing import ear, sources


def test_silence_has_no_level_and_no_tones() -> None:
    assert ear.level(sources.silence(1)) == -np.inf
    assert ear.level(sources.silence(0)) == -np.inf
    assert ear.tones(sources.silence(1), [440, 550]) == set()
    assert ear.sound_spans(sources.silence(1)) == []


def test_tones_are_told_apart_in_a_mix() -> None:
    mix = sources.tone(440, dbfs=-15) + sources.tone(620, dbfs=-25)
    assert ear.tones(mix, [300, 440, 500, 620, 800]) == {440, 620}
    assert ear.tone_level(mix, 620) == pytest.approx(-25, abs=0.1)


def test_a_tone_is_placed_in_time() -> None:
    sound = sources.sequence(
        sources.tone(900, 0.5), sources.tone(440, 0.3), sources.silence(0.2), sources.tone(440, 0.4)
    )
    first, second = ear.tone_spans(sound, 440)
    assert first == pytest.approx((0.5, 0.8), abs=0.025)
    assert second == pytest.approx((1.0, 1.4), abs=0.025)


def test_sounds_are_placed_in_time_and_short_pauses_bridged() -> None:
    burst = sources.tone(440, 0.3)
    sound = sources.sequence(sources.silence(0.4), burst, sources.silence(0.1), burst, sources.silence(1), burst)
    first, second = ear.sound_spans(sound)
    assert first == pytest.approx((0.4, 1.1), abs=0.03)
    assert second == pytest.approx((2.1, 2.4), abs=0.03)


def test_a_sound_is_found_where_it_is_whatever_its_loudness() -> None:
    speech = sources.voice("agent")[8000:16000]
    noise = np.random.default_rng(1).normal(0, 200, 40_000)
    noise[12_345 : 12_345 + 8000] += speech * 0.3
    found = ear.find(speech, noise.astype(np.int16))
    assert found.at == pytest.approx(12_345 / 8000)
    assert found.likeness > 0.9


def test_a_sound_that_is_not_there_is_not_found() -> None:
    assert ear.find(sources.tone(440), sources.silence(3)).likeness == 0
    assert ear.find(sources.tone(440, 2), sources.tone(440, 1)).likeness == 0
    assert ear.holds(sources.voice("card"), sources.voice("supervisor")) < 0.5


def test_speech_is_held_although_its_parts_slipped() -> None:
    speech = sources.voice("customer")
    slipped = sources.sequence(speech[:30_000], sources.silence(0.04), speech[30_000:])
    assert ear.holds(speech, slipped) > 0.95
