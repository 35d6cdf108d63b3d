from __future__ import annotations

import pytest

from calls.kit import BY, MPC, REF, STATUS, Driver
from mixminus.calls import effects, hearing
from mixminus.calls.commands import (
    Added,
    AddParticipant,
    Callback,
    DialParameters,
    MpcParameters,
    MpcRef,
    ParticipantParameters,
    UpdateParticipants,
)
from mixminus.calls.events import EVENT_GROUPS
from mixminus.calls.inputs import DialEnded, DialRang, KeyPressed, Speaking, WaitedLongEnough
from mixminus.calls.model import HangupCause, Role
from mixminus.calls.sounds.program import MUSIC, RINGBACK, PlayItem
from mixminus.calls.sounds.request import AnyProgram, DocumentItem

WAIT, HOLD, DOOR = "http://app.test/wait", "http://app.test/hold", "http://app.test/door"


def hold(driver: Driver, on: bool = True, *members: str) -> None:
    driver.do(UpdateParticipants(by=BY, mpc=REF, members=members, hold=on))


def asked(program: AnyProgram) -> DocumentItem:
    (item,) = program
    assert isinstance(item, DocumentItem)
    return item


def test_wait_music_is_asked_for_with_who_waits() -> None:
    driver = Driver(MpcParameters(wait_music=Callback(WAIT, "GET")))
    driver.enter("a", Role.CUSTOMER, start_mpc_on_enter=False)
    (music,) = driver.take(effects.StartMusic)
    item = asked(music.program)
    assert (music.channel, item.callback) == (hearing.WAIT, Callback(WAIT, "GET"))
    assert (item.request.mpc_name, item.request.member.member_id, item.request.member.role) == ("room", "1", "customer")
    assert item.account == BY.account


def test_hold_music_differs_by_role_and_supervisors_get_the_agents() -> None:
    program = (PlayItem("http://app.test/agents.mp3"),)
    driver = Driver(
        MpcParameters(agent_hold_program=program, customer_hold_music=Callback(HOLD, "POST"), stay_alone=True)
    )
    for call, role in (("a", Role.AGENT), ("c", Role.CUSTOMER), ("s", Role.SUPERVISOR)):
        driver.enter(call, role)
    hold(driver)
    first, second = driver.take(effects.StartMusic)
    assert (first.channel, first.program) == (hearing.HOLD_STAFF, program)
    assert (second.channel, asked(second.program).callback) == (hearing.HOLD_CUSTOMER, Callback(HOLD, "POST"))
    hold(driver, False, "1")
    assert not driver.take(effects.StopMusic), "the supervisor still listens"
    hold(driver, False, "3")
    assert driver.take(effects.StopMusic) == [effects.StopMusic(MPC, hearing.HOLD_STAFF)]


def test_music_that_a_later_participant_brings_replaces_the_default_while_it_plays() -> None:
    driver = Driver(MpcParameters())
    driver.enter("a", start_mpc_on_enter=False)
    assert driver.take(effects.StartMusic)[0].program == MUSIC
    driver.parameters = MpcParameters(wait_music=Callback(WAIT, "GET"))
    driver.enter("b", start_mpc_on_enter=False)
    assert asked(driver.take(effects.StartMusic)[0].program).callback.url == WAIT


def test_enter_and_exit_sounds_by_url_and_none() -> None:
    driver = Driver()
    driver.enter("a", enter_sound="none")
    assert not driver.take(effects.PlaySound)
    driver.enter("b", enter_sound=DOOR, enter_sound_method="POST", exit_sound=DOOR)
    item = asked(driver.take(effects.PlaySound)[0].program)
    assert (item.callback, item.request.member.member_id) == (Callback(DOOR, "POST"), "2")
    driver.leave("b")
    assert asked(driver.take(effects.PlaySound)[0].program).callback == Callback(DOOR, "GET")


def dial(driver: Driver, *to: str, music: str = "real") -> Added:
    added = driver.do(
        AddParticipant(
            by=BY,
            mpc=MpcRef(name="room", uuid=MPC),
            participant=ParticipantParameters(role=Role.AGENT),
            parameters=MpcParameters(stay_alone=True),
            dial=DialParameters(from_="100", to=to, dial_music=music),
        )
    ).result
    assert isinstance(added, Added)
    return added


def test_ringing_is_heard_while_one_of_the_callees_rings() -> None:
    driver = Driver()
    driver.enter("a")
    added = dial(driver, "sip:x@test", "sip:y@test")
    assert not driver.take(effects.StartMusic), "nothing rings yet"
    x, y = (call.call_uuid for call in added.calls)
    driver.do(DialRang(added.request_uuid, x, "tone"))
    assert driver.take(effects.StartMusic) == [effects.StartMusic(MPC, hearing.DIALLING, RINGBACK)]
    driver.do(DialRang(added.request_uuid, y, "tone"))
    driver.do(DialEnded(added.request_uuid, x))
    assert not driver.take(effects.StopMusic)
    driver.do(DialRang(added.request_uuid, y, "none"))
    assert driver.take(effects.StopMusic) == [effects.StopMusic(MPC, hearing.DIALLING)]
    assert not hearing.RECORDED & hearing.DIALLING


