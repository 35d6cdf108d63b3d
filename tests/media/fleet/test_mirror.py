from __future__ import annotations

from msgspec.structs import replace

from mixminus.media.fleet.mirror import Mirror
from mixminus.media.protocol import (
    CloseLeg,
    Command,
    DigitsSent,
    Hearing,
    LegLatched,
    MoveLeg,
    OpenLeg,
    PauseTap,
    Play,
    PlayEnded,
    ResumeTap,
    SendDigits,
    SetGainControl,
    SetHearing,
    SpeakStart,
    SpeakStop,
    StartTap,
    StopPlay,
    StopTap,
    TapClosed,
    TapFailed,
    TapOpened,
    UpdateLeg,
)

SDP = ("192.0.2.1", 4000)
TRUE = ("198.51.100.7", 61000)
LEG = OpenLeg(leg="a", room="r", port=20000, remote=SDP, latch_hosts=("198.51.100.7",), talk=1, hear=2)
TAP = StartTap(tap="t", room="r", hear=3, spool="/spool/t")


def mirror_of(*commands: Command) -> Mirror:
    mirror = Mirror()
    for command in commands:
        mirror.accepted(command)
    return mirror


def test_a_leg_is_replayed_as_last_signalled_moved_and_heard() -> None:
    mirror = mirror_of(
        LEG,
        UpdateLeg(leg="a", remote=("192.0.2.1", 4010), codec="PCMA", payload_type=8),
        MoveLeg(leg="a", room="s", talk=4, hear=5),
        SetHearing(room="s", legs=(Hearing(leg="a", talk=6, hear=7),)),
        SetGainControl(leg="a", on=True),
        SetGainControl(leg="stranger", on=True),
    )
    (again,) = mirror.replay()
    assert again == replace(
        LEG,
        room="s",
        remote=("192.0.2.1", 4010),
        codec="PCMA",
        payload_type=8,
        latch_hosts=(),
        talk=6,
        hear=7,
        agc=True,
    )
    assert mirror.rooms() == {"s"}
    mirror.accepted(CloseLeg(leg="a"))
    assert mirror.replay() == []


def test_a_latched_leg_is_replayed_where_it_was_heard_from() -> None:
    mirror = mirror_of(LEG)
    mirror.observed(LegLatched(leg="a", remote=TRUE, at_ns=1))
    assert mirror.replay() == [replace(LEG, remote=TRUE, latch_hosts=())]
    mirror.accepted(UpdateLeg(leg="a", remote=SDP, latch_hosts=LEG.latch_hosts))
    assert mirror.replay() == [LEG]  # new signalling: it may latch anew


def test_music_goes_on_but_a_prompt_is_told_as_ended() -> None:
    music = Play(player="m", room="r", source="music", talk=1, loop=True)
    prompt = Play(player="p", room="r", source="beep:1", talk=1)
    stopped = Play(player="s", room="r", source="music", talk=1, loop=True)
    mirror = mirror_of(music, prompt, stopped, StopPlay(player="s"))
    assert mirror.lost(9) == [PlayEnded(player="p", at_ns=9), PlayEnded(player="s", at_ns=9)]
    assert mirror.replay() == [music]
    mirror.observed(PlayEnded(player="m", at_ns=10))
    assert mirror.replay() == []


def test_what_was_under_way_is_told_as_over() -> None:
    mirror = mirror_of(LEG, SendDigits(leg="a", digits="1"), SendDigits(leg="a", digits="2"))
    mirror.observed(DigitsSent(leg="a", at_ns=1))
    mirror.observed(SpeakStart(leg="a", at_ns=1))
    assert mirror.lost(5) == [SpeakStop(leg="a", at_ns=5), DigitsSent(leg="a", at_ns=5)]
    assert mirror.lost(6) == []


def test_a_tap_is_replayed_paused_or_not() -> None:
    mirror = mirror_of(TAP, PauseTap(tap="t"))
    assert mirror.replay() == [replace(TAP, paused=True)]
    mirror.accepted(ResumeTap(tap="t"))
    assert mirror.replay() == [TAP]


