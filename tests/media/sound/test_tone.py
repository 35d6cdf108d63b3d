from __future__ import annotations

import numpy as np
import pytest

from media.kit import strength
from mixminus.errors import MediaError
from mixminus.media.sound import tone


def test_every_built_in_sound_is_audible_and_far_from_clipping() -> None:
    for source in ("beep:1", "beep:2", "music", "ringback"):
        sound = tone.built_in(source)
        assert sound is not None
        assert sound.dtype == np.int16
        assert 1000 < np.abs(sound.astype(np.int32)).max() < 12000


@pytest.mark.parametrize("source", ["beep:3", "beep:", "beep", "musik", "/tmp/x.wav", ""])
def test_other_names_are_files(source: str) -> None:
    assert tone.built_in(source) is None
    assert tone.silence_samples(source) is None


def test_two_beeps_are_two() -> None:
    loud = np.abs(tone.beeps(2).astype(np.int32)) > 0
    assert np.array_equal(tone.beeps(2)[: tone.beeps(1).size], tone.beeps(1))
    pause = tone.beeps(2)[tone.beeps(1).size : -tone.beeps(1).size]
    assert pause.size == 960
    assert not pause.any()
    assert loud[-tone.beeps(1).size :].mean() > 0.9


def test_ringback_is_two_seconds_of_440_and_480_hz_and_four_of_silence() -> None:
    sound = tone.ringback()
    assert sound.size == 6 * 8000
    assert strength(sound[4000:12000], 440) == pytest.approx(2500, rel=0.01)
    assert strength(sound[4000:12000], 480) == pytest.approx(2500, rel=0.01)
    assert not sound[16000:].any()


def test_music_loops_without_a_click() -> None:
    sound = tone.music().astype(np.int32)
    assert sound.size == 16 * 8000
    assert abs(sound[0] - sound[-1]) <= np.abs(np.diff(sound)).max()


def test_sounds_begin_and_end_softly() -> None:
    for sound in (tone.beeps(1), tone.ringback()[:16000]):
        assert abs(int(sound[0])) < 50
        assert abs(int(sound[-1])) < 50


def test_silence_is_counted_in_samples() -> None:
    assert tone.silence_samples("silence:250") == 2000


@pytest.mark.parametrize(
    "source", ["silence:", "silence:0", "silence:-1", "silence:1.5", "silence:٣", "silence:3600001"]
)
def test_silence_of_no_sensible_length_is_refused(source: str) -> None:
    with pytest.raises(MediaError, match="whole milliseconds"):
        tone.silence_samples(source)
