"""Calls into a multiparty call, as phones meet them and as the application is told."""

from __future__ import annotations

from mixminus.testing.virtual.world import World
from testing.virtual.kit import add


def test_a_busy_phone_is_told_as_busy(mixminus: World) -> None:
    busy = mixminus.phone("busy")
    busy.is_busy()
    add(mixminus, "agent", busy)
    mixminus.advance(1)
    (told,) = (one for one in mixminus.received if one.path == "/call" and one.parameters.get("CallStatus") == "busy")
    assert told.parameters["HangupCauseCode"] == "3010"
    assert told.signature.valid


def test_keys_are_told_one_by_one(mixminus: World) -> None:
    agent, customer = mixminus.phone("agent"), mixminus.phone("customer")
    events = "mpc-state-changes,participant-state-changes,participant-digit-input-events"
    add(mixminus, "agent", agent, status_callback_events=events)
    add(mixminus, "customer", customer, status_callback_events=events)
    customer.presses("12#")
    mixminus.until("ParticipantDigitInput", count=3)
    digits = [one.parameters["DigitInput"] for one in mixminus.received if one.event == "ParticipantDigitInput"]
    assert digits == ["1", "2", "#"]
    mixminus.client.multi_party_calls.stop(friendly_name="room")
    mixminus.until("MPCEnd")
