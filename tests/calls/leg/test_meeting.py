"""Conference as the leg sees it: in, keys, floor, out by every way."""

from __future__ import annotations

from calls.kit import BY
from calls.leg.kit import APP, Driver, inbound
from mixminus.calls import effects
from mixminus.calls.commands import Callback
from mixminus.calls.inputs import Gone
from mixminus.calls.leg.effects import JoinConference, LeaveConference, Seat
from mixminus.calls.leg.inputs import ConferenceJoined, ConferenceLeft, SpeakingOnLeg, TransferCall

ADMITTED = ConferenceJoined(True, "u", "7")
PARAMETERS = {"ConferenceName": "den", "ConferenceUUID": "u", "ConferenceMemberID": "7"}


def meeting(attributes: str = "", *, admitted: bool = True) -> Driver:
    leg = inbound(
        f'<Conference action="{APP}/left" callbackUrl="{APP}/c" {attributes}>den</Conference><Wait length="9"/>',
        answered=True,
    )
    assert leg.last(JoinConference).element.name == "den"
    if admitted:
        leg.do(ADMITTED)
    return leg


def actions(leg: Driver) -> list[str]:
    return [event.own["ConferenceAction"] for event in leg.told("StatusChange")]


def test_in_and_out_are_told_and_the_action_continues_the_call() -> None:
    leg = meeting('timeLimit="60" sendDigits="1"')
    assert leg.timer("element") == 60
    assert leg.last(effects.SendDigits) == effects.SendDigits("1")
    assert leg.row is not None and leg.row.conference_uuid == "u"
    leg.do(ConferenceLeft())
    assert leg.fetch() == (f"{APP}/left", PARAMETERS)
    assert actions(leg) == ["enter", "exit"]


def test_who_is_not_admitted_goes_on() -> None:
    leg = meeting('redirect="false"', admitted=False)
    leg.do(ConferenceJoined(False, reason="full"))
    assert leg.timer("element") == 9
    assert actions(leg) == []


def test_the_time_limit_and_star_lead_out_and_into_the_own_room() -> None:
    leg = meeting()
    leg.elapse()
    assert leg.last(LeaveConference)
    assert leg.last(Seat).room == "call:c"
    leg = meeting('hangupOnStar="true"')
    leg.press("*")
    assert leg.phase == "fetching"
    leg = meeting()
    leg.press("*")
    assert leg.phase == "running"


def test_patterns_and_the_floor_are_told() -> None:
    leg = meeting('digitsMatch="12" floorEvent="true"')
    leg.press("312")
    leg.do(SpeakingOnLeg(True), SpeakingOnLeg(False))
    assert actions(leg) == ["enter", "digits", "floor"]
    assert leg.told("StatusChange")[1].own["ConferenceDigitsMatch"] == "12"


def test_a_member_that_is_hung_up() -> None:
    leg = meeting()
    leg.do(ConferenceLeft(hangup=True))
    assert leg.outcome() == ("completed", 4000, "API Request")
    assert leg.told("Redirect")[0].own == PARAMETERS


def test_a_member_that_hangs_up_or_is_transferred_leaves() -> None:
    leg = meeting()
    leg.do(Gone())
    assert leg.last(LeaveConference)
    assert actions(leg) == ["enter", "exit"]
    leg = meeting()
    leg.do(TransferCall(by=BY, call_uuid="c", aleg=Callback(f"{APP}/a")))
    assert leg.last(LeaveConference)
    assert leg.last(Seat).room == "call:c"
    assert leg.fetch()[0] == f"{APP}/a"


def test_an_admission_that_comes_too_late_is_given_back() -> None:
    leg = meeting(admitted=False)
    leg.do(TransferCall(by=BY, call_uuid="c", aleg=Callback(f"{APP}/a")))
    leg.effects.clear()
    leg.do(ADMITTED)
    assert leg.last(LeaveConference)
    assert leg.last(Seat).room == "call:c"
