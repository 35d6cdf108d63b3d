"""Receivers of callbacks that are dead, slow or failing delay nobody else, and get everything in order."""

from __future__ import annotations

import pytest

from mixminus.testing.virtual.world import World
from testing.virtual.kit import add, record


def test_a_dead_and_a_slow_receiver_delay_nobody_else(mixminus: World) -> None:
    agent, customer = mixminus.phone("agent"), mixminus.phone("customer")
    mixminus.unreachable("http://127.0.0.1:1/")
    add(mixminus, "agent", agent, name="dead", status_callback_url="http://127.0.0.1:1/status", stay_alone=True)
    assert agent.in_call
    mixminus.app.slow("/recording", 4)
    add(mixminus, "customer", customer, name="slow", stay_alone=True)
    record(mixminus, name="slow")
    mixminus.advance(0.5)
    mixminus.client.multi_party_calls.stop(friendly_name="slow")
    mixminus.until("MPCEnd", seconds=1)
    assert "MPCRecordingInitiated" not in mixminus.events, "its receiver thinks for four seconds"
    mixminus.until("MPCRecordingCompleted", seconds=8)
    assert mixminus.seconds == pytest.approx(8, abs=0.1), "one after the other"
    assert agent.in_call


def test_an_answer_that_comes_too_late_is_none(mixminus: World) -> None:
    app, caller = mixminus.app, mixminus.phone("caller")
    app.answer("/answer", "<Response><GetDigits timeout='30'/></Response>")
    app.slow("/answer", 3600)
    caller.calls("5000")
    mixminus.until(lambda: caller.state == "idle", minutes=5)
    asked = [one for one in mixminus.callbacks if one.url.endswith("/answer")]
    assert {(one.status, "no answer in time" in one.answer) for one in asked} == {(0, True)}
    app.slow("/answer", 2)
    begun = mixminus.seconds
    caller.calls("5000")
    mixminus.until(lambda: caller.in_call)
    assert mixminus.seconds == pytest.approx(begun + 2, abs=0.1)


def test_a_failing_receiver_gets_everything_in_order_once_it_is_well(mixminus: World) -> None:
    app, agent = mixminus.app, mixminus.phone("agent")
    app.fail("/status", status=503, times=2)
    add(mixminus, "agent", agent, status_callback_url=app.url("/status#rc=3&rp=all"))
    mixminus.until("MPCStart")
    app.fail("/status", status=503, times=2)
    mixminus.client.multi_party_calls.stop(friendly_name="room")
    mixminus.until("MPCEnd")
    assert app.events("/status") == ["MPCInitialized", "ParticipantJoin", "MPCStart", "ParticipantExit", "MPCEnd"]
    assert [one.answered for one in mixminus.received if one.path == "/status"].count(503) == 4
