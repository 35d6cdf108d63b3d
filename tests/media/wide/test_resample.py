"""Live resampling: the same as convolving, nothing folds back, little delay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mixminus.errors import MediaError
from mixminus.media.wide.resample import RATES, Resampler, delay_seconds, low_pass

PAIRS = [(source, target) for source in RATES for target in RATES if source != target]
Pcm = NDArray[np.int16]


def sine(hertz: float, rate: int, seconds: float, peak: float = 16000) -> Pcm:
    tone: Pcm = np.rint(peak * np.sin(2 * np.pi * hertz / rate * np.arange(round(seconds * rate)))).astype(np.int16)
    return tone


def stream(pcm: Pcm, source: int, target: int) -> Pcm:
    """A whole sound as one stream, frame after frame."""
    resampler = Resampler(source, target)
    frames = pcm.reshape(-1, source // 50)
    return np.concatenate([resampler.run(np.array([0]), frame[None, :], turn)[0] for turn, frame in enumerate(frames)])


def slow_twin(pcm: Pcm, source: int, target: int) -> NDArray[np.float64]:
    """Zeros in between, one convolution, every n-th sample kept."""
    high = max(source, target)
    between = np.zeros(pcm.size * high // source)
    between[:: high // source] = pcm
    taps = low_pass(min(source, target), high) * (high // source)
    return np.convolve(between, taps)[: between.size : high // target]


def level(pcm: NDArray[np.generic]) -> float:
    """RMS, dB over one unit."""
    samples = np.asarray(pcm, np.float64)
    return float(10 * np.log10(np.mean(samples**2) + 1e-12))


@pytest.mark.parametrize(("source", "target"), PAIRS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 5), ticks=st.integers(1, 6))
def test_streams_side_by_side_are_as_if_each_was_convolved_alone(
    source: int, target: int, seed: int, rows: int, ticks: int
) -> None:
    random = np.random.default_rng(seed)
    sound = random.integers(-20000, 20000, (rows, ticks, source // 50)).astype(np.int16)
    places = random.permutation(rows + 3)[:rows]
    resampler = Resampler(source, target)
    out = np.concatenate([resampler.run(places, sound[:, tick], tick) for tick in range(ticks)], axis=1)
    for row in range(rows):
        expected = slow_twin(sound[row].reshape(-1), source, target)
        assert np.abs(out[row] - np.clip(np.rint(expected), -32768, 32767)).max() <= 1


@pytest.mark.parametrize(("source", "target"), [pair for pair in PAIRS if pair[0] > pair[1]])
def test_a_sweep_above_half_the_lower_rate_is_rejected_by_60_db(source: int, target: int) -> None:
    for hertz in np.linspace(target / 2, source / 2 - 50, 40):
        tone = sine(hertz, source, 0.2)
        left = stream(tone, source, target)[target // 25 : -target // 25]
        assert level(left) <= level(tone) - 60, f"{hertz:.0f} Hz"


@pytest.mark.parametrize(("source", "target"), [pair for pair in PAIRS if pair[0] < pair[1]])
def test_a_sweep_upwards_leaves_images_60_db_down(source: int, target: int) -> None:
    for hertz in np.linspace(200, 0.425 * source, 12).round(-1):
        up = stream(sine(hertz, source, 0.2), source, target)[target // 25 : -target // 25].astype(np.float64)
        window = np.blackman(up.size)
        spectrum = np.abs(np.fft.rfft(up * window))
        frequency = np.fft.rfftfreq(up.size, 1 / target)
        assert spectrum[frequency > source / 2].max() <= spectrum.max() / 1000, f"{hertz:.0f} Hz"


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_what_passes_keeps_its_level(source: int, target: int) -> None:
    for hertz in np.linspace(200, 0.42 * min(source, target), 10):
        tone = sine(hertz, source, 0.2)
        out = stream(tone, source, target)[target // 25 : -target // 25]
        assert level(out) == pytest.approx(level(tone), abs=0.1), f"{hertz:.0f} Hz"


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_delay_is_what_is_said_and_below_5_ms(source: int, target: int) -> None:
    click = np.zeros(source // 10, np.int16)
    click[source // 50] = 30000
    out = stream(click, source, target)
    at = np.abs(out).argmax() / target - 1 / 50
    assert at == pytest.approx(delay_seconds(source, target), abs=1 / target)
    assert delay_seconds(source, target) < 0.005


def test_a_row_that_was_reset_remembers_nothing() -> None:
    resampler = Resampler(8000, 16000)
    rows = np.array([0, 1])
    resampler.run(rows, np.full((2, 160), 9000, np.int16), 0)
    resampler.reset(np.array([1, 7]))
    out = resampler.run(rows, np.zeros((2, 160), np.int16), 1)
    assert out[0].any()
    assert not out[1].any()


def test_other_rates_are_refused_by_name() -> None:
    with pytest.raises(MediaError, match="44100 → 8000 Hz"):
        Resampler(44100, 8000)


def test_a_stream_that_was_left_out_for_a_while_begins_out_of_silence() -> None:
    resampler = Resampler(8000, 16000)
    row = np.array([3])
    resampler.run(row, np.full((1, 160), 9000, np.int16), 0)
    goes_on = resampler.run(row, np.zeros((1, 160), np.int16), 1)
    assert np.abs(goes_on).max() > 1000
    resampler.run(row, np.full((1, 160), 9000, np.int16), 2)
    assert not resampler.run(row, np.zeros((1, 160), np.int16), 4).any()
