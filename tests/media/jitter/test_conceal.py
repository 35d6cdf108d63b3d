"""Concealment beside a slow twin that looks at one row and one lag at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixminus.media.jitter.conceal import CROSS_MS, FADE_SLOTS, LEVEL, cross, extrapolate, fade, pitch

SLOT = 80
HISTORY = 6 * SLOT


def slow_pitch(sound: list[float]) -> tuple[int, float]:
    """The lag from 5 to 15 ms at which the last 10 ms are most like what was before."""
    window = 80
    found = (0, -2.0)
    for lag in range(120, 39, -1):
        end = sound[-window:]
        before = sound[len(sound) - window - lag : len(sound) - lag]
        own, other = sum(x * x for x in end), sum(x * x for x in before)
        likeness = sum(x * y for x, y in zip(end, before, strict=True)) / max(own * other, 1.0) ** 0.5
        if likeness > found[1] + 1e-6:
            found = (lag, likeness)
    return found


def voices(seed: int, rows: int) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    random = np.random.default_rng(seed)
    time = np.arange(HISTORY) / 8000
    made = []
    for _ in range(rows):
        hertz = random.uniform(70, 200)
        sound = sum(np.sin(2 * np.pi * hertz * k * time + random.uniform(0, 6)) / k for k in range(1, 8))
        made.append(random.uniform(10, 6000) * sound + random.normal(0, 20, HISTORY))
    return np.array(made).clip(-32768, 32767).astype(np.int16)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_pitch_is_that_of_the_slow_twin(seed: int) -> None:
    sound = voices(seed, 3).astype(np.float32)
    lags, likeness = pitch(sound, SLOT)
    for row in range(3):
        lag, like = slow_pitch([float(x) for x in sound[row]])
        assert likeness[row] == pytest.approx(like, abs=2e-3)
        assert lags[row] == lag or abs(like - likeness[row]) < 1e-4


def test_each_row_is_made_by_itself() -> None:
    sound = voices(1, 8)
    together = extrapolate(sound, SLOT)
    for row in range(8):
        assert (extrapolate(sound[row : row + 1], SLOT)[0] == together[row]).all()


@pytest.mark.parametrize("hertz", [75, 110, 150, 199, 333, 440])
def test_a_voice_goes_on_in_phase(hertz: float) -> None:
    time = np.arange(HISTORY + 3 * SLOT) / 8000
    whole = 5000 * np.sin(2 * np.pi * hertz * time)
    history = whole[:HISTORY]
    for run in range(3):
        made = extrapolate(np.rint(history[-HISTORY:]).astype(np.int16)[None], SLOT)[0]
        meant = whole[HISTORY + run * SLOT : HISTORY + (run + 1) * SLOT]
        assert np.corrcoef(made, meant)[0, 1] > 0.97
        history = np.concatenate((history, made))


@given(seed=st.integers(0, 1000), run=st.integers(0, 9))
def test_whatever_came_before_is_gone_in_the_end(seed: int, run: int) -> None:
    sound = np.random.default_rng(seed).integers(-32768, 32768, (4, HISTORY)).astype(np.int16)
    runs = np.full(4, run)
    made = fade(extrapolate(sound, SLOT), runs)
    assert made.shape == (4, SLOT)
    assert made.any() == (run < FADE_SLOTS)


def test_silence_stays_silence() -> None:
    assert not extrapolate(np.zeros((2, HISTORY), np.int16), SLOT).any()


def test_fade_follows_the_table_slot_by_slot() -> None:
    even = np.full((FADE_SLOTS, SLOT), 10000, np.int16)
    faded = fade(even, np.arange(FADE_SLOTS))
    assert (np.diff(faded.reshape(-1).astype(int)) <= 0).all()
    assert (faded[:, -1] == np.rint(10000 * LEVEL[1:])).all()


def test_crossing_begins_as_the_one_and_ends_as_the_other() -> None:
    ahead, sound = np.full((1, SLOT), 1000, np.int16), np.full((1, SLOT), -1000, np.int16)
    crossed = cross(ahead, sound)[0]
    end = SLOT * CROSS_MS // 10
    assert crossed[0] > 950
    assert (np.diff(crossed[:end].astype(int)) < 0).all()
    assert (crossed[end:] == -1000).all()
