from __future__ import annotations

import numpy as np

from media.kit import SILENCE, Studio, Tape, joined, through, tone
from mixminus.media import protocol
from mixminus.media.codecs import g711
from mixminus.media.state import FRAME
from mixminus.media.taping.tap import BLOCK


def start(studio: Studio, **options: object) -> Tape:
    command = protocol.StartTap("tape", "room", 1, "spool", **options)  # type: ignore[arg-type]
    studio.apply(command)
    return studio.tapes["tape"]


def stop(studio: Studio) -> None:
    studio.apply(protocol.StopTap("tape"))


def speak(studio: Studio, ticks: int, **hertz: float) -> dict[str, np.ndarray[tuple[int], np.dtype[np.int16]]]:
    """Tones for so many ticks; what each is after the codec, one tick later than sent."""
    sounds = {name: tone(value, ticks) for name, value in hertz.items()}
    for tick in range(ticks):
        studio.tick({name: sound[tick] for name, sound in sounds.items()})
    return {name: through(g711.PCMU, joined(sound)) for name, sound in sounds.items()}


def test_every_voice_has_a_track_on_the_clock_of_the_mix() -> None:
    studio = Studio()
    studio.join("a")
    studio.join("b")
    studio.join("unheard", talk=2)
    tape = start(studio, tracks=True)
    sounds = speak(studio, 60, a=440, b=700, unheard=900)
    studio.leave(studio.peers["a"])
    studio.join("late")
    speak(studio, 40, late=500)
    stop(studio)
    assert tape.pcm.size == 100 * FRAME
    assert set(tape.tracks) == {"a", "b", "late"}
    assert (tape.track("a")[FRAME : 60 * FRAME] == sounds["a"][: 59 * FRAME]).all()
    assert not tape.track("a")[61 * FRAME :].any()
    assert not tape.track("late")[: 60 * FRAME].any()
    total = sum(tape.track(name).astype(int) for name in ("a", "b", "late"))
    assert (tape.pcm == total).all()


def test_players_share_the_track_of_sounds() -> None:
    studio = Studio(prompts={"one": np.full(800, 100, np.int16), "two": np.full(1600, 30, np.int16)})
    studio.join("a")
    tape = start(studio, tracks=True)
    studio.apply(protocol.Play("p", "room", "one", 1))
    studio.apply(protocol.Play("q", "room", "two", 1))
    studio.run(20)
    stop(studio)
    assert (tape.track("sounds")[:800] == 130).all()
    assert (tape.track("sounds")[800:1600] == 30).all()
    assert not tape.track("sounds")[1600:].any()


def test_what_is_paused_is_in_no_track() -> None:
    studio = Studio()
    studio.join("a")
    tape = start(studio, tracks=True, notes=True)
    speak(studio, 20, a=440)
    studio.apply(protocol.PauseTap("tape"))
    speak(studio, 20, a=1300)
    studio.apply(protocol.ResumeTap("tape"))
    speak(studio, 20, a=440)
    stop(studio)
    assert tape.pcm.size == 40 * FRAME
    assert (tape.track("a") == tape.pcm).all()
    assert [note[1] for note in tape.notes] == ["speech", "silence", "speech", "silence"]


def test_a_leg_alone_follows_it_and_obeys_its_mute() -> None:
    studio = Studio()
    studio.join("a")
    studio.join("b")
    tape = start(studio, leg="a")
    sounds = speak(studio, 20, a=440, b=700)
    studio.apply(protocol.SetHearing("room", (protocol.Hearing("a", 0, 1),)))
    speak(studio, 20, a=440)
    studio.apply(protocol.MoveLeg("a", "elsewhere", 1, 1))
    speak(studio, 20, a=440)
    studio.leave(studio.peers["a"])
    studio.run(5)
    stop(studio)
    assert tape.pcm.size == 65 * FRAME
    assert (tape.pcm[FRAME : 20 * FRAME] == sounds["a"][: 19 * FRAME]).all()
    assert not tape.pcm[20 * FRAME : 40 * FRAME].any()
    assert tape.pcm[41 * FRAME : 60 * FRAME].any()
    assert not tape.pcm[61 * FRAME :].any()


