"""GetDigits and GetInput."""

from __future__ import annotations

from calls.leg.kit import APP, Driver, inbound
from mixminus.calls import effects
from mixminus.calls.inputs import Gone
from mixminus.calls.leg.effects import StartPrompt, StopPrompt
from mixminus.calls.sounds.program import BuiltIn, PlayItem, SpeakItem


def asked(attributes: str = "", after: str = "<Wait length='9'/>", tag: str = "GetDigits") -> Driver:
    text = f'<{tag} action="{APP}/digits" {attributes}><Speak>press</Speak></{tag}>{after}'
    return inbound(text, answered=True)


def test_keys_interrupt_the_prompt_and_the_finish_key_ends_the_input() -> None:
    leg = asked()
    player = leg.last(StartPrompt).player
    leg.press("1")
    assert StopPrompt(player) in leg.effects
    assert leg.timer("element") == 2
    leg.press("23#")
    assert leg.fetch() == (f"{APP}/digits", {"Digits": "123"})


def test_the_last_key_of_num_digits_ends_the_input() -> None:
    leg = asked('numDigits="2"')
    leg.press("45")
    assert leg.fetch()[1] == {"Digits": "45"}


def test_keys_by_timeout_are_told_and_none_at_all_goes_on() -> None:
    leg = asked('timeout="4"')
    leg.played()
    assert leg.timer("element") == 4
    leg.press("7")
    leg.elapse()
    assert leg.fetch()[1] == {"Digits": "7"}
    silent = asked()
    silent.played()
    silent.elapse()
    assert silent.timer("element") == 9
    assert silent.take(effects.Fetch) == []


def test_the_prompt_is_repeated_as_often_as_retries_says() -> None:
    leg = asked('retries="3" playBeep="true"')
    for _ in range(3):
        assert leg.last(StartPrompt).program == (SpeakItem("press", "WOMAN", "en-US", 1), BuiltIn("beep:1"))
        leg.played()
        leg.elapse()
    assert leg.timer("element") == 9


def test_a_key_that_is_not_valid_is_told_and_asked_again() -> None:
    leg = asked(f'validDigits="12" retries="2" invalidDigitsSound="{APP}/no.mp3"')
    leg.press("13")
    assert leg.last(StartPrompt).program == (PlayItem(f"{APP}/no.mp3"),)
    leg.press("1")
    leg.played()
    assert isinstance(leg.last(StartPrompt).program[0], SpeakItem)
    leg.press("2#")
    assert leg.fetch()[1] == {"Digits": "2"}


def test_get_input_has_its_own_parameters_and_times() -> None:
    leg = asked('executionTimeout="20" digitEndTimeout="4" inputType="dtmf speech"', tag="GetInput")
    leg.played()
    assert leg.timer("element") == 20
    leg.press("5")
    assert leg.timer("element") == 4
    leg.elapse()
    own = leg.fetch()[1]
    assert (own["Digits"], own["InputType"], own["Speech"]) == ("5", "dtmf", "")


def test_without_redirect_the_answer_is_ignored_and_the_document_goes_on() -> None:
    leg = asked('redirect="false" numDigits="1"')
    leg.press("5")
    (event,) = leg.told("Redirect")
    assert event.own == {"Digits": "5"}
    assert leg.timer("element") == 9


def test_without_action_the_digits_are_nobodys() -> None:
    leg = inbound('<GetDigits numDigits="1"/><Wait length="9"/>', answered=True)
    leg.press("5")
    assert leg.timer("element") == 9


def test_a_caller_who_hangs_up_ends_it() -> None:
    leg = asked()
    leg.do(Gone())
    assert leg.outcome() == ("completed", 4000, "Caller")
