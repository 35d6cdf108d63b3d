from __future__ import annotations

import pytest

from calls.kit import BY, MPC, REF, STATUS, Driver
from mixminus.calls import effects, hearing
from mixminus.calls.commands import (
    ActivateMpc,
    Added,
    AddParticipant,
    Callback,
    DialParameters,
    EndMpc,
    KickParticipants,
    MpcParameters,
    MpcRef,
    ParticipantParameters,
    UpdateParticipants,
)
from mixminus.calls.events import EVENT_GROUPS, MpcEvent
from mixminus.calls.inputs import DialEnded, Enter, Entered, KeyPressed, MaxDurationReached, ShutDown, Speaking
from mixminus.calls.model import ExitCause, HangupCause, HangupSource, Role
from mixminus.calls.mpc.draft import merge
from mixminus.calls.sounds.program import MUSIC, BuiltIn
from mixminus.errors import Conflict, InvalidParameter, NotFound
from mixminus.store.rows import MemberRow, MpcRow

IN_TALK = hearing.TALK | hearing.SOUNDS | hearing.DIALLING


def mpc_row(driver: Driver) -> MpcRow:
    row = driver.rows[(MpcRow, MPC)]
    assert isinstance(row, MpcRow)
    return row


def test_the_first_participant_brings_initialized_join_start_in_that_order() -> None:
    driver = Driver()
    assert driver.enter("a").member_id == "1"
    assert driver.names() == ["MPCInitialized", "ParticipantJoin", "MPCStart"]
    assert [event.sequence for event in driver.events if isinstance(event, MpcEvent)] == [1, 2, 3]
    assert mpc_row(driver).status == "Active"
    assert driver.take(effects.ArmTimer)[0].seconds == 14_400


def test_members_wait_until_somebody_with_start_on_enter_comes() -> None:
    driver = Driver()
    driver.enter("a", Role.CUSTOMER, start_mpc_on_enter=False)
    assert mpc_row(driver).status == "Initialized"
    assert driver.effects[-1] == effects.StartMusic(MPC, hearing.WAIT, MUSIC)
    assert driver.take(effects.Admit)[0].masks == hearing.Masks(0, hearing.WAIT)
    driver.enter("b")
    assert mpc_row(driver).status == "Active"
    changes = next(effect for effect in driver.effects if isinstance(effect, effects.Rehear)).changes
    assert changes == (("a", hearing.Masks(hearing.TALK, IN_TALK)),)
    assert effects.StopMusic(MPC, hearing.WAIT) in driver.effects


def test_activate_starts_an_initialized_call_once() -> None:
    driver = Driver()
    driver.enter("a", start_mpc_on_enter=False)
    driver.do(ActivateMpc(by=BY, mpc=REF))
    assert driver.names()[-1] == "MPCStart"
    with pytest.raises(NotFound, match="already Active"):
        driver.do(ActivateMpc(by=BY, mpc=REF))


def test_nothing_can_be_done_to_a_call_that_is_not_there() -> None:
    with pytest.raises(NotFound):
        Driver().do(EndMpc(by=BY, mpc=REF))


def test_end_exits_everybody_then_ends() -> None:
    driver = Driver()
    driver.enter("a")
    driver.enter("b", Role.CUSTOMER)
    driver.wait(61)
    driver.do(EndMpc(by=BY, mpc=REF))
    assert driver.names()[-3:] == ["ParticipantExit", "ParticipantExit", "MPCEnd"]
    end = driver.events[-1]
    assert isinstance(end, MpcEvent)
    assert (end.duration, end.billed_duration, end.billed_amount) == (61, 240, "0.00000")
    assert (end.termination_cause_code, end.termination_cause) == (3000, "Hangup API Triggered")
    releases = driver.take(effects.Release)
    assert [(r.call_uuid, r.hangup_cause, r.hangup_source) for r in releases] == [
        ("a", HangupCause.MPC_ENDED, HangupSource.API_REQUEST),
        ("b", HangupCause.MPC_ENDED, HangupSource.API_REQUEST),
    ]
    assert driver.state is None
    assert mpc_row(driver).termination_cause_code == 3000


@pytest.mark.parametrize(
    ("stay_alone", "code"), [(True, None), (False, 1010)], ids=["stay_alone", "not allowed to stay alone"]
)
def test_one_left_alone(stay_alone: bool, code: int | None) -> None:
    driver = Driver(MpcParameters(stay_alone=stay_alone, status_callback=STATUS))
    driver.enter("a")
    driver.enter("b")
    driver.leave("b")
    assert mpc_row(driver).termination_cause_code == code


