from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from media.kit import Pcm, Studio, joined, strength, through, tone, voice
from mixminus.media import protocol
from mixminus.media.codecs import g711
from mixminus.media.sound.offset import follow
from mixminus.media.state import FRAME


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([8000, 16000, 48000]), st.floats(-5000, 5000))
def test_the_level_is_followed_sample_by_sample(seed: int, rate: int, level: float) -> None:
    """The twin: the recursion itself."""
    sound = np.random.default_rng(seed).normal(0, 3000, rate // 50)
    keep = np.exp(-2 * np.pi * 20 / rate)
    expected = []
    for sample in sound:
        level = keep * level + (1 - keep) * sample
        expected.append(level)
    first = (expected[0] - (1 - keep) * sound[0]) / keep
    assert np.allclose(follow(np.array([first]), sound[None], rate)[0], expected, atol=1e-6)


def recorded(frames: Pcm, codec: protocol.Codec = "PCMU") -> tuple[Pcm, Studio]:
    studio = Studio()
    studio.join("a", codec=codec)
    studio.apply(protocol.StartTap("tape", "room", 1, "spool"))
    for frame in frames:
        studio.tick({"a": frame})
    studio.run(2)
    studio.apply(protocol.StopTap("tape"))
    return studio.tapes["tape"].pcm, studio


def test_a_constant_is_taken_out_and_the_voice_stays() -> None:
    frames = tone(500, 200, peak=2000) + np.int16(900)
    heard, _ = recorded(frames)
    assert abs(heard[1600:4800].mean() - 900) < 20
    assert abs(heard[-9600:-1600].mean()) < 1
    assert abs(strength(heard[-9600:-1600], 500) / strength(frames[100:150], 500) - 1) < 0.01


def test_it_fades_out_without_a_click() -> None:
    heard, _ = recorded(np.full((200, FRAME), -700, np.int16))
    sounding = heard[FRAME : 198 * FRAME].astype(int)
    assert np.abs(np.diff(sounding)).max() <= 700 // FRAME + 8
    assert np.abs(sounding[-1600:]).max() == 0


def test_a_silent_line_with_a_constant_closes_the_gate_again() -> None:
    studio = Studio()
    studio.join("a")
    for _ in range(120):
        studio.tick({"a": np.full(FRAME, 300, np.int16)})
    assert not studio.engine._state.active.any()


def test_it_works_at_any_rate() -> None:
    frames = tone(500, 200, peak=2000, rate=16000) + np.int16(900)
    heard, _ = recorded(frames, "G722")
    assert abs(heard[-19200:-3200].mean()) < 15
    assert strength(heard[-19200:-3200], 500, 16000) > 1800


def test_clean_legs_are_left_alone_to_the_bit() -> None:
    random = np.random.default_rng(1)
    clean = {
        "voice": np.rint(voice(6, 2, 90).reshape(-1, 6).mean(axis=1)).astype(np.int16).reshape(-1, FRAME),
        "noise": random.normal(0, 5000, (300, FRAME)).clip(-30000, 30000).astype(np.int16),
        "low": tone(83, 300, peak=12000),
        "a-law silence": np.full((300, FRAME), 8, np.int16),
    }
    for name, frames in clean.items():
        heard, studio = recorded(frames)
        assert not studio.engine._state.offset.any(), name
        if name in ("noise", "low"):
            whole = joined(through(g711.PCMU, frames))
            begin = next(at for at in range(0, 6 * FRAME, FRAME) if heard[at : at + FRAME].any())
            assert (heard[begin : begin + whole.size] == whole[: heard.size - begin]).all(), name
