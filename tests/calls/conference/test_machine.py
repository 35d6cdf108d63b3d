"""The conference's machine: who hears whom, who is let out when, what is played to whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

import pytest

from calls.kit import BY, START
from mixminus.calls.commands import Callback
from mixminus.calls.conference.commands import (
    Arrive,
    ConferencePromptEnded,
    ConferenceRecordingBroke,
    Depart,
    EndConference,
    PlayToMembers,
    RecordConference,
    RemoveMembers,
    SetMembers,
    StopPlayToMembers,
    StopRecordConference,
)
from mixminus.calls.conference.effects import (
    ConferenceEffect,
    PutMember,
    ReleaseMember,
    StartSound,
    StopSound,
)
from mixminus.calls.conference.machine import FIRST_ASIDE, Conference, decide
from mixminus.calls.document.elements import ConferenceElement
from mixminus.calls.effects import AbandonTap, BeginTap, EndTap
from mixminus.calls.hearing import SOUNDS, TALK, WAIT, Masks
from mixminus.calls.leg.inputs import CallRecordingStarted, ConferenceJoined
from mixminus.calls.sounds.program import BuiltIn
from mixminus.errors import Conflict, NotFound
from mixminus.ids import Mint
from mixminus.store.rows import RecordingRow

E = TypeVar("E")
BEEP = (BuiltIn("beep:1"),)
OPEN = Masks(TALK, TALK | SOUNDS)


class Driver:
    def __init__(self) -> None:
        self.state: Conference | None = None
        self.now = START
        self.mint = Mint(seed=1)
        self.effects: list[ConferenceEffect] = []
        self.recordings: dict[str, RecordingRow] = {}

    def do(self, command: Any) -> Any:
        self.now += timedelta(seconds=1)
        decision = decide(self.state, command, self.now, self.mint)
        self.state = decision.state
        self.effects = list(decision.effects)
        self.recordings |= {row.id: row for row in decision.rows if isinstance(row, RecordingRow)}
        return decision.result

    def enter(self, call: str, **attributes: Any) -> str:
        element = ConferenceElement(name="den", **attributes)
        joined = self.do(
            Arrive(
                by=BY,
                call_uuid=call,
                call_from="1",
                call_to="2",
                caller_name="",
                direction="inbound",
                element=element,
            )
        )
        assert isinstance(joined, ConferenceJoined)
        return joined.member_id if joined.admitted else ""

    def of(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def put(self) -> dict[str, Masks]:
        """Whose channels have just changed."""
        return {effect.call_uuid: effect.masks for effect in self.of(PutMember)}


def test_members_hear_each_other_once_somebody_has_started_it() -> None:
    den = Driver()
    den.enter("a", start_on_enter=False, wait_sound="http://app.test/wait")
    assert den.put() == {"a": Masks(0, WAIT)}
    (music,) = den.of(StartSound)
    assert (music.talk, music.loop) == (WAIT, True)
    den.enter("b", enter_sound="beep:1")
    assert den.put() == {"a": OPEN, "b": OPEN}
    assert den.of(StopSound) == [StopSound(music.player)]
    assert den.of(StartSound)[0].program == BEEP


def test_a_full_conference_admits_nobody() -> None:
    den = Driver()
    assert den.enter("a", max_members=1)
    assert not den.enter("b", max_members=1)


def test_mute_and_deaf() -> None:
    den = Driver()
    a, b = den.enter("a"), den.enter("b", muted=True)
    assert den.put() == {"b": Masks(0, TALK | SOUNDS)}
    assert den.do(SetMembers(by=BY, name="den", members=(b,), muted=False)) == (b,)
    assert den.put() == {"b": OPEN}
    assert den.do(SetMembers(by=BY, name="den", deaf=True)) == (a, b)
    assert den.put() == {"a": Masks(TALK, 0), "b": Masks(TALK, 0)}
    with pytest.raises(NotFound, match="no such member"):
        den.do(SetMembers(by=BY, name="den", members=("9",), deaf=True))


def test_what_is_played_to_one_is_heard_by_that_one_only() -> None:
    den = Driver()
    a, _ = den.enter("a"), den.enter("b")
    den.do(PlayToMembers(by=BY, name="den", members=(a,), kind="play", program=BEEP))
    (sound,) = den.of(StartSound)
    assert sound.talk == 1 << FIRST_ASIDE
    assert den.put() == {"a": Masks(TALK, TALK | SOUNDS | 1 << FIRST_ASIDE)}
    den.do(PlayToMembers(by=BY, name="den", kind="speak", program=BEEP))
    (second,) = den.of(StartSound)
    assert second.talk == 1 << FIRST_ASIDE + 1
    den.do(ConferencePromptEnded(sound.player))
    assert den.put() == {"a": Masks(TALK, TALK | SOUNDS | 1 << FIRST_ASIDE + 1)}
    den.do(StopPlayToMembers(by=BY, name="den", members=(a,), kind="speak"))
    assert den.put() == {"a": OPEN}
    assert not den.of(StopSound)
    den.do(StopPlayToMembers(by=BY, name="den", kind="speak"))
    assert den.of(StopSound) == [StopSound(second.player)]


def test_there_is_an_end_to_what_can_be_played_at_once() -> None:
    den = Driver()
    den.enter("a")
    with pytest.raises(Conflict, match="stop one first"):
        for _ in range(100):
            den.do(PlayToMembers(by=BY, name="den", kind="play", program=BEEP))


def test_the_last_one_ends_it_and_so_does_one_who_says_so() -> None:
    den = Driver()
    den.enter("a")
    den.enter("b", exit_sound="beep:2")
    den.do(Depart("b"))
    assert den.of(StartSound)[0].program == (BuiltIn("beep:2"),)
    den.do(Depart("a"))
    assert den.state is None
    den = Driver()
    den.enter("a")
    den.enter("b", end_on_exit=True)
    den.do(Depart("b"))
    assert den.of(ReleaseMember) == [ReleaseMember("a", False)]
    assert den.state is None


def test_nobody_stays_alone_who_must_not() -> None:
    den = Driver()
    den.enter("a", stay_alone=False)
    assert den.state is not None
    den.enter("b", stay_alone=False)
    den.do(Depart("b"))
    assert den.of(ReleaseMember) == [ReleaseMember("a", False)]


def test_kicked_members_go_on_and_others_are_hung_up() -> None:
    den = Driver()
    a, b = den.enter("a"), den.enter("b")
    den.enter("c")
    assert den.do(RemoveMembers(by=BY, name="den", members=(a,))) == (a,)
    assert den.of(ReleaseMember) == [ReleaseMember("a", False)]
    den.do(RemoveMembers(by=BY, name="den", members=(b,), hangup=True))
    assert den.of(ReleaseMember) == [ReleaseMember("b", True)]
    den.do(EndConference(by=BY, name="den"))
    assert den.of(ReleaseMember) == [ReleaseMember("c", False)]
    with pytest.raises(NotFound, match="no live conference 'den'"):
        den.do(EndConference(by=BY, name="den"))


def test_it_is_recorded_from_its_first_member_that_wants_it_to_its_end() -> None:
    den = Driver()
    den.enter("a", record=True, record_format="wav", callback=Callback("http://app.test/c"))
    (begun,) = den.of(BeginTap)
    assert (begun.recording.format, begun.recording.source, begun.recording.mpc_name) == ("wav", "conference", "den")
    assert den.do(RecordConference(by=BY, name="den")) == CallRecordingStarted(begun.recording.id, "wav")
    den.do(Depart("a"))
    assert den.of(EndTap)[0].recording.id == begun.recording.id
    assert den.recordings[begun.recording.id].state == "finishing"


def test_a_recording_can_be_stopped_or_break_and_another_begun() -> None:
    den = Driver()
    den.enter("a")
    with pytest.raises(NotFound, match="no recording runs"):
        den.do(StopRecordConference(by=BY, name="den"))
    first = den.do(RecordConference(by=BY, name="den"))
    den.do(StopRecordConference(by=BY, name="den"))
    assert den.of(EndTap)
    second = den.do(RecordConference(by=BY, name="den"))
    assert second.recording_id != first.recording_id
    den.do(ConferenceRecordingBroke(second.recording_id, "disk full", False))
    assert den.of(AbandonTap) == [AbandonTap(second.recording_id)]
    assert den.recordings[second.recording_id].failure == "disk full"
    third = den.do(RecordConference(by=BY, name="den"))
    den.do(ConferenceRecordingBroke(third.recording_id, "disk full", True))
    assert den.of(EndTap)[-1].recording.failure == "disk full"
    assert den.recordings[third.recording_id].state == "finishing"
