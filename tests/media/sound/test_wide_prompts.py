"""Prompts of more than 8 kHz: heard wide by whom it can be, and by all others as before."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from media.kit import Pcm, Studio, joined, strength
from mixminus.media import protocol
from mixminus.media.sound.prompt import _Clip
from mixminus.media.state import FRAME, TICK_NS
from mixminus.media.wide.resample import delay_seconds

WIDE = (16_000, 48_000)
WIDTHS: tuple[tuple[protocol.Codec, int], ...] = (("G722", 16_000), ("opus", 48_000))


def studio_with(sound: Pcm, rates: tuple[int, ...] = WIDE) -> Studio:
    """``x.wav`` at 48 kHz, and what is made of it."""
    at = {rate: np.rint(soxr.resample(sound / 1.0, 48_000, rate)).astype(np.int16) for rate in (8000, *WIDE)}
    return Studio(prompts={"x.wav": at[8000]}, wide={("x.wav", rate): at[rate] for rate in rates})


def tones(*hertz: float, seconds: float = 1.0, peak: float = 4000) -> Pcm:
    t = np.arange(round(48_000 * seconds)) / 48_000
    return np.rint(sum(peak * np.sin(2 * np.pi * one * t) for one in hertz)).astype(np.int16)


def noise(frames: int, odd: int = 0, seed: int = 3) -> Pcm:
    return np.random.default_rng(seed).integers(-9000, 9000, 960 * frames + 6 * odd).astype(np.int16)


def late(sound: Pcm, rate: int, size: int) -> Pcm:
    """``size`` samples of it, as late as the filters would make it."""
    delay = round(delay_seconds(8000, rate) * rate)
    return np.concatenate((np.zeros(delay, np.int16), sound, np.zeros(size, np.int16)))[:size]


def tap(studio: Studio, name: str = "tape", rate: int = 0) -> None:
    studio.apply(protocol.StartTap(name, "room", 1, "spool", rate=rate))


def taped(studio: Studio, name: str = "tape") -> Pcm:
    studio.apply(protocol.StopTap(name))
    return studio.tapes[name].pcm


@pytest.mark.parametrize(("codec", "rate"), WIDTHS)
def test_what_lies_above_the_telephone_band_is_heard_and_recorded_wide(codec: protocol.Codec, rate: int) -> None:
    studio = studio_with(tones(1000, 5000, seconds=2))
    wide, narrow = studio.join("wide", codec=codec), studio.join("narrow")
    studio.apply(protocol.Play("p", "room", "x.wav", 1))
    tap(studio)
    tap(studio, "narrow tape", 8000)
    studio.run(50)
    assert studio.opened["tape"].rate == rate
    tape = taped(studio)[-rate // 2 :]
    for hertz in (1000, 5000):
        assert strength(joined(wide.heard[-25:]), hertz, rate) == pytest.approx(4000, rel=0.1)
        assert strength(tape, hertz, rate) == pytest.approx(4000, rel=0.005)
    for heard, hush in ((joined(narrow.heard[-25:]), 30), (taped(studio, "narrow tape")[-4000:], 2)):
        assert strength(heard, 1000) == pytest.approx(4000, rel=0.02)
        assert strength(heard, 3000) < hush, "nothing folds back"


@pytest.mark.parametrize(("codec", "rate"), WIDTHS)
def test_a_wide_prompt_is_as_loud_as_a_narrow_one_and_fits_it_in_time(codec: protocol.Codec, rate: int) -> None:
    tapes = []
    for rates in ((), WIDE):
        studio = studio_with(tones(400, 1700, seconds=2), rates)
        studio.join("wide", codec=codec)
        studio.apply(protocol.Play("p", "room", "x.wav", 1))
        tap(studio)
        studio.run(50)
        tapes.append(taped(studio)[-rate // 2 :].astype(float))
    for hertz in (400, 1700):
        narrow, wide = (strength(tape, hertz, rate) for tape in tapes)
        assert 20 * np.log10(wide / narrow) == pytest.approx(0, abs=0.05)
    assert np.abs(tapes[0] - tapes[1]).max() < 0.01 * np.abs(tapes[0]).max(), (
        "sample by sample, so where it changes too"
    )


def test_a_recording_that_rises_in_the_middle_of_a_prompt_has_no_seam() -> None:
    studio = studio_with(tones(400, seconds=2))
    studio.join("narrow")
    studio.apply(protocol.Play("p", "room", "x.wav", 1))
    tap(studio, "from the begin", 48_000)
    studio.run(20)
    studio.join("wide", codec="opus")
    tap(studio)
    studio.run(20)
    assert (taped(studio) == taped(studio, "from the begin")[20 * 960 :]).all()


@pytest.mark.parametrize(("codec", "rate"), WIDTHS)
def test_it_is_played_to_the_sample_from_the_first_tick_to_the_last(codec: protocol.Codec, rate: int) -> None:
    studio = studio_with(noise(5, 37))
    studio.join("wide", codec=codec)
    studio.apply(protocol.Play("p", "room", "x.wav", 1))
    tap(studio)
    studio.run(8)
    size = rate // 50
    assert (
        taped(studio) == np.resize(late(studio.wide["x.wav", rate], rate, 6 * size), 8 * size) * _until(6, 8, size)
    ).all()
    assert studio.told(protocol.PlayEnded) == [protocol.PlayEnded("p", 5 * TICK_NS)]


def _until(ticks: int, of: int, size: int) -> Pcm:
    return np.repeat(np.arange(of) < ticks, size).astype(np.int16)


@pytest.mark.parametrize(("frames", "odd"), [(0, 37), (1, 0), (1, 1), (2, 159), (5, 0)])
def test_a_wide_loop_has_no_seam_and_begins_out_of_silence(frames: int, odd: int) -> None:
    studio = studio_with(noise(frames, odd))
    studio.join("wide", codec="opus")
    studio.apply(protocol.Play("p", "room", "x.wav", 1, loop=True))
    tap(studio)
    studio.run(30)
    turns = np.resize(studio.wide["x.wav", 48_000], 30 * 960)
    assert (taped(studio) == late(turns, 48_000, 30 * 960)).all()


def test_one_can_be_stopped_and_replaced_in_the_middle_and_be_louder() -> None:
    studio = studio_with(noise(20))
    other = noise(20, seed=4)
    studio.prompts["y.wav"], studio.wide["y.wav", 48_000] = other[::6], other
    studio.join("wide", codec="opus")
    tap(studio)
    studio.apply(protocol.Play("p", "room", "x.wav", 1))
    studio.run(3)
    studio.apply(protocol.StopPlay("p"))
    studio.run(2)
    studio.apply(protocol.Play("q", "room", "y.wav", 1, gain=0.5))
    studio.run(3)
    heard = taped(studio)
    assert (heard[: 3 * 960] == late(studio.wide["x.wav", 48_000], 48_000, 3 * 960)).all()
    assert not heard[3 * 960 : 5 * 960].any()
    assert (heard[5 * 960 :] == np.rint(0.5 * late(studio.wide["y.wav", 48_000], 48_000, 3 * 960))).all()


def test_players_of_one_wide_sound_are_each_at_their_own_place_and_in_their_own_room() -> None:
    studio = studio_with(noise(6))
    for number in range(3):
        studio.join(f"leg {number}", f"room {number}", codec="opus")
        studio.apply(protocol.Play(f"p{number}", f"room {number}", "x.wav", 1))
        studio.apply(protocol.StartTap(f"t{number}", f"room {number}", 1, "spool"))
        studio.tick()
    studio.run(3)
    for number in range(3):
        assert (taped(studio, f"t{number}")[: 3 * 960] == late(studio.wide["x.wav", 48_000], 48_000, 3 * 960)).all()
    assert studio.loaded == [("x.wav", 48_000)], "once, however many play it"


def test_calls_without_wide_members_never_ask_for_it_and_hear_the_same() -> None:
    streams = []
    for rates in ((), WIDE):
        studio = studio_with(noise(6), rates)
        phone = studio.join("narrow")
        studio.join("elsewhere", "other room", codec="opus")
        studio.apply(protocol.Play("p", "room", "x.wav", 1))
        studio.run(10)
        streams.append(phone.payloads)
        assert studio.loaded == []
    assert streams[0] == streams[1]


@given(
    at=st.lists(st.integers(0, 5000), min_size=1, max_size=4),
    size=st.integers(1, 1500),
    loop=st.booleans(),
    rate=st.sampled_from(WIDE),
)
def test_frames_are_those_that_are_cut_sample_by_sample(at: list[int], size: int, loop: bool, rate: int) -> None:
    sound = np.random.default_rng(size).integers(-9000, 9000, size * rate // 8000).astype(np.int16)
    delay = round(delay_seconds(8000, rate) * rate)
    found = _Clip(np.ones(size, np.int16), size, loop).wide_frames(sound, rate, np.array(at))
    for begin, frame in zip(at, found, strict=True):
        for place, sample in enumerate(frame[:: rate // 8000]):
            number = (begin + place) * (rate // 8000) - delay
            silent = number < 0 or (number >= sound.size and not loop)
            assert sample == (0 if silent else sound[number % sound.size])
    assert found.shape == (len(at), FRAME * rate // 8000)
