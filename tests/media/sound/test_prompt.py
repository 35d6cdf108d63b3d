from __future__ import annotations

import numpy as np
import pytest

from media.kit import Pcm, Studio, joined, through
from mixminus.errors import MediaError
from mixminus.media import protocol
from mixminus.media.codecs import g711
from mixminus.media.sound import tone
from mixminus.media.state import FRAME, TICK_NS

CLIP = np.random.default_rng(1).integers(-9000, 9000, 5 * FRAME + 37).astype(np.int16)


def listen(studio: Studio, ticks: int) -> Pcm:
    studio.apply(protocol.StartTap("tape", "room", 1, "spool"))
    studio.run(ticks)
    studio.apply(protocol.StopTap("tape"))
    return studio.tapes.pop("tape").pcm


def test_a_prompt_is_heard_to_its_last_sample_and_then_told() -> None:
    studio = Studio(prompts={"hello.wav": CLIP})
    listener = studio.join("a")
    studio.apply(protocol.Play("p", "room", "hello.wav", 1))
    heard = listen(studio, 8)
    assert (heard[: CLIP.size] == CLIP).all()
    assert not heard[CLIP.size :].any()
    assert studio.told(protocol.PlayEnded) == [protocol.PlayEnded("p", 5 * TICK_NS)]
    padded = np.concatenate((CLIP, np.zeros(8 * FRAME - CLIP.size, np.int16)))
    assert (joined(listener.heard) == through(g711.PCMU, padded)).all()


@pytest.mark.parametrize("size", [37, FRAME, FRAME + 1, 3 * FRAME - 1, CLIP.size])
def test_a_loop_has_no_seam(size: int) -> None:
    studio = Studio(prompts={"loop.wav": CLIP[:size]})
    studio.apply(protocol.Play("p", "room", "loop.wav", 1, loop=True))
    heard = listen(studio, 30)
    assert (heard == np.resize(CLIP[:size], 30 * FRAME)).all()
    assert studio.told(protocol.PlayEnded) == []


def test_gain_scales_and_clips() -> None:
    studio = Studio(prompts={"x.wav": np.array([100, -100, 20000, -20000] * 40, np.int16)})
    studio.apply(protocol.Play("p", "room", "x.wav", 1, gain=2.0))
    assert listen(studio, 1)[:4].tolist() == [200, -200, 32767, -32768]


def test_a_stopped_player_is_silent_and_told() -> None:
    studio = Studio()
    studio.apply(protocol.Play("p", "room", "music", 1, loop=True))
    assert (listen(studio, 3) == tone.music()[: 3 * FRAME]).all()
    studio.apply(protocol.StopPlay("p"))
    assert not listen(studio, 3).any()
    assert studio.told(protocol.PlayEnded) == [protocol.PlayEnded("p", 3 * TICK_NS)]


def test_stopping_what_has_just_ended_is_no_error() -> None:
    studio = Studio()
    studio.apply(protocol.Play("p", "room", "silence:20", 1))
    studio.run(2)
    studio.apply(protocol.StopPlay("p"))
    studio.apply(protocol.StopPlay("p"))
    studio.run(1)
    assert len(studio.told(protocol.PlayEnded)) == 1


def test_silence_lasts_as_long_as_it_says() -> None:
    studio = Studio()
    studio.apply(protocol.Play("p", "room", "silence:250", 1))
    assert not listen(studio, 20).any()
    assert studio.told(protocol.PlayEnded) == [protocol.PlayEnded("p", 12 * TICK_NS)]


def test_many_players_of_one_sound_are_each_at_their_own_place() -> None:
    studio = Studio(prompts={"x.wav": CLIP})
    for number in range(4):
        studio.apply(protocol.Play(f"p{number}", f"room {number}", "x.wav", 1))
        studio.apply(protocol.StartTap(f"t{number}", f"room {number}", 1, "spool"))
        studio.tick()
    studio.run(6)
    for number in range(4):
        studio.apply(protocol.StopTap(f"t{number}"))
        assert (studio.tapes[f"t{number}"].pcm[: CLIP.size] == CLIP).all()
    assert len(studio.told(protocol.PlayEnded)) == 4


def test_a_player_is_heard_only_by_whom_it_is_meant_for() -> None:
    studio = Studio()
    held, other = studio.join("held", talk=0, hear=0b10), studio.join("other", talk=1, hear=0b01)
    studio.apply(protocol.Play("p", "room", "music", 0b10, loop=True))
    studio.run(20)
    assert joined(held.heard).any()
    assert not joined(other.heard).any()


def test_a_file_is_loaded_once_for_all_who_play_it_and_again_later() -> None:
    loads: list[str] = []
    studio = Studio()

    def load(path: str) -> Pcm:
        loads.append(path)
        return CLIP

    studio.engine._players._load = load
    for player in ("a", "b"):
        studio.apply(protocol.Play(player, "room", "x.wav", 1))
    assert loads == ["x.wav"]
    studio.run(10)
    studio.apply(protocol.Play("c", "room", "x.wav", 1))
    assert loads == ["x.wav"] * 2


@pytest.mark.parametrize("bad", [np.zeros(0, np.int16), np.zeros((2, 80), np.int16), np.zeros(80, np.float32)])
def test_what_is_no_mono_sound_is_refused(bad: Pcm) -> None:
    studio = Studio(prompts={"x.wav": bad})
    with pytest.raises(MediaError, match="not mono 16-bit samples"):
        studio.apply(protocol.Play("p", "room", "x.wav", 1))
    studio.run(1)
