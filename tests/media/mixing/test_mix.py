from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mixminus.media.codecs import g711
from mixminus.media.mixing.layout import CROWD, Layout, lay_out, payload_rows
from mixminus.media.mixing.limiter import Limiter
from mixminus.media.mixing.matrix import build_plan, expand
from mixminus.media.mixing.mix import Mixer
from mixminus.media.state import FRAME
from mixminus.media.taping.tap import sums_of

Pcm = NDArray[np.int16]


class Case:
    """Random rooms; the last rows only listen (taps)."""

    def __init__(self, seed: int, size: int, rooms: int, bits: int, active: float) -> None:
        random = np.random.default_rng(seed)
        self.room = random.integers(-1, rooms, size).astype(np.int32)
        self.talk = random.integers(0, 1 << bits, size).astype(np.uint64)
        self.hear = random.integers(0, 1 << bits, size).astype(np.uint64)
        self.talk[-3:] = 0
        self.active = (random.random(size) < active) & (self.talk != 0)
        peak = 32767 // size  # the limiter is tested by itself
        self.frame = random.integers(-peak, peak + 1, (size, FRAME)).astype(np.int16)
        self.law = random.choice(np.array([g711.PCMU, g711.PCMA], np.uint8), size)
        self.leg = np.flatnonzero(random.random(size) < 0.8)
        self.plan = build_plan(self.room, self.talk, self.hear)

    def expected(self) -> Pcm:
        """What each row hears: the obvious sum."""
        matrix = expand(self.room, self.talk, self.hear) & self.active[None, :]
        out = np.zeros_like(self.frame)
        for listener in range(self.room.size):
            for source in np.flatnonzero(matrix[listener]):
                out[listener] += self.frame[source]
        return out

    def run(self) -> tuple[Layout, Mixer, NDArray[np.uint8]]:
        size = self.room.size
        payload = np.zeros((payload_rows(size), FRAME), np.uint8)
        payload[0], payload[1] = g711.SILENCE[g711.PCMU], g711.SILENCE[g711.PCMA]
        mixer = Mixer(Limiter(), size)
        layout = lay_out(self.plan, self.active, self.leg, self.law[self.leg])
        mixer.run(self.plan, layout, self.frame, payload)
        return layout, mixer, payload

    def check(self) -> None:
        layout, mixer, payload = self.run()
        expected = self.expected()
        for position, leg in enumerate(self.leg):
            codes = g711.encode(int(self.law[leg]), expected[leg][None])[0]
            assert (payload[layout.payload[position]] == codes).all()
        taps = np.arange(self.room.size - 3, self.room.size)
        for tap, mix in zip(taps, sums_of(self.plan, layout, taps), strict=True):
            heard = mixer.mix[mix] if mix >= 0 else np.zeros(FRAME, np.int16)
            assert (heard == expected[tap]).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(4, 60),
    st.integers(1, 8),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.2, 0.7, 1.0]),
)
def test_everybody_hears_the_sum_of_what_they_are_granted(
    seed: int, size: int, rooms: int, bits: int, active: float
) -> None:
    Case(seed, size, rooms, bits, active).check()


@pytest.mark.parametrize("size", [CROWD, CROWD + 1, CROWD + 5, 300, 700])
def test_crowds_and_blocks_change_nothing(size: int) -> None:
    Case(size, size, 1, 1, 1.0).check()
    Case(size, size, size // 3, 2, 1.0).check()


def test_listeners_of_one_mix_share_one_payload() -> None:
    size = 500
    ones = np.ones(size, np.uint64)
    plan = build_plan(np.zeros(size, np.int32), ones, ones)
    active = np.zeros(size, np.bool_)
    active[:2] = True
    layout = lay_out(plan, active, np.arange(size), np.zeros(size, np.uint8))
    assert len(set(layout.payload.tolist())) == 3
    assert sum(mixes.size for _, mixes in layout.encode) == 3


def test_who_talks_alone_hears_silence_at_no_cost() -> None:
    ones = np.ones(2, np.uint64)
    plan = build_plan(np.zeros(2, np.int32), ones, ones)
    layout = lay_out(plan, np.array([True, False]), np.arange(2), np.array([g711.PCMU, g711.PCMA], np.uint8))
    assert layout.payload.tolist() == [0, 2]
    assert layout.own_row.size == 0


def test_loud_sums_are_limited_once_and_do_not_wrap() -> None:
    size = 6
    ones = np.ones(size, np.uint64)
    plan = build_plan(np.zeros(size, np.int32), ones, ones)
    frame = np.full((size, FRAME), 20000, np.int16)
    frame[3:] = -20000
    frame[0] = 32767
    mixer = Mixer(Limiter(), size)
    layout = lay_out(plan, np.ones(size, np.bool_), np.arange(size), np.zeros(size, np.uint8))
    mixer.run(plan, layout, frame, np.zeros((payload_rows(size), FRAME), np.uint8))
    own = {int(row): mixer.mix[layout.sums + at, -1] for at, row in enumerate(layout.own_row)}
    assert own == {0: -20000, 1: -7233, 2: -7233, 3: 32767, 4: 32767, 5: 32767}
