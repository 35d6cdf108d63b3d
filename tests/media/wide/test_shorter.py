"""Wide legs are made shorter by pitch periods: beside a twin that has one leg and a list of samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.kit import RATES, Pcm, Studio
from mixminus.media import protocol
from mixminus.media.jitter import timescale
from mixminus.media.state import FRAME_SLOTS, LEG, SLOT, MediaState
from mixminus.media.wide.shorter import Shorter
from mixminus.media.wide.wideband import LOUD_PACE, MOST_JOINTS, _settle


def vowel(seconds: float, rate: int, pitch: float = 150.0) -> Pcm:
    t = np.arange(round(seconds * rate)) / rate
    sound: Pcm = np.rint(sum(2500 / n * np.sin(2 * np.pi * pitch * n * t + n * n) for n in range(1, 8))).astype(
        np.int16
    )
    return sound


def hall(rows: int) -> tuple[MediaState, Shorter]:
    state = MediaState(64)
    assert [state.claim(LEG, f"leg {number}") for number in range(rows)] == list(range(rows))
    state.active[:rows] = True
    return state, Shorter(state)


class Twin:
    """One leg: what is held is a list."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.held: list[int] = []

    def usual(self, pcm: Pcm) -> list[int]:
        whole: list[int] = self.held + pcm.tolist()
        self.held = whole[self.rate // 50 :]
        return whole[: self.rate // 50]

    def shorter(self, pcm: Pcm) -> list[int]:
        slot, frame = self.rate // 100, self.rate // 50
        whole = np.array(self.held + pcm.tolist(), np.int16)
        gone = 0
        for _ in range(4):
            begin = np.array([whole.size - self.rate // 40])
            done = timescale.shorten(whole[None], begin, self.rate, slot + len(self.held) - gone)
            by = int(done.by[0])
            whole = done.sound[0, by:]
            gone += by
            if not by or gone > len(self.held):
                break
        left: list[int] = whole.tolist()
        if gone <= len(self.held):
            rises = [np.float32((at + 0.5) / frame) for at in range(frame)]
            crossed = [left[at] * (1 - rise) + left[at + slot] * rise for at, rise in enumerate(rises)]
            left = [round(float(sample)) for sample in crossed] + left[slot + frame :]
        self.held = left[frame:]
        return left[:frame]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    rate=st.sampled_from([16_000, 48_000]),
    steps=st.lists(st.sampled_from(["usual", "shorter"]), max_size=8),
    noisy=st.booleans(),
)
def test_every_leg_is_made_shorter_as_by_the_slow_twin(seed: int, rate: int, steps: list[str], noisy: bool) -> None:
    random = np.random.default_rng(seed)
    state, shorter = hall(3)
    twins = [Twin(rate) for _ in range(3)]
    sounds = [vowel(0.4, rate, random.uniform(70, 390)) for _ in range(3)]
    if noisy:
        sounds[1] = random.integers(-9000, 9000, sounds[1].size).astype(np.int16)
    at = 0
    for step in steps:
        size = rate // 100 * (3 if step == "shorter" else 2)
        pcm = np.stack([sound[at : at + size] for sound in sounds])
        at += size
        rows = np.arange(3)
        found = shorter.shortened(rate, [0, 1, 2], pcm) if step == "shorter" else shorter.delayed(rows, pcm)
        for row, twin in enumerate(twins):
            wanted = twin.shorter(pcm[row]) if step == "shorter" else twin.usual(pcm[row])
            assert np.abs(found[row].astype(int) - wanted).max() <= 1
            assert len(twin.held) < rate // 100
            assert state.held[row] == len(twin.held) * 8000 // rate, "the depth knows of it"


def test_no_more_than_so_many_are_made_shorter_in_one_tick_and_all_of_them_in_turn() -> None:
    state, row = MediaState(256), np.arange(250)
    state.active[:] = True
    state.owed[:] = 100 * SLOT
    state.stamp[:, FRAME_SLOTS] = FRAME_SLOTS
    turns = np.zeros(row.size, np.intp)
    for tick in range(4 * int(LOUD_PACE[-1])):
        _, longer, cut = _settle(state, row, np.ones(row.size, np.bool_), np.zeros(row.size, np.int64), tick)
        assert np.count_nonzero(longer) == MOST_JOINTS
        assert (cut == longer).all()
        turns += longer
    assert turns.min() >= 1


def test_what_is_held_is_dropped_in_silence_and_when_the_leg_goes() -> None:
    state, shorter = hall(2)
    shorter.shortened(16_000, [0, 1], np.tile(vowel(0.03, 16_000), (2, 1)))
    assert state.held[:2].all()
    state.active[0] = False
    shorter.drop_silent()
    assert state.held[:2].astype(bool).tolist() == [False, True]
    shorter.drop(1)
    assert not state.held.any()
    frame = vowel(0.02, 16_000)[None]
    assert shorter.delayed(np.array([0]), frame) is frame


@pytest.mark.parametrize("codec", ["G722", "opus"])
def test_a_voice_keeps_its_level_while_delay_is_taken_out_of_it(codec: protocol.Codec) -> None:
    """Five seconds of jitter, then a quiet network, and someone who never pauses."""
    studio, rate = Studio(), RATES[codec]
    speaker = studio.join("speaker", codec=codec)
    studio.apply(protocol.StartTap("tape", "room", 1, "spool"))
    random, said = np.random.default_rng(1), vowel(20, rate).reshape(-1, rate // 50)
    due: dict[int, list[bytes]] = {}
    delays = []
    for tick in range(1000):
        late = min(10, int(random.exponential(40) / 20)) if tick < 250 else 0
        due.setdefault(tick + late, []).append(speaker.packet(said[tick]))
        studio.deliver(speaker, *due.pop(tick, []))
        studio.tick()
        delays.append(studio.stats("speaker").delay_ms)
    assert delays[-1] <= delays[280] - 50, "there was delay to take out"
    studio.apply(protocol.StopTap("tape"))
    three_periods = studio.tapes["tape"].pcm.astype(float).reshape(-1, rate // 50)[280:]
    level = np.sqrt((three_periods**2).mean(axis=1))
    assert level.min() > 0.95 * np.median(level), "crossing over to where it is not alike takes a third of it away"