def test_the_last_to_leave_ends_it_with_1000() -> None:
    driver = Driver()
    driver.enter("a")
    driver.leave("a")
    assert mpc_row(driver).termination_cause_code == 1000
    assert driver.names()[-2:] == ["ParticipantExit", "MPCEnd"]


def test_end_mpc_on_exit() -> None:
    driver = Driver()
    driver.enter("a", end_mpc_on_exit=True)
    driver.enter("b")
    driver.enter("c")
    driver.leave("a")
    assert mpc_row(driver).termination_cause_code == 1000
    assert [release.call_uuid for release in driver.take(effects.Release)] == ["b", "c"]


def test_max_duration_ends_with_2000_and_shut_down_with_1000() -> None:
    for command, code in ((MaxDurationReached(), 2000), (ShutDown(), 1000)):
        driver = Driver()
        driver.enter("a")
        driver.do(command)
        assert mpc_row(driver).termination_cause_code == code


def test_update_changes_hearing_and_tells_once_per_change() -> None:
    driver = Driver()
    driver.enter("a")
    driver.enter("b", Role.CUSTOMER)
    driver.effects.clear()
    driver.do(UpdateParticipants(by=BY, mpc=REF, mute=True))
    assert driver.names()[-2:] == ["ParticipantMute", "ParticipantMute"]
    assert driver.take(effects.Rehear)[0].changes == (
        ("a", hearing.Masks(0, IN_TALK | hearing.COACH)),
        ("b", hearing.Masks(0, IN_TALK)),
    )
    before = len(driver.events)
    driver.do(UpdateParticipants(by=BY, mpc=REF, members=("1",), mute=True))
    assert len(driver.events) == before
    assert driver.take(effects.Rehear) == []


def test_gain_control_is_for_those_named_or_all_and_tells_nothing() -> None:
    driver = Driver()
    driver.enter("a")
    driver.enter("b", Role.CUSTOMER)
    before = len(driver.events)
    driver.do(UpdateParticipants(by=BY, mpc=REF, members=("2",), agc=True))
    assert driver.take(effects.LevelVoice) == [effects.LevelVoice("b", True)]
    driver.do(UpdateParticipants(by=BY, mpc=REF, agc=False))
    assert driver.take(effects.LevelVoice) == [effects.LevelVoice("a", False), effects.LevelVoice("b", False)]
    assert len(driver.events) == before


def test_hold_plays_music_on_the_channel_of_the_role_until_the_last_is_released() -> None:
    driver = Driver()
    driver.enter("a")
    driver.enter("b", Role.CUSTOMER)
    driver.do(UpdateParticipants(by=BY, mpc=REF, members=("2",), hold=True))
    assert effects.StartMusic(MPC, hearing.HOLD_CUSTOMER, MUSIC) in driver.effects
    driver.do(UpdateParticipants(by=BY, mpc=REF, members=("2",), hold=False))
    assert effects.StopMusic(MPC, hearing.HOLD_CUSTOMER) in driver.effects


def test_coach_mode_is_for_supervisors_and_beeps() -> None:
    driver = Driver()
    driver.enter("a")
    driver.enter("s", Role.SUPERVISOR)
    driver.effects.clear()
    driver.do(UpdateParticipants(by=BY, mpc=REF, members=("2",), coach_mode=False))
    assert driver.names()[-1] == "ParticipantCoachModeStop"
    assert driver.take(effects.PlaySound) == [effects.PlaySound(MPC, (BuiltIn("beep:1"),))]
    driver.do(UpdateParticipants(by=BY, mpc=REF, members=("1",), coach_mode=True))
    assert driver.names()[-1] == "ParticipantCoachModeStop"
    agent = driver.rows[(MemberRow, "1")]
    assert isinstance(agent, MemberRow)
    assert agent.coach_mode is False


def test_update_refuses_what_makes_no_sense() -> None:
    driver = Driver()
    driver.enter("a")
    with pytest.raises(InvalidParameter, match="at least one"):
        driver.do(UpdateParticipants(by=BY, mpc=REF))
    with pytest.raises(InvalidParameter, match="coach_mode"):
        driver.do(UpdateParticipants(by=BY, mpc=REF, coach_mode=True))
    with pytest.raises(NotFound, match="7"):
        driver.do(UpdateParticipants(by=BY, mpc=REF, members=("1", "7"), mute=True))


