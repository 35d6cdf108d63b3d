from __future__ import annotations

import numpy as np

from media.kit import SILENCE, Studio, joined, through, tone
from mixminus.media import protocol
from mixminus.media.codecs import g711
from mixminus.media.state import FRAME, TICK_NS
from mixminus.media.taping.tap import BLOCK


def start(studio: Studio, tap: str = "tape", hear: int = 1, *, paused: bool = False) -> None:
    studio.apply(protocol.StartTap(tap, "room", hear, "spool", paused))


def test_a_silent_room_is_recorded_as_silence_to_the_tick() -> None:
    studio = Studio()
    start(studio)
    studio.run(73)
    studio.apply(protocol.StopTap("tape"))
    tape = studio.tapes["tape"]
    assert tape.pcm.size == 73 * FRAME
    assert not tape.pcm.any()
    assert tape.marks == [("close", 73 * FRAME, 73 * TICK_NS)]


def test_the_tape_has_everybody_and_its_own_mask() -> None:
    studio = Studio()
    studio.join("agent", talk=0b11)
    studio.join("coach", talk=0b10)
    start(studio, "all", 0b10)
    start(studio, "agent only", 0b01)
    agent, coach = tone(500, 20), tone(900, 20)
    for tick in range(20):
        studio.tick({"agent": agent[tick], "coach": coach[tick]})
    studio.tick()
    for tap in ("all", "agent only"):
        studio.apply(protocol.StopTap(tap))
    first, second = (joined(through(g711.PCMU, sound)) for sound in (agent, coach))
    assert (studio.tapes["all"].pcm[FRAME:] == first + second).all()
    assert (studio.tapes["agent only"].pcm[FRAME:] == first).all()


def test_blocks_are_short_and_taps_take_turns() -> None:
    studio = Studio()
    for number in range(BLOCK - 5):
        start(studio, f"tap {number}")
    written = []
    for _ in range(200):
        before = sum(len(tape.blocks) for tape in studio.tapes.values())
        studio.tick()
        written.append(sum(len(tape.blocks) for tape in studio.tapes.values()) - before)
    assert max(written[BLOCK:]) <= 1
    for tape in studio.tapes.values():
        assert all(block.size == BLOCK * FRAME for block in tape.blocks[1:])
        assert tape.blocks[0].size <= BLOCK * FRAME


def test_what_is_paused_is_left_out_to_the_tick() -> None:
    studio = Studio()
    studio.join("a")
    start(studio)
    sound = tone(440, 100)
    expected = []
    for tick in range(100):
        if tick in (30, 60):
            studio.apply(protocol.PauseTap("tape"))
            studio.apply(protocol.PauseTap("tape"))
        if tick in (40, 90):
            studio.apply(protocol.ResumeTap("tape"))
            studio.apply(protocol.ResumeTap("tape"))
        studio.tick({"a": sound[tick]})
        if not (30 <= tick < 40 or 60 <= tick < 90):
            expected.append(through(g711.PCMU, sound[tick - 1]) if tick else SILENCE)
    studio.apply(protocol.StopTap("tape"))
    assert (studio.tapes["tape"].pcm == joined(expected)).all()
    assert studio.tapes["tape"].marks == [
        ("pause", 30 * FRAME, 30 * TICK_NS),
        ("resume", 30 * FRAME, 40 * TICK_NS),
        ("pause", 50 * FRAME, 60 * TICK_NS),
        ("resume", 50 * FRAME, 90 * TICK_NS),
        ("close", 60 * FRAME, 100 * TICK_NS),
    ]


def test_a_tap_may_begin_paused() -> None:
    studio = Studio()
    start(studio, paused=True)
    studio.run(10)
    studio.apply(protocol.ResumeTap("tape"))
    studio.run(3)
    studio.apply(protocol.StopTap("tape"))
    assert studio.tapes["tape"].pcm.size == 3 * FRAME


def test_a_place_used_again_keeps_nothing_of_the_last_recording() -> None:
    studio = Studio()
    studio.join("a")
    for number in range(40):
        start(studio, f"tap {number}")
        studio.tick({"a": tone(440, 1)[0] if number < 5 else SILENCE})
        if number >= 20:
            studio.apply(protocol.StopTap(f"tap {number - 20}"))
    studio.run(60)
    for number in range(20, 40):
        studio.apply(protocol.StopTap(f"tap {number}"))
        assert not studio.tapes[f"tap {number}"].pcm.any()
        assert studio.tapes[f"tap {number}"].pcm.size == (100 - number) * FRAME


def test_the_tape_follows_who_comes_and_goes() -> None:
    studio = Studio()
    start(studio)
    sound = tone(440, 30)
    for tick in range(30):
        if tick == 10:
            studio.join("a")
        if tick == 20:
            studio.leave(studio.peers["a"])
        studio.tick({"a": sound[tick]} if 10 <= tick < 20 else {})
    studio.apply(protocol.StopTap("tape"))
    heard = studio.tapes["tape"].pcm.reshape(-1, FRAME)
    assert [bool(frame.any()) for frame in heard] == [11 <= tick < 20 for tick in range(30)]
    assert heard.dtype == np.int16
