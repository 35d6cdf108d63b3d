"""Multiparty calls as phones hear them: mutes, holds, coaches, documents and endpoints."""

from __future__ import annotations

import pytest

from mixminus.testing.virtual.world import World
from testing.virtual.kit import add, call_in, hears, humming, members

AGENT, CUSTOMER, COACH = 440, 620, 880
TONES = (AGENT, CUSTOMER, COACH)


def test_mute_hold_and_leaving_coach_mode_change_who_is_heard(mixminus: World) -> None:
    agent, customer = humming(mixminus, "agent", AGENT), humming(mixminus, "customer", CUSTOMER)
    coach = humming(mixminus, "coach", COACH)
    add(mixminus, "agent", agent)
    add(mixminus, "customer", customer)
    add(mixminus, "supervisor", coach, coach_mode=True)
    member = members(mixminus)

    def update(role: str, **parameters: bool) -> None:
        mixminus.client.multi_party_calls.update_participant(
            friendly_name="room", participant_id=member[role], **parameters
        )

    update("customer", mute=True)
    hears(mixminus, agent, {COACH}, TONES)
    hears(mixminus, customer, {AGENT}, TONES)
    update("customer", mute=False)
    hears(mixminus, agent, {CUSTOMER, COACH}, TONES)
    update("supervisor", coach_mode=False)
    hears(mixminus, customer, {AGENT, COACH}, TONES)
    update("customer", hold=True)
    hears(mixminus, agent, {COACH}, TONES)
    hears(mixminus, customer, set(), TONES)
    mixminus.client.multi_party_calls.kick_participant(friendly_name="room", participant_id=member["customer"])
    assert customer.state == "idle"
    mixminus.client.multi_party_calls.stop(friendly_name="room")
    mixminus.until("MPCEnd")
    told = [one for one in mixminus.events if one.startswith("Participant")][3:]
    assert told == [
        "ParticipantMute",
        "ParticipantUnmute",
        "ParticipantCoachModeStop",
        "ParticipantHold",
        "ParticipantExit",
        "ParticipantExit",
        "ParticipantExit",
    ]


def test_an_inbound_call_is_put_in_by_its_answer_document(mixminus: World) -> None:
    caller, agent = humming(mixminus, "caller", CUSTOMER, codecs=("PCMA",)), humming(mixminus, "agent", AGENT)
    status = mixminus.app.url("/status")
    call_in(
        mixminus,
        caller,
        f'<MultiPartyCall role="customer" enterSound="none" statusCallbackUrl="{status}">room</MultiPartyCall>',
    )
    add(mixminus, "agent", agent)
    hears(mixminus, caller, {AGENT}, TONES)
    hears(mixminus, agent, {CUSTOMER}, TONES)
    asked = next(one for one in mixminus.received if one.path == "/answer")
    assert (asked.parameters["Direction"], asked.signature.valid) == ("inbound", True)
    caller.hangs_up()
    mixminus.until("MPCEnd")
    assert agent.state == "idle"


def test_an_inbound_call_whose_document_is_broken_ends(mixminus: World) -> None:
    mixminus.app.answer("/answer", "<Response><MultiParty")
    caller = mixminus.phone("caller")
    caller.calls("5000")
    assert caller.refusal >= 400
    assert caller.state == "idle"


def test_a_registered_endpoint_is_reached_by_its_name(mixminus: World) -> None:
    endpoint = mixminus.client.endpoints.create(username="alice", password="secret-1", alias="Alice")
    phone, other = humming(mixminus, "alice", AGENT), humming(mixminus, "bob", CUSTOMER)
    phone.registers(endpoint.username, "wrong")
    assert phone.refusal == 401
    phone.registers(endpoint.username, "secret-1")
    assert phone.refusal == 0
    mixminus.advance(hours=2)  # it stays registered
    add(mixminus, "agent", f"sip:{endpoint.username}@{mixminus.address.sip}")
    assert phone.in_call
    add(mixminus, "customer", other)
    hears(mixminus, phone, {CUSTOMER}, TONES)
    mixminus.client.multi_party_calls.stop(friendly_name="room")
    assert phone.state == "idle"


@pytest.mark.parametrize("holder", ["agent", "customer"])
def test_a_phone_that_holds_and_resumes_is_heard_again(mixminus: World, holder: str) -> None:
    agent, customer = humming(mixminus, "agent", AGENT), humming(mixminus, "customer", CUSTOMER)
    add(mixminus, "agent", agent)
    add(mixminus, "customer", customer)
    phone, other = (agent, customer) if holder == "agent" else (customer, agent)
    own, others = (AGENT, CUSTOMER) if holder == "agent" else (CUSTOMER, AGENT)
    hears(mixminus, phone, {others}, TONES)
    phone.holds()
    mixminus.advance(0.2)
    begun = mixminus.seconds
    mixminus.advance(minutes=1)
    assert not phone.samples(since=begun).any(), "nothing is sent to who holds"
    hears(mixminus, other, {own}, TONES)
    phone.resumes()
    assert phone.refusal == 0
    hears(mixminus, phone, {others}, TONES)
    hears(mixminus, other, {own}, TONES)
