"""Dial from both sides: who rings, who is connected, who is told, and what the API can do to them."""

from __future__ import annotations

from typing import Any

import pytest

from calls.kit import BY
from calls.leg.kit import APP, Driver, callee, inbound, placed
from mixminus.calls import effects
from mixminus.calls.commands import Callback
from mixminus.calls.effects import BeginTap
from mixminus.calls.inputs import Answered, Gone, HangUp, PickedUp, Rang, Refused, TimedOut
from mixminus.calls.leg.effects import (
    Confirm,
    EarlyMedia,
    PlaceOrder,
    Seat,
    StartPrompt,
    StopPrompt,
    Tell,
)
from mixminus.calls.leg.inputs import (
    CalleeEnded,
    CalleeKey,
    CalleeRang,
    CalleeReady,
    Connected,
    EarlyMediaUp,
    PlayOnCall,
    SendDigitsOnCall,
    SentElsewhere,
    TransferCall,
)
from mixminus.calls.leg.rooms import ASIDE_A, ASIDE_B, HEAR_A, HEAR_B, TALK, private_room
from mixminus.calls.model import CallStatus, HangupCause, HangupSource
from mixminus.calls.sounds.program import RINGBACK, BuiltIn
from mixminus.errors import Conflict

TARGETS = "<Number>111</Number><User>sip:bob@b.test</User>"
WAIT = '<Wait length="9"/>'


def dialled(attributes: str = "", *, answered: bool = False, targets: str = TARGETS) -> tuple[Driver, list[str]]:
    """A caller whose document dials, and the call uuids it dials."""
    before = "<GetDigits numDigits='1'/>" if answered else ""
    text = f'{before}<Dial action="{APP}/dialled" callbackUrl="{APP}/dial" {attributes}>{targets}</Dial>{WAIT}'
    leg = inbound(text, answered=answered)
    if answered:
        leg.press("1")
    return leg, [effect.call_uuid for effect in leg.effects if isinstance(effect, PlaceOrder)]


def ended(call_uuid: str, status: CallStatus = CallStatus.COMPLETED, **more: Any) -> CalleeEnded:
    given = {"cause": HangupCause.NORMAL_HANGUP, "source": HangupSource.CALLEE, **more}
    return CalleeEnded(call_uuid=call_uuid, status=status, **given)


def actions(leg: Driver) -> list[str]:
    return [event.own["DialAction"] for event in leg.told("StatusChange")]


def connected(attributes: str = "", *, answered: bool = True) -> tuple[Driver, str]:
    leg, (first, _) = dialled(attributes, answered=answered)
    leg.do(CalleeReady(first))
    return leg, first


def test_everybody_is_rung_as_the_document_says() -> None:
    leg, _ = dialled(
        'callerId="555" callerName="Shop" timeout="20" sipHeaders="a=1"',
        targets='<Number sendDigits="9" sipHeaders="b=2">111</Number>'
        '<User callerId="sip:x@y.test" sipAuthUsername="u" sipAuthPassword="p">sip:bob@b.test</User>',
    )
    first, second = [effect.origin for effect in leg.effects if isinstance(effect, PlaceOrder)]
    assert (first.to, first.from_, first.caller_name, first.send_digits) == ("111", "555", "Shop", "9")
    assert (first.parent, first.room, first.rivals) == ("c", private_room("c"), True)
    assert dict(first.sip_headers) == {"a": "1", "b": "2"}
    assert (second.from_, second.credentials) == ("sip:x@y.test", ("u", "p"))
    assert leg.timer("element") == 20


def test_an_unanswered_caller_is_answered_when_somebody_is() -> None:
    leg, (first, second) = dialled()
    assert "PickUp" not in leg.kinds()
    leg.do(CalleeRang(first), CalleeReady(second))
    assert Tell(first, HangUp(HangupCause.LOST_RACE, HangupSource.PLIVO)) in leg.effects
    leg.do(PickedUp())
    assert leg.last(Tell) == Tell(second, Connected(private_room("c")))
    assert leg.last(Seat) == Seat(private_room("c"), TALK, HEAR_A)
    assert leg.timer("element") == 14_400
    assert actions(leg) == ["answer", "connected"]


def test_an_answered_caller_hears_ringing_until_the_far_end_rings_itself() -> None:
    leg, (first, _) = dialled(answered=True)
    ringing = leg.last(StartPrompt)
    assert (ringing.program, ringing.loop, ringing.talk) == (RINGBACK, True, ASIDE_A)
    leg.do(CalleeRang(first))
    assert StopPrompt(ringing.player) not in leg.effects
    leg.do(CalleeRang(first, early=True))
    assert StopPrompt(ringing.player) in leg.effects


def test_dial_music_is_heard_before_the_answer() -> None:
    leg, (first, _) = dialled(f'dialMusic="{APP}/music"')
    assert leg.last(EarlyMedia)
    leg.do(EarlyMediaUp())
    music = leg.last(StartPrompt)
    assert music.loop
    leg.do(CalleeReady(first))
    assert StopPrompt(music.player) in leg.effects


