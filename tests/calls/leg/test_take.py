"""Record, and recordings over the API."""

from __future__ import annotations

import pytest

from calls.kit import BY
from calls.leg.kit import APP, Driver, inbound
from mixminus.calls import effects
from mixminus.calls.effects import AbandonTap, BeginTap, EndTap
from mixminus.calls.events import CallEvent
from mixminus.calls.inputs import Gone, TimedOut
from mixminus.calls.leg.inputs import (
    CallRecordingStarted,
    LegRecordingBroke,
    RecordCall,
    SpeakingOnLeg,
    StopRecordCall,
)
from mixminus.calls.sounds.program import BuiltIn
from mixminus.errors import Conflict, NotFound

WAIT = '<Wait length="9"/>'


def recorded(attributes: str = "", *, begun: bool = True) -> Driver:
    leg = inbound(f'<Record action="{APP}/recorded" {attributes}/>{WAIT}', answered=True)
    if begun:
        leg.played()
    return leg


def sound(leg: Driver) -> CallEvent:
    request = leg.last(effects.Fetch).request
    assert isinstance(request, CallEvent)
    return request


def test_it_beeps_records_and_tells_the_action() -> None:
    leg = recorded('fileFormat="wav"', begun=False)
    assert leg.prompt().program == (BuiltIn("beep:1"),)
    assert not leg.take(BeginTap)
    leg = recorded('fileFormat="wav"')
    begun = leg.last(BeginTap)
    assert (begun.heard, begun.recording.format, begun.recording.call_uuid) == (False, "wav", "c")
    assert leg.timer("element") == 60
    leg.wait(12)
    leg.press("5#")
    assert leg.last(EndTap).recording.id == begun.recording.id
    told = sound(leg)
    assert told.own == {"Digits": "#"}
    assert told.sound is not None and told.sound.recording_id == begun.recording.id
    assert told.sound.ended_at is not None
    assert (told.sound.ended_at - told.sound.started_at).total_seconds() == 12
    assert leg.recordings[begun.recording.id].state == "finishing"


def test_silence_is_counted_from_the_last_word_and_ends_it() -> None:
    leg = recorded('timeout="6" playBeep="false"', begun=False)
    assert leg.timer("silence") == 6
    leg.do(SpeakingOnLeg(True))
    assert leg.timer("silence") is None
    leg.do(SpeakingOnLeg(False))
    assert leg.timer("silence") == 6
    leg.do(TimedOut("silence"))
    assert sound(leg).own == {"Digits": ""}


def test_the_longest_time_ends_it() -> None:
    leg = recorded('maxLength="5"')
    assert leg.timer("element") == 5
    leg.elapse()
    assert leg.last(EndTap)


def test_a_caller_who_hangs_up_has_recorded_all_the_same() -> None:
    leg = recorded()
    leg.do(Gone())
    assert leg.last(EndTap)
    (told,) = leg.told("Redirect")
    assert told.sound is not None
    assert leg.outcome() == ("completed", 4000, "Caller")


def test_a_session_is_recorded_while_the_document_goes_on() -> None:
    leg = recorded('recordSession="true"', begun=False)
    assert leg.last(BeginTap).heard
    assert leg.timer("element") == 9
    (told,) = leg.told("Redirect")
    assert told.sound is not None and told.sound.ended_at is None
    leg.do(Gone())
    assert leg.last(EndTap)


@pytest.mark.parametrize("begun", [True, False])
def test_a_recording_that_breaks_ends_and_the_document_goes_on(begun: bool) -> None:
    leg = recorded()
    row = leg.last(BeginTap).recording
    leg.do(LegRecordingBroke(row.id, "disk full", begun))
    made = leg.recordings[row.id]
    assert (made.state, made.failure) == ("finishing" if begun else "failed", "disk full")
    assert leg.last(EndTap if begun else AbandonTap) == (EndTap(made) if begun else AbandonTap(row.id))
    assert leg.timer("element") == 9


def test_the_api_records_both_sides_until_its_limit() -> None:
    leg = inbound(WAIT)
    with pytest.raises(Conflict, match="not answered"):
        leg.do(RecordCall(by=BY, call_uuid="c"))
    leg = inbound("<GetDigits/>", answered=True)
    leg.do(RecordCall(by=BY, call_uuid="c", time_limit=33))
    begun = leg.last(BeginTap)
    assert begun.heard
    assert leg.result == CallRecordingStarted(begun.recording.id, "mp3")
    assert leg.timer("record") == 33
    leg.do(TimedOut("record"))
    assert leg.last(EndTap).recording.id == begun.recording.id
    with pytest.raises(NotFound, match="no recording runs"):
        leg.do(StopRecordCall(by=BY, call_uuid="c"))
