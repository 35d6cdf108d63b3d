"""The server in virtual time, driven through the official SDK and the fixture, as an application's developer would."""

from __future__ import annotations

import time

import pytest

from mixminus.testing.sources import tone, voice
from mixminus.testing.virtual.world import NotReached, World
from testing.virtual.kit import add, record


def test_a_coach_is_recorded_but_not_heard_by_the_customer(mixminus: World) -> None:
    customer, agent, boss = mixminus.phone("customer"), mixminus.phone("agent"), mixminus.phone("boss")
    add(mixminus, "agent", agent)
    add(mixminus, "customer", customer)
    add(mixminus, "supervisor", boss, coach_mode=True)
    mixminus.until("MPCStart")
    record(mixminus)
    mixminus.advance(1)
    customer.says(tone(440), seconds=3)
    boss.says(voice("supervisor"))
    mixminus.advance(minutes=30)
    mixminus.client.multi_party_calls.stop(friendly_name="room")
    mixminus.until("MPCRecordingCompleted")
    recording = mixminus.recording()
    assert recording.duration == 1801
    assert recording.contains(boss)
    assert recording.contains(customer).seconds == pytest.approx(3, abs=0.5)
    assert agent.heard(boss) and agent.heard(customer)
    assert not customer.heard(boss)
    assert boss.heard(customer).level == pytest.approx(-12, abs=0.5)
    assert [str(one.signature) for one in mixminus.received] == ["valid"] * len(mixminus.received)
    assert mixminus.seconds == pytest.approx(1801, abs=0.1)


def test_phones_reject_ring_out_are_busy_and_answer_late(mixminus: World) -> None:
    agent = mixminus.phone("agent")
    add(mixminus, "agent", agent)
    causes = {}
    for name, meets in (("busy", "is_busy"), ("no", "rejects"), ("deaf", "rings_out")):
        phone = mixminus.phone(name)
        getattr(phone, meets)()
        add(mixminus, "customer", phone, ring_timeout=20)
    late = mixminus.phone("late")
    late.answers(after=5)
    add(mixminus, "customer", late)
    assert late.state == "ringing"
    mixminus.advance(4.9)
    assert late.state == "ringing"
    mixminus.advance(0.2)
    assert late.in_call
    mixminus.advance(20)
    for exchange in mixminus.callbacks:
        fields = exchange.fields
        if exchange.url.endswith("/call") and "HangupCauseName" in fields:
            causes[fields["To"].removeprefix("sip:").split("@")[0]] = fields["HangupCauseName"]
    assert causes == {"busy": "Busy Line", "no": "Declined", "deaf": "Ring Timeout Reached"}


def test_keys_arrive_and_a_caller_reaches_the_application(mixminus: World) -> None:
    caller = mixminus.phone("caller")
    url = mixminus.app.url
    mixminus.app.answer(
        "/answer",
        f'<Response><GetDigits action="{url("/menu")}" numDigits="2" timeout="10"/></Response>',
    )
    mixminus.app.answer("/menu", "<Response><Hangup/></Response>")
    caller.calls("5000")
    assert caller.in_call
    caller.presses("42")
    mixminus.until(lambda: any(one.path == "/menu" for one in mixminus.received), seconds=15)
    menu = next(one for one in mixminus.received if one.path == "/menu")
    assert menu.parameters["Digits"] == "42"
    mixminus.until(lambda: caller.line.state == "idle")


def test_what_does_not_come_is_said(mixminus: World) -> None:
    with pytest.raises(NotReached, match=r"MPCEnd \(x1\) did not come within 86400 s"):
        mixminus.until("MPCEnd", hours=24, seconds=0)
    assert mixminus.seconds == 86400


def test_a_callback_is_tried_again_when_its_time_has_come(mixminus: World) -> None:
    mixminus.app.fail("/status", times=1)
    add(mixminus, "agent", mixminus.phone("agent"), stay_alone=True)
    assert [one.status for one in mixminus.callbacks if one.url.endswith("/status")] == [503]
    mixminus.advance(minutes=5)
    attempts = [one for one in mixminus.callbacks if one.url.endswith("/status")]
    assert [one.status for one in attempts[:2]] == [503, 200]
    assert attempts[0].event_id == attempts[1].event_id
    assert (attempts[1].at - attempts[0].at).total_seconds() >= 1


def test_a_recording_fails_when_told_to(mixminus: World) -> None:
    agent, customer = mixminus.phone("agent"), mixminus.phone("customer")
    add(mixminus, "agent", agent)
    add(mixminus, "customer", customer)
    record(mixminus)
    mixminus.recordings_fail("the disk is full")
    mixminus.advance(2)
    mixminus.client.multi_party_calls.stop_recording(friendly_name="room")
    mixminus.until("MPCRecordingFailed")
    assert not mixminus.recordings


def test_lost_packets_are_concealed_and_the_talker_still_heard(mixminus: World) -> None:
    agent, customer = mixminus.phone("agent"), mixminus.phone("customer")
    add(mixminus, "agent", agent)
    add(mixminus, "customer", customer)
    customer.loses(0.05)
    customer.says(voice("customer"))
    mixminus.advance(5)
    assert agent.heard(customer).seconds > 3
    with pytest.raises(ValueError, match="0 to 1"):
        customer.loses(7)


def test_the_timeline_shows_who_spoke_to_whom(mixminus: World) -> None:
    agent, customer = mixminus.phone("agent"), mixminus.phone("customer")
    add(mixminus, "agent", agent)
    add(mixminus, "customer", customer)
    record(mixminus)
    mixminus.advance(1)
    customer.says(tone(440), seconds=2)
    mixminus.advance(4)
    timeline = mixminus.timeline()
    lanes = {lane.name: lane.spans for lane in timeline.lanes}
    assert [round(value) for value in lanes["customer"][0]] == [1, 3]
    assert [round(value) for value in lanes["  heard by agent"][0]] == [1, 3]
    assert [round(value) for value in lanes["recording 1"][0]] == [0, 5]
    text = timeline.text()
    assert "customer said" in text and "##" in text and "MPCRecordingInitiated" in text
    assert timeline.svg().startswith("<svg")


def test_time_may_flow_by_itself(mixminus: World) -> None:
    phone = mixminus.phone("agent")
    phone.answers(after=3)
    add(mixminus, "agent", phone, stay_alone=True)
    limit = time.monotonic() + 40
    with mixminus.flowing():
        while not phone.in_call and time.monotonic() < limit:
            time.sleep(0.005)
    assert phone.in_call
    assert mixminus.seconds >= 3