def test_the_callees_end_is_told_and_the_action_continues_the_call() -> None:
    leg, first = connected()
    leg.do(ended(first, talked=61))
    url, own = leg.fetch()
    assert url == f"{APP}/dialled"
    assert (own["DialStatus"], own["DialBLegUUID"], own["DialALegUUID"]) == ("completed", first, "c")
    last = leg.told("StatusChange")[-1].own
    assert (last["DialAction"], last["DialBLegDuration"], last["DialBLegBillDuration"]) == ("hangup", "61", "120")


@pytest.mark.parametrize(
    ("status", "word"),
    [(CallStatus.BUSY, "busy"), (CallStatus.NO_ANSWER, "no-answer"), (CallStatus.FAILED, "failed")],
)
def test_nobody_left_has_the_last_ones_status(status: CallStatus, word: str) -> None:
    leg, (first, second) = dialled('redirect="false"')
    leg.do(ended(first, CallStatus.FAILED), ended(second, status))
    (told,) = leg.told("Redirect")
    assert told.own["DialStatus"] == word
    assert leg.timer("element") == 9


def test_nobody_in_time() -> None:
    leg, (first, second) = dialled()
    leg.do(CalleeRang(first))
    leg.elapse()
    hangup = HangUp(HangupCause.RING_TIMEOUT, HangupSource.PLIVO)
    assert Tell(first, hangup) in leg.effects and Tell(second, hangup) in leg.effects
    own = leg.fetch()[1]
    assert (own["DialStatus"], own["DialRingStatus"]) == ("timeout", "true")


def test_the_time_limit_ends_the_connection() -> None:
    leg, first = connected('timeLimit="60"')
    assert leg.timer("element") == 60
    leg.elapse()
    assert Tell(first, HangUp(HangupCause.SCHEDULED_HANGUP, HangupSource.PLIVO)) in leg.effects
    assert leg.fetch()[1]["DialStatus"] == "completed"


def test_a_caller_who_hangs_up_takes_the_callees_along() -> None:
    leg, (first, second) = dialled()
    leg.do(Gone())
    told = [effect.call_uuid for effect in leg.effects if isinstance(effect, Tell)]
    assert told == [first, second]
    assert leg.told("Redirect")[0].own["DialStatus"] == "cancel"


def test_star_hangs_the_callee_up_if_wanted() -> None:
    leg, first = connected()
    leg.press("*")
    assert leg.phase == "running"
    leg, first = connected('hangupOnStar="true"')
    leg.press("*")
    assert Tell(first, HangUp(HangupCause.NORMAL_HANGUP, HangupSource.PLIVO)) in leg.effects
    assert leg.phase == "fetching"


def test_digit_patterns_of_both_sides_are_told() -> None:
    leg, first = connected('digitsMatch="12,9" digitsMatchBLeg="7"')
    leg.press("3124")
    leg.do(CalleeKey(first, "7"), CalleeKey("stranger", "7"))
    told = [event.own for event in leg.told("StatusChange") if event.own["DialAction"] == "digits"]
    assert [(own["DialDigitsMatch"], own["DialDigitsPressedBy"]) for own in told] == [("12", "ALeg"), ("7", "BLeg")]


def test_a_recording_can_wait_for_the_dial_to_be_answered() -> None:
    text = f'<Record startOnDialAnswer="true" callbackUrl="{APP}/r"/><Dial><Number>1</Number></Dial>'
    leg = inbound(text, answered=True)
    (order,) = [effect for effect in leg.effects if isinstance(effect, PlaceOrder)]
    assert not [effect for effect in leg.effects if isinstance(effect, BeginTap)]
    leg.do(CalleeReady(order.call_uuid))
    assert leg.last(BeginTap).heard


# -- the callee ----------------------------------------------------------------------------------------------------


def test_a_callee_is_ready_connected_and_gone() -> None:
    leg = callee()
    assert leg.last(effects.PlaceCall).room == private_room("a")
    leg.do(Rang(), Answered())
    tells = [effect.message for effect in leg.effects if isinstance(effect, Tell)]
    assert tells == [CalleeRang("b"), CalleeReady("b")]
    leg.do(Connected(private_room("a")))
    assert leg.last(Seat) == Seat(private_room("a"), TALK, HEAR_B)
    leg.press("5")
    assert leg.last(Tell) == Tell("a", CalleeKey("b", "5"))
    leg.wait(5)
    leg.do(Gone())
    told = leg.last(Tell)
    assert isinstance(told.message, CalleeEnded)
    assert (told.message.talked, told.message.status) == (5, CallStatus.COMPLETED)
    assert leg.row is not None and leg.row.parent_call_uuid == "a"


def test_a_busy_callee_says_so() -> None:
    leg = callee()
    leg.do(Refused(486))
    message = leg.last(Tell).message
    assert isinstance(message, CalleeEnded) and message.status is CallStatus.BUSY


