from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixminus.testing import ear, sources


def test_a_tone_has_the_level_and_the_pitch_asked_for() -> None:
    sound = sources.tone(440, 0.5, dbfs=-20)
    assert len(sound) == 4000
    assert ear.level(sound) == pytest.approx(-20, abs=0.05)
    assert ear.tone_level(sound, 440) == pytest.approx(-20, abs=0.05)


def test_a_tone_that_cannot_be_had_is_refused() -> None:
    with pytest.raises(ValueError, match="choose 1 to 3999"):
        sources.tone(5000)


def test_a_mouth_says_each_sound_once_and_in_order_over_the_looped_one() -> None:
    mouth = sources.Mouth()
    mouth.loop(np.full(50, 1, np.int16))
    mouth.say(np.full(100, 2, np.int16))
    mouth.say(np.full(200, 3, np.int16))
    said = np.concatenate([mouth.frame(), mouth.frame(), mouth.frame()])
    assert said.tolist() == [2] * 100 + [3] * 200 + [1] * 180
    assert not mouth.talking


def test_a_mouth_with_nothing_to_say_is_silent() -> None:
    mouth = sources.Mouth()
    mouth.loop(sources.tone(500))
    mouth.say(sources.tone(600))
    mouth.hush()
    assert not np.any(mouth.frame())
    assert len(mouth.frame()) == sources.FRAME


@pytest.mark.parametrize("who", ["agent", "customer", "supervisor"])
def test_the_voices_are_speech_of_some_seconds(who: sources.Voice) -> None:
    sound = sources.voice(who)
    assert 8 <= len(sound) / sources.RATE <= 12
    assert -30 < ear.level(sound) < -10


def test_the_voices_are_told_apart() -> None:
    agent, customer = sources.voice("agent"), sources.voice("customer")
    assert ear.holds(agent, agent) > 0.99
    assert ear.holds(agent, customer) < 0.5


def test_a_file_of_another_rate_and_two_channels_is_converted(tmp_path: Path) -> None:
    time = np.arange(48000) / 48000
    stereo = np.stack([np.sin(2 * np.pi * 700 * time), np.zeros(48000)], axis=1) * 0.5
    soundfile.write(tmp_path / "a.wav", stereo, 48000)
    sound = sources.from_file(tmp_path / "a.wav")
    assert len(sound) == 8000
    assert ear.tone_level(sound, 700) == pytest.approx(20 * np.log10(0.25), abs=0.1)


def test_a_file_that_is_no_sound_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"a\.wav"):
        sources.from_file(tmp_path / "a.wav")


def test_a_sound_said_amid_a_loop_is_said_from_its_beginning() -> None:
    mouth = sources.Mouth()
    mouth.loop(np.full(1000, 1, np.int16))
    mouth.skip(5 * sources.FRAME)
    mouth.say(np.full(200, 2, np.int16))
    said = mouth.take(400)
    assert list(said[:200]) == [2] * 200 and list(said[200:]) == [1] * 200


def test_what_is_coming_is_what_is_taken() -> None:
    mouth = sources.Mouth()
    mouth.say(np.arange(500, dtype=np.int16))
    mouth.loop(np.arange(70, dtype=np.int16))
    mouth.skip(100)
    coming = [sound[begin:end] for sound, begin, end in mouth.coming(960) if sound is not None]
    assert np.array_equal(np.concatenate(coming), mouth.take(960))
    mouth.hush()
    assert mouth.coming(160) == [(None, 0, 160)]
