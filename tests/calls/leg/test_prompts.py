"""Speak, Play, Wait, PreAnswer, DTMF, Redirect: what waits for what, and what answers the caller."""

from __future__ import annotations

import pytest

from calls.leg.kit import APP, document, inbound
from mixminus.calls import effects
from mixminus.calls.inputs import FetchFailed, Gone, PickedUp, TimedOut
from mixminus.calls.leg.effects import EarlyMedia, Seat, StartPrompt, StopPrompt
from mixminus.calls.leg.inputs import EarlyMediaUp, PromptEnded
from mixminus.calls.leg.rooms import ASIDE_A, HEAR_A, TALK, private_room
from mixminus.calls.sounds.program import PlayItem, SpeakItem

PLAY = f"<Play>{APP}/a.mp3</Play>"


def test_a_prompt_answers_the_caller_and_the_next_one_follows_it() -> None:
    leg = inbound(f"<Speak>hi</Speak>{PLAY}")
    assert leg.kinds() == ["PickUp"]
    leg.do(PickedUp())
    assert leg.last(Seat) == Seat(private_room("c"), TALK, HEAR_A)
    first = leg.prompt()
    assert first.program == (SpeakItem("hi", "WOMAN", "en-US", 1),)
    assert first.talk == ASIDE_A
    leg.do(PromptEnded(first.player))
    assert leg.prompt().program == (PlayItem(f"{APP}/a.mp3", 1),)


def test_a_prompt_that_could_not_be_played_does_not_stop_the_document() -> None:
    leg = inbound(f"{PLAY}<Wait/>", answered=True)
    leg.do(PromptEnded(leg.prompt().player, "answered 404"))
    assert leg.timer("element") == 1


def test_an_end_that_is_not_the_present_prompts_changes_nothing() -> None:
    leg = inbound(f"{PLAY}{PLAY}", answered=True)
    first = leg.prompt()
    leg.do(PromptEnded(first.player))
    second = leg.prompt()
    leg.do(PromptEnded(first.player))
    assert leg.effects == []
    leg.do(PromptEnded(second.player))
    assert leg.outcome() == ("completed", 4010, "Plivo")


def test_a_wait_does_not_answer_and_lasts_its_length() -> None:
    leg = inbound('<Wait length="7"/><Hangup reason="busy"/>')
    assert leg.timer("element") == 7
    assert "PickUp" not in leg.kinds()
    leg.elapse()
    assert leg.outcome() == ("busy", 3010, "Answer XML")


def test_pre_answer_is_heard_before_the_answer() -> None:
    leg = inbound(f"<PreAnswer>{PLAY}<Wait/></PreAnswer><Speak>hi</Speak>")
    assert leg.take(EarlyMedia) == [EarlyMedia(private_room("c"))]
    leg.do(EarlyMediaUp())
    leg.played()
    assert leg.kinds() == ["PickUp"]
    leg.do(PickedUp())
    assert leg.prompt().program[0] == SpeakItem("hi", "WOMAN", "en-US", 1)


def test_digits_are_sent_and_the_document_goes_on() -> None:
    leg = inbound("<DTMF>12#</DTMF><Wait/>", answered=True)
    assert leg.last(effects.SendDigits) == effects.SendDigits("12#")
    assert leg.timer("element") == 1


def test_redirect_replaces_the_document() -> None:
    leg = inbound(f'<Redirect method="GET">{APP}/next</Redirect><Speak>never</Speak>')
    assert leg.fetch()[0] == f"{APP}/next"
    leg.do(document("<Wait/>"))
    assert leg.timer("element") == 1
    leg.elapse()
    assert leg.outcome() == ("failed", 4010, "Plivo")


@pytest.mark.parametrize(("reaching", "code"), [(True, 7014), (False, 8014)])
def test_a_redirect_that_fails_has_its_own_cause(reaching: bool, code: int) -> None:
    leg = inbound(f"<Redirect>{APP}/next</Redirect>")
    leg.do(FetchFailed("redirect", reaching, "x"))
    assert leg.outcome() == ("failed", code, "Error")


def test_an_answer_to_an_earlier_request_is_not_heeded() -> None:
    leg = inbound(f"<Redirect>{APP}/one</Redirect>")
    number = leg.last(effects.Fetch).number
    leg.do(document("<Wait/>", number - 1 or 99))
    assert leg.phase == "fetching"
    leg.do(document("<Wait/>", number))
    assert leg.phase == "running"


def test_a_caller_who_hangs_up_silences_the_prompt() -> None:
    leg = inbound(PLAY, answered=True)
    player = leg.last(StartPrompt).player
    leg.do(Gone())
    assert StopPrompt(player) in leg.effects
    assert leg.outcome() == ("completed", 4000, "Caller")


def test_a_timer_that_runs_out_while_it_is_set_anew_is_not_heeded() -> None:
    leg = inbound('<Wait length="7"/><Wait length="8"/>')
    stale = leg.last(effects.Wake).number
    leg.elapse()
    leg.do(TimedOut("element", stale))
    assert leg.phase == "running"
    assert leg.timer("element") == 8
