"""Time scaling beside a slow twin that looks at one row, one lag and one sample at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mixminus.media.jitter import timescale
from mixminus.media.jitter.timescale import AHEAD_MS, ALIKE, BEHIND_MS, LONGEST_MS, QUIET, Pcm, lengthen, shorten
from mixminus.testing import sources

RATES = (8000, 16000, 48000)


def voices(seed: int, rows: int, rate: int, milliseconds: int = 80) -> Pcm:
    random = np.random.default_rng(seed)
    time = np.arange(rate * milliseconds // 1000) / rate
    made = []
    for _ in range(rows):
        hertz = random.uniform(70, 390)
        sound = sum(np.sin(2 * np.pi * hertz * k * time + random.uniform(0, 6)) / k for k in range(1, 8))
        made.append(random.uniform(200, 6000) * sound + random.normal(0, 20, time.size))
    return np.rint(np.array(made)).clip(-32768, 32767).astype(np.int16)


def likeness(one: list[float], other: list[float]) -> float:
    product = sum(x * y for x, y in zip(one, other, strict=True))
    return product / math.sqrt(max(sum(x * x for x in one) * sum(y * y for y in other), 1.0))


def longer(lag: int) -> float:
    """What a lag at 8 kHz has before shorter ones for its length."""
    return timescale._LONGER * lag / 120


def slow(sound: list[float], begin: int, way: int) -> tuple[list[float], int, float]:
    """At 8 kHz: every lag from 20 to 120 samples, then sample by sample across the joint; left: what is not played."""
    here = sound[begin - 40 : begin + 80]
    found = (20, -2.0)
    for lag in range(20, 121):
        like = likeness(here, sound[begin - 40 + way * lag : begin + 80 + way * lag])
        if like + longer(lag) > found[1] + longer(found[0]):
            found = (lag, like)
    lag, like = found
    out = []
    for at in range(len(sound) - begin - way * lag):
        rise = 0.5 - 0.5 * math.cos(math.pi * min(max((at + 0.5) / lag, 0), 1))
        new = sound[begin + way * lag + at]
        old = sound[begin + at] if at < lag else 0
        power = rise**2 + (1 - rise) ** 2 + 2 * rise * (1 - rise) * max(like, 0)
        out.append(min(max((old * (1 - rise) + new * rise) / power**0.5, -32768), 32767))
    return out, lag, like


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1000), way=st.sampled_from([1, -1]), noisy=st.booleans())
def test_each_row_is_scaled_as_by_the_slow_twin(seed: int, way: int, noisy: bool) -> None:
    random = np.random.default_rng(seed)
    sound = voices(seed, 3, 8000)
    if noisy:
        sound[0] = random.integers(-9000, 9000, sound.shape[1])
    begin = random.integers(160, sound.shape[1] - 240, 3)
    scale = shorten if way > 0 else lengthen
    done = scale(sound, begin, 8000, alike=-1)
    for row in range(3):
        out, lag, like = slow([float(x) for x in sound[row]], int(begin[row]), way)
        taken = int(done.by[row])
        assert done.likeness[row] + longer(taken) == pytest.approx(like + longer(lag), abs=2e-3)
        if taken != lag:
            continue  # two lags of the same likeness
        left = done.sound[row, begin[row] + way * lag :]
        assert np.abs(left - np.array(out)).max() <= 1.5
        before = sound[row, max(0, -way * lag) : begin[row]]
        kept = done.sound[row, max(0, way * lag) : begin[row] + way * lag]
        assert (kept[-begin[row] + lag :] == before[-begin[row] + lag :]).all()


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hertz", [70, 110, 201, 397])
@pytest.mark.parametrize("way", [1, -1])
def test_a_tone_stays_a_tone(rate: int, hertz: float, way: int) -> None:
    """Nothing but its phase may change, and that smoothly: no step is larger than the tone's own."""
    time = np.arange(rate * 100 // 1000) / rate
    sound = np.rint(8000 * np.sin(2 * np.pi * hertz * time + 1)).astype(np.int16)[None]
    begin = np.array([rate * BEHIND_MS // 1000])
    done = (shorten if way > 0 else lengthen)(sound, begin, rate)
    period = rate / hertz
    assert done.by[0] % period == pytest.approx(0, abs=1.5) or period - done.by[0] % period < 1.5
    left = done.sound[0, begin[0] - rate // 100 + way * done.by[0] :].astype(float)
    assert np.abs(np.diff(left)).max() <= 1.02 * 8000 * 2 * np.pi * hertz / rate + 2
    loud = np.sqrt(np.convolve(left**2, np.ones(round(period)) / round(period), "valid"))
    assert loud.max() / loud.min() < 1.1


@pytest.mark.parametrize("rate", RATES)
def test_as_much_as_said_is_needed_and_no_more(rate: int) -> None:
    sound = voices(4, 5, rate, BEHIND_MS + AHEAD_MS)
    begin = np.full(5, rate * BEHIND_MS // 1000)
    assert (shorten(sound, begin, rate, alike=-1).by > 0).all()
    sound = voices(4, 5, rate, BEHIND_MS + LONGEST_MS)
    assert (lengthen(sound, begin, rate, alike=-1).by > 0).all()


def test_what_is_not_alike_is_left_alone() -> None:
    sound = np.random.default_rng(1).integers(-9000, 9000, (6, 640)).astype(np.int16)
    done = shorten(sound, np.full(6, 200), 8000)
    assert not done.by.any()
    assert (done.sound == sound).all()
    assert (done.likeness < ALIKE).all()


def test_silence_is_always_scaled_by_the_longest() -> None:
    sound = np.random.default_rng(1).integers(-QUIET // 2, QUIET // 2, (3, 640)).astype(np.int16)
    assert (shorten(sound, np.full(3, 200), 8000).by == 120).all()
    assert (lengthen(sound, np.full(3, 200), 8000, most=np.array([120, 50, 7])).by == [120, 50, 7]).all()


def test_what_is_quiet_can_be_cut_to_the_sample() -> None:
    sound = np.random.default_rng(1).integers(-QUIET, QUIET, (3, 640)).astype(np.int16)
    by = np.array([1, 40, 79])
    cut = timescale.skip(sound, np.full(3, 200), by)
    for row in range(3):
        assert (cut[row, by[row] : 200 + by[row]] == sound[row, :200]).all()
        assert (cut[row, 200 + 2 * by[row] :] == sound[row, 200 + 2 * by[row] :]).all()


@pytest.mark.parametrize("rate", RATES)
def test_never_more_than_asked(rate: int) -> None:
    sound = voices(2, 8, rate)
    most = np.linspace(0, rate * LONGEST_MS // 1000, 8).astype(np.intp)
    done = shorten(sound, np.full(8, rate * BEHIND_MS // 1000), rate, most, alike=-1)
    assert (done.by <= most).all()
    assert (done.by[most >= rate // 400] > 0).all()


@pytest.mark.parametrize("rate", [16000, 48000])
def test_the_lag_found_at_a_higher_rate_is_exact(rate: int) -> None:
    """The coarse search does not cost likeness: within a hair of trying every lag at the full rate."""
    sound = voices(5, 6, rate)
    begin = np.full(6, rate * BEHIND_MS // 1000)
    _, like = timescale.best_lag(sound, begin, rate, 1, np.full(6, rate * LONGEST_MS // 1000))
    window, lead = rate * 15 // 1000, rate * 5 // 1000
    for row in range(6):
        at = begin[row] - lead
        here = sound[row, at : at + window].astype(float)
        every = [
            float(here @ there / np.sqrt((here @ here) * (there @ there)))
            for lag in range(rate // 400, rate * LONGEST_MS // 1000 + 1)
            for there in [sound[row, at + lag : at + lag + window].astype(float)]
        ]
        assert like[row] >= max(every) - 0.01


def test_a_rate_off_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="44100"):
        shorten(np.zeros((1, 4000), np.int16), np.array([1000]), 44100)


def run_through(voice: Pcm, way: int, every: int) -> tuple[NDArray[np.int64], int]:
    """A voice of 8 kHz, scaled at each ``every`` samples; how much was taken out or put in."""
    given: list[Pcm] = []
    tail, rest, total = voice[:480], voice[480:], 0
    begin = 240
    while rest.size >= every + 240:
        scaled = (shorten if way > 0 else lengthen)(tail[None], np.array([begin]), 8000)
        total += int(scaled.by[0])
        tail, begin = scaled.sound[0], begin + way * int(scaled.by[0])
        missing = max(0, every - (tail.size - begin - 240))
        tail = np.concatenate((tail, rest[:missing]))
        rest = rest[missing:]
        given.append(tail[begin : begin + every])
        begin += every
        tail, begin = tail[-800:], begin - max(0, tail.size - 800)
    return np.concatenate(given).astype(np.int64), total


@pytest.mark.parametrize("way", [1, -1])
def test_speech_changes_its_length_and_not_its_loudness(way: int) -> None:
    voice = sources.voice("agent")
    out, total = run_through(voice, way, 320)
    assert 0.05 < total / voice.size < 0.35, "more or less by a tenth and more"
    assert np.sqrt((out**2).mean()) == pytest.approx(np.sqrt((voice.astype(np.int64) ** 2).mean()), rel=0.1)
    assert np.abs(np.diff(out)).max() < 1.2 * np.abs(np.diff(voice.astype(np.int64))).max()