def test_a_tap_lost_while_closing_is_closed_without_gaining_a_sample() -> None:
    mirror = mirror_of(TAP, StopTap(tap="t"))
    assert mirror.replay() == [replace(TAP, paused=True), StopTap(tap="t")]
    mirror.observed(TapClosed(tap="t", samples=8000, rate=8000, at_ns=1))
    assert mirror.replay() == []
    assert mirror.rooms() == set()


def test_a_failed_tap_is_not_opened_again() -> None:
    mirror = mirror_of(TAP)
    mirror.observed(TapFailed(tap="t", reason="disk full", samples=1, at_ns=1))
    assert mirror.replay() == []
    mirror.accepted(StopTap(tap="t"))
    assert mirror.replay() == []
    assert mirror.failed_taps == set()


def test_a_tap_that_will_fail_is_stopped_where_it_runs() -> None:
    mirror = mirror_of(TAP)
    mirror.observed(TapFailed(tap="t", reason="disk full", samples=1, at_ns=1, writing=True))
    assert mirror.replay() == [TAP] and mirror.failed_taps == set()
    mirror.accepted(StopTap(tap="t"))
    assert mirror.rooms(), "it is still being closed"
    mirror.observed(TapClosed(tap="t", samples=8000, rate=8000, at_ns=1))
    assert mirror.rooms() == set()


def test_events_about_what_has_gone_change_nothing() -> None:
    mirror = Mirror()
    mirror.observed(LegLatched(leg="x", remote=TRUE, at_ns=1))
    mirror.observed(SpeakStop(leg="x", at_ns=1))
    mirror.observed(DigitsSent(leg="x", at_ns=1))
    mirror.observed(TapFailed(tap="x", reason="", samples=0, at_ns=1))
    assert mirror.replay() == []
    assert mirror.lost(2) == []


def test_a_replacement_goes_on_recording_at_no_lower_rate_than_the_first_worker_had() -> None:
    mirror = Mirror()
    mirror.accepted(StartTap(tap="tap", room="room", hear=1, spool="folder"))
    mirror.observed(TapOpened("tap", 48000, 5))
    mirror.observed(TapOpened("another, stopped meanwhile", 16000, 5))
    assert mirror.replay() == [StartTap(tap="tap", room="room", hear=1, spool="folder", least_rate=48000)]


def test_what_a_leg_that_goes_to_another_worker_leaves_behind_is_ended() -> None:
    mirror = mirror_of(LEG, SendDigits(leg="a", digits="12"))
    mirror.observed(SpeakStart(leg="a", at_ns=1))
    assert mirror.left("a", 5) == [SpeakStop(leg="a", at_ns=5), DigitsSent(leg="a", at_ns=5)]
    mirror.accepted(CloseLeg(leg="a", elsewhere=True))
    assert mirror.left("a", 6) == []


def test_reports_follow_the_audio_of_a_leg_that_latched() -> None:
    together, apart = replace(LEG, rtcp=SDP), replace(LEG, rtcp=("192.0.2.1", 4001))
    for leg, rtcp in ((LEG, None), (together, TRUE), (apart, apart.rtcp)):
        mirror = mirror_of(leg)
        mirror.observed(LegLatched(leg="a", remote=TRUE, at_ns=1))
        assert mirror.leg_now("a") == replace(leg, remote=TRUE, rtcp=rtcp, latch_hosts=())


def test_the_tap_of_a_leg_that_is_closed_goes_on_silent() -> None:
    tap = replace(TAP, leg="a", heard=True)
    mirror = mirror_of(LEG, tap)
    assert mirror.replay() == [LEG, tap]
    mirror.accepted(CloseLeg(leg="a"))
    assert mirror.replay() == [replace(tap, leg="", heard=False, hear=0)]


def test_a_tap_that_was_leaving_for_another_worker_leaves_again() -> None:
    mirror = mirror_of(TAP, StopTap(tap="t", elsewhere=True))
    assert mirror.replay() == [replace(TAP, paused=True), StopTap(tap="t", elsewhere=True)]