def test_the_far_ends_own_sound_goes_before_the_tone() -> None:
    driver = Driver()
    driver.enter("a")
    added = dial(driver, "sip:x@test")
    call = added.calls[0].call_uuid
    driver.do(DialRang(added.request_uuid, call, "tone"))
    driver.effects.clear()
    driver.do(DialRang(added.request_uuid, call, "early"))
    assert effects.Rehear(MPC, ((call, hearing.Masks(hearing.DIALLING, 0)),)) in driver.effects
    assert effects.StopMusic(MPC, hearing.DIALLING) in driver.effects
    driver.effects.clear()
    driver.do(DialRang(added.request_uuid, call, "tone"))
    assert not driver.take(effects.StartMusic)


@pytest.mark.parametrize("music", ["none", WAIT])
def test_dial_music_none_and_url(music: str) -> None:
    driver = Driver()
    driver.enter("a")
    added = dial(driver, "sip:x@test", music=music)
    begun = driver.take(effects.StartMusic)
    assert [asked(one.program).callback.url for one in begun] == ([] if music == "none" else [WAIT])
    driver.do(DialRang(added.request_uuid, added.calls[0].call_uuid, "tone"))
    assert not driver.take(effects.StartMusic)
    driver.do(DialEnded(added.request_uuid, added.calls[0].call_uuid))
    assert len(driver.take(effects.StopMusic)) == len(begun)


def test_keys_are_passed_on_to_those_who_hear_the_member() -> None:
    driver = Driver()
    driver.enter("a")
    driver.enter("c", Role.CUSTOMER)
    driver.enter("s", Role.SUPERVISOR, relay_dtmf_inputs=True)
    driver.do(KeyPressed("a", "1"))
    assert not driver.take(effects.RelayKey), "it was not asked to"
    driver.do(KeyPressed("s", "5"))
    assert driver.take(effects.RelayKey) == [effects.RelayKey(("a",), "5")], "the customer does not hear a coach"
    hold(driver, True, "1")
    driver.effects.clear()
    driver.do(KeyPressed("s", "6"))
    assert not driver.take(effects.RelayKey)


def test_a_call_of_one_waits_for_the_second_when_told_so() -> None:
    driver = Driver(MpcParameters(create_mpc_with_single_participant=False, stay_alone=True))
    driver.enter("a")
    assert driver.state is not None and not driver.state.active
    driver.enter("b", start_mpc_on_enter=False)
    assert driver.state.active


def test_waiting_for_an_agent() -> None:
    driver = Driver()
    driver.enter("s", Role.SUPERVISOR)
    driver.enter("c", Role.CUSTOMER, wait_for_agent=True)
    assert driver.take(effects.Admit)[-1].masks == hearing.Masks(0, hearing.WAIT)
    driver.enter("a")
    (rehear,) = driver.take(effects.Rehear)
    assert [(call, bool(masks.hear & hearing.TALK)) for call, masks in rehear.changes] == [("c", True)]
    driver.leave("a")
    (rehear,) = driver.take(effects.Rehear)
    assert rehear.changes == (("c", hearing.Masks(0, hearing.WAIT)),)


def test_who_has_waited_long_enough_is_let_go() -> None:
    driver = Driver()
    driver.enter("c", Role.CUSTOMER, start_mpc_on_enter=False, wait_time=30)
    driver.enter("d", Role.CUSTOMER, start_mpc_on_enter=False)
    assert driver.take(effects.ArmWait) == [effects.ArmWait("1", 30.0)]
    driver.do(WaitedLongEnough("1"))
    (release,) = driver.take(effects.Release)
    assert (release.call_uuid, release.hangup_cause) == ("c", HangupCause.MPC_ENDED)
    driver.enter("a")
    driver.do(WaitedLongEnough("2"))
    assert not driver.take(effects.Release)


def test_speech_that_is_cut_off_by_leaving_is_told_as_over() -> None:
    driver = Driver(MpcParameters(status_callback=STATUS, status_callback_events=frozenset(EVENT_GROUPS)))
    driver.enter("a")
    driver.do(Speaking("a", True))
    driver.do(Speaking("a", True))
    driver.leave("a")
    assert driver.names()[-4:] == ["ParticipantSpeakStart", "ParticipantSpeakStop", "ParticipantExit", "MPCEnd"]


def test_a_later_maximum_duration_counts_from_the_begin_of_the_call() -> None:
    driver = Driver(MpcParameters(stay_alone=True))
    driver.enter("a")
    driver.take(effects.ArmTimer)
    driver.wait(100)
    driver.parameters = MpcParameters(max_duration=600)
    driver.enter("b")
    assert driver.take(effects.ArmTimer) == [effects.ArmTimer(500.0)]
    driver.parameters = MpcParameters(max_duration=900)
    driver.enter("c")
    assert not driver.take(effects.ArmTimer), "an explicit value stands"