def test_kick_lets_one_go_with_its_own_cause() -> None:
    driver = Driver()
    driver.enter("a")
    driver.enter("b", on_exit_action=Callback("http://app.test/exit"))
    driver.do(KickParticipants(by=BY, mpc=REF, members=("2",)))
    release = driver.take(effects.Release)[0]
    assert (release.exit_cause, release.hangup_cause) == (ExitCause.KICKED, HangupCause.KICKED)
    assert release.action.callback.url == "http://app.test/exit"
    member = driver.rows[(MemberRow, "2")]
    assert isinstance(member, MemberRow)
    assert member.exit_cause == "Kicked Out of Multiparty Call"
    assert driver.state is not None


def test_a_full_call_lets_nobody_in() -> None:
    driver = Driver(MpcParameters(max_participants=2))
    driver.enter("a")
    driver.enter("b")
    refused = driver.enter("c")
    assert not refused.admitted
    assert "max_participants is 2" in refused.reason
    with pytest.raises(Conflict, match="full"):
        driver.do(add("sip:d@test"))


def add(*to: str, **dial: object) -> AddParticipant:
    return AddParticipant(
        by=BY,
        mpc=MpcRef(name="room", uuid=MPC),
        participant=ParticipantParameters(role=Role.AGENT),
        parameters=MpcParameters(
            status_callback=STATUS, status_callback_events=frozenset(EVENT_GROUPS), stay_alone=True
        ),
        dial=DialParameters(from_="100", to=to),
    )


def enter_dialled(driver: Driver, call: str, request: str) -> Entered:
    result = driver.do(
        Enter(
            by=BY,
            mpc_uuid=MPC,
            name="room",
            call_uuid=call,
            call_from="100",
            call_to="200",
            call_direction="outbound",
            address="200",
            participant=ParticipantParameters(role=Role.AGENT),
            parameters=MpcParameters(),
            request_uuid=request,
        )
    ).result
    assert isinstance(result, Entered)
    return result


def test_the_first_of_several_destinations_wins_and_the_others_are_cancelled() -> None:
    driver = Driver()
    added = driver.do(add("sip:x@test", "sip:y@test", "sip:z@test")).result
    assert isinstance(added, Added)
    x, y, z = (call.call_uuid for call in added.calls)
    assert [leg.to for leg in driver.take(effects.CreateLeg)] == ["sip:x@test", "sip:y@test", "sip:z@test"]
    assert enter_dialled(driver, y, added.request_uuid).admitted
    assert driver.take(effects.CancelDials) == [effects.CancelDials((x, z), HangupCause.LOST_RACE)]
    assert not enter_dialled(driver, z, added.request_uuid).admitted
    completed = [event for event in driver.events if event.name == "AddParticipantByAPIActionCompleted"]
    assert [event.outcome for event in completed if isinstance(event, MpcEvent)] == ["success"]


def test_dials_that_all_fail_end_an_empty_call() -> None:
    driver = Driver()
    added = driver.do(add("sip:x@test", "sip:y@test")).result
    assert isinstance(added, Added)
    driver.do(DialEnded(added.request_uuid, added.calls[0].call_uuid))
    assert driver.state is not None
    driver.do(DialEnded(added.request_uuid, added.calls[1].call_uuid))
    assert driver.state is None
    assert driver.names() == [
        "MPCInitialized",
        "AddParticipantByAPIActionInitiated",
        "AddParticipantByAPIActionCompleted",
        "MPCEnd",
    ]


def test_digits_and_speech_are_told_only_when_asked_for() -> None:
    quiet = Driver()
    quiet.enter("a")
    quiet.do(KeyPressed("a", "5"))
    assert "ParticipantDigitInput" not in quiet.names()
    curious = Driver(MpcParameters(status_callback=STATUS, status_callback_events=frozenset(EVENT_GROUPS)))
    curious.enter("a")
    curious.do(KeyPressed("a", "5"))
    curious.do(Speaking("a", True))
    curious.do(KeyPressed("stranger", "6"))
    assert curious.names()[-2:] == ["ParticipantDigitInput", "ParticipantSpeakStart"]


def test_later_values_replace_defaults_only_but_the_last_stay_alone_wins() -> None:
    first = MpcParameters(max_duration=14_400, max_participants=4, stay_alone=True)
    later = MpcParameters(max_duration=600, max_participants=8, stay_alone=False, record=True)
    merged = merge(first, later)
    assert (merged.max_duration, merged.max_participants, merged.stay_alone, merged.record) == (600, 4, False, True)
    assert merge(first, MpcParameters()) == first
