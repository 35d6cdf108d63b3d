from __future__ import annotations

import numpy as np

from media.kit import SILENCE, Pcm, Studio, joined, through, tone
from mixminus.media import protocol
from mixminus.media.codecs import g711
from mixminus.media.level import GATE_PEAK, HANGOVER
from mixminus.media.state import FRAME, TICK_NS

SPEECH = (protocol.SpeakStart, protocol.SpeakStop)


def talk(studio: Studio, frames: Pcm) -> Pcm:
    """What the tape of the room gets from leg ``a``, the first frame's delay taken off."""
    for frame in frames:
        studio.tick({"a": frame})
    studio.tick()
    studio.apply(protocol.StopTap("tape"))
    return studio.tapes["tape"].pcm[FRAME:]


def studio_with_tape(codec: protocol.Codec = "PCMU") -> Studio:
    studio = Studio()
    studio.join("a", codec=codec)
    studio.apply(protocol.StartTap("tape", "room", 1, "spool"))
    return studio


def test_every_sample_of_a_sound_of_minus_60_dbfs_is_kept() -> None:
    quiet = tone(440, 30, peak=32768 * 10 ** (-60 / 20) * 2**0.5)
    assert (talk(studio_with_tape(), quiet) == joined(through(g711.PCMU, quiet))).all()


def test_a_word_after_silence_is_whole_from_its_first_sample() -> None:
    word = tone(440, 10)
    word[0, :-1] = 0
    frames = np.concatenate((np.zeros((30, FRAME), np.int16), word))
    assert (talk(studio_with_tape(), frames) == joined(through(g711.PCMU, frames))).all()


def test_hiss_below_the_gate_is_silence_once_the_hangover_is_over() -> None:
    studio = studio_with_tape()
    hiss = np.random.default_rng(1).integers(-10, 10, (40, FRAME)).astype(np.int16)
    frames = np.concatenate((tone(440, 5), hiss))
    heard = talk(studio, frames).reshape(-1, FRAME)
    assert np.abs(through(g711.PCMU, hiss)).max() <= GATE_PEAK
    assert (heard[: 4 + HANGOVER] == through(g711.PCMU, frames[: 4 + HANGOVER])).all()
    assert not heard[4 + HANGOVER :].any()


def test_the_dc_of_a_law_silence_does_not_reach_others() -> None:
    studio = Studio()
    studio.join("a", codec="PCMA")
    listener = studio.join("b")
    for _ in range(5):
        studio.tick({"a": SILENCE})
    assert not joined(listener.heard).any()


def test_speaking_starts_after_60_ms_and_stops_after_600() -> None:
    studio = studio_with_tape()
    for frame in tone(440, 50):
        studio.tick({"a": frame})
    for _ in range(50):
        studio.tick({"a": SILENCE})
    assert studio.told(protocol.SpeakStart) == [protocol.SpeakStart("a", 3 * TICK_NS)]
    assert studio.told(protocol.SpeakStop) == [protocol.SpeakStop("a", (50 + 30) * TICK_NS)]


def test_a_click_is_not_speaking_and_a_pause_between_words_does_not_end_it() -> None:
    studio = studio_with_tape()
    words = tone(440, 200)
    for tick in range(200):
        studio.tick({"a": words[tick] if tick == 20 or (tick >= 60 and tick % 25 < 10) else SILENCE})
    assert [event.at_ns // TICK_NS for event in studio.told(protocol.SpeakStart)] == [78]
    assert studio.told(protocol.SpeakStop) == []


def test_any_pitch_is_speaking() -> None:
    for hertz in (100, 1000, 2000, 3400):
        studio = studio_with_tape()
        for frame in tone(hertz, 10) + np.int16(1):
            studio.tick({"a": frame})
        assert len(studio.told(protocol.SpeakStart)) == 1, hertz


def test_who_is_muted_stops_speaking_at_once_and_may_start_again() -> None:
    studio = studio_with_tape()
    for tick, frame in enumerate(tone(440, 40)):
        if tick in (10, 20):
            talk_mask = 0 if tick == 10 else 1
            studio.apply(protocol.SetHearing("room", (protocol.Hearing("a", talk_mask, 1),)))
        studio.tick({"a": frame})
    assert [type(event).__name__ for event in studio.events if isinstance(event, SPEECH)] == [
        "SpeakStart",
        "SpeakStop",
        "SpeakStart",
    ]


def test_a_peer_that_falls_silent_by_sending_nothing_stops_speaking() -> None:
    studio = studio_with_tape()
    for frame in tone(440, 10):
        studio.tick({"a": frame})
    studio.run(40)
    assert len(studio.told(protocol.SpeakStop)) == 1