def test_the_key_is_asked_for_where_nobody_else_hears_it() -> None:
    leg = callee(confirm=Confirm("1", (BuiltIn("beep:1"),), 12.0))
    leg.do(Answered())
    assert leg.last(Seat).room == private_room("b")
    assert leg.timer("element") == 12
    prompt = leg.last(StartPrompt)
    leg.press("2")
    assert leg.phase == "confirming"
    leg.press("1")
    assert StopPrompt(prompt.player) in leg.effects
    assert leg.last(Tell).message == CalleeReady("b")


def test_a_key_that_is_never_pressed_fails_the_call() -> None:
    leg = callee(confirm=Confirm("1"))
    leg.do(Answered(), TimedOut("element"))
    assert leg.outcome() == ("completed", 9110, "Plivo")


def test_digits_are_sent_early_if_wanted_and_possible() -> None:
    leg = callee(send_digits="7", send_on_preanswer=True)
    leg.do(Rang())
    assert not leg.take(effects.SendDigits)
    leg.do(Rang(early=True))
    assert leg.take(effects.SendDigits) == [effects.SendDigits("7")]
    leg.do(Answered())
    assert not leg.take(effects.SendDigits)


# -- placed over the API -------------------------------------------------------------------------------------------


def test_a_placed_call_fetches_its_document_when_it_is_answered() -> None:
    leg = placed(answer=Callback(f"{APP}/answer"), ring=Callback(f"{APP}/ring"), time_limit=99.0, hangup_on_ring=4.0)
    leg.do(Rang())
    assert leg.timer("on_ring") == 4
    assert [event.name for event in leg.events if hasattr(event, "direction")] == ["Ring"]
    leg.do(Answered())
    assert leg.timer("on_ring") is None
    assert leg.timer("limit") == 99
    assert leg.fetch()[0] == f"{APP}/answer"
    leg.do(TimedOut("limit"))
    assert leg.outcome() == ("completed", 6000, "Plivo")


def test_a_call_hung_up_on_ring_never_talks() -> None:
    leg = placed(hangup_on_ring=0.0)
    leg.do(Rang(), TimedOut("on_ring"))
    assert leg.outcome() == ("cancel", 6000, "API Request")


# -- over the API --------------------------------------------------------------------------------------------------


def test_transfer_of_both_sides_sends_each_its_way() -> None:
    leg, first = connected()
    leg.effects.clear()
    leg.do(TransferCall(by=BY, call_uuid="c", legs="both", aleg=Callback(f"{APP}/a"), bleg=Callback(f"{APP}/b")))
    assert [effect for effect in leg.effects if isinstance(effect, Tell)] == [
        Tell(first, SentElsewhere(Callback(f"{APP}/b")))
    ]
    assert leg.fetch()[0] == f"{APP}/a"
    other = callee()
    other.do(Answered(), Connected(private_room("a")), SentElsewhere(Callback(f"{APP}/b")))
    assert other.fetch()[0] == f"{APP}/b"
    assert other.last(Seat) == Seat(private_room("b"), TALK, HEAR_A)
    assert isinstance(other.last(Tell).message, CalleeEnded)


def test_transfer_of_one_side_ends_the_connection() -> None:
    leg, first = connected()
    leg.do(TransferCall(by=BY, call_uuid="c", aleg=Callback(f"{APP}/a")))
    assert leg.last(Tell) == Tell(first, HangUp(HangupCause.NORMAL_HANGUP, HangupSource.PLIVO))
    leg, first = connected()
    leg.do(TransferCall(by=BY, call_uuid="c", legs="bleg", bleg=Callback(f"{APP}/b")))
    leg.do(ended(first))
    assert leg.fetch()[0] == f"{APP}/dialled"


def test_there_must_be_another_side() -> None:
    leg = inbound("<GetDigits/>", answered=True)
    with pytest.raises(Conflict, match="no bleg"):
        leg.do(TransferCall(by=BY, call_uuid="c", legs="bleg", bleg=Callback(f"{APP}/b")))
    with pytest.raises(Conflict, match="no bleg"):
        leg.do(SendDigitsOnCall(by=BY, call_uuid="c", digits="1", legs="both"))


def test_play_is_heard_by_the_side_that_is_named_and_can_silence_the_other() -> None:
    leg, _ = connected()
    leg.do(PlayOnCall(by=BY, call_uuid="c", kind="play", program=(BuiltIn("beep:1"),), legs="bleg"))
    assert leg.last(StartPrompt).talk == ASIDE_B
    leg.do(PlayOnCall(by=BY, call_uuid="c", kind="play", program=(BuiltIn("beep:1"),), mix=False, length=5))
    assert leg.last(Seat) == Seat(private_room("c"), TALK, HEAR_A & ~TALK)
    assert leg.timer("play") == 5
    leg.do(TimedOut("play"))
    assert leg.last(Seat) == Seat(private_room("c"), TALK, HEAR_A)
    assert leg.last(StopPrompt) == StopPrompt("c:play")