def test_with_hear_0_a_leg_is_recorded_on_whatever_channel_it_talks() -> None:
    studio = Studio()
    studio.join("a", talk=1 << 40, hear=0)
    studio.apply(protocol.StartTap("tape", "room", 0, "spool", leg="a"))
    sounds = speak(studio, 10, a=440)
    stop(studio)
    assert (studio.tapes["tape"].pcm[FRAME:] == sounds["a"][: 9 * FRAME]).all()


def test_a_leg_and_what_it_hears_are_two_tracks() -> None:
    studio = Studio()
    studio.join("a")
    studio.join("b")
    studio.join("unheard", talk=2)
    tape = start(studio, leg="a", heard=True)
    sounds = speak(studio, 30, a=440, b=700, unheard=900)
    stop(studio)
    heard = joined(studio.peers["a"].heard)
    assert (tape.track("own")[FRAME:] == sounds["a"][: 29 * FRAME]).all()
    assert (tape.track("heard")[FRAME:] == sounds["b"][: 29 * FRAME]).all()
    assert (through(g711.PCMU, tape.track("heard")) == heard).all()
    assert (tape.pcm == tape.track("own") + tape.track("heard")).all()


def test_what_a_leg_hears_is_known_though_it_is_not_sent() -> None:
    studio = Studio()
    studio.join("a", send=False)
    studio.join("b")
    tape = start(studio, leg="a", heard=True)
    sounds = speak(studio, 10, a=440, b=700)
    stop(studio)
    assert (tape.track("heard")[FRAME:] == sounds["b"][: 9 * FRAME]).all()


def test_who_speaks_is_noted_where_it_begins_and_ends() -> None:
    studio = Studio()
    studio.join("a")
    studio.join("b")
    tape = start(studio, notes=True)
    studio.run(30)
    speak(studio, 50, a=440)
    for _ in range(60):
        studio.tick({"a": SILENCE})
    stop(studio)
    assert not tape.tracks
    (begin, _, who, _), (end, _, _, _) = tape.notes
    assert who == "a"
    assert [kind for _, kind, _, _ in tape.notes] == ["speech", "silence"]
    assert abs(begin - 31 * FRAME) <= FRAME and abs(end - 81 * FRAME) <= FRAME


def test_whoever_speaks_at_the_end_is_noted_silent_wherever_in_a_block_that_is() -> None:
    for ticks in range(BLOCK, 2 * BLOCK + 1):
        studio = Studio()
        studio.join("a")
        tape = start(studio, notes=True)
        speak(studio, ticks, a=440)
        stop(studio)
        assert [note[:3] for note in tape.notes[1:]] == [(ticks * FRAME, "silence", "a")], ticks


def test_lost_sound_is_noted() -> None:
    studio = Studio()
    peer = studio.join("a")
    tape = start(studio, notes=True)
    sound = tone(440, 200)
    for tick in range(200):
        if 100 <= tick < 108:
            peer.skip()
            studio.tick()
        else:
            studio.tick({"a": sound[tick]})
    stop(studio)
    losses = [note for note in tape.notes if note[1] == "loss"]
    assert losses and losses[0][2] == "a" and 40 <= sum(note[3] for note in losses) <= 200
    assert 100 * FRAME < losses[0][0] <= 135 * FRAME


def test_speech_of_a_leg_that_goes_is_over() -> None:
    studio = Studio()
    studio.join("a")
    studio.join("b")
    tape = start(studio, notes=True)
    speak(studio, 20, a=440)
    studio.leave(studio.peers["a"])
    studio.run(2)
    stop(studio)
    assert [note[1:3] for note in tape.notes] == [("speech", "a"), ("silence", "a")]
