"""Offers and answers of one leg, in their order."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from mixminus.calls.negotiation import Care, Negotiation, signalled
from mixminus.sdp.answer import NoCommonCodec, make_offer
from mixminus.sdp.description import parse_description

LOCAL = ("192.0.2.1", 20_000)
PEER = ("198.51.100.1", 4000)


def offer(*codecs: str) -> bytes:
    return make_offer(host=PEER[0], port=PEER[1], session_id=7, version=1, codecs=codecs)  # type: ignore[arg-type]


def version(sdp: bytes) -> int:
    return int(parse_description(sdp).version)


def test_an_offer_is_checked_without_an_address_and_answered_with_one() -> None:
    session = Negotiation(9, ("PCMA", "PCMU"), offer("PCMA"))
    assert session.check().remote == PEER
    body, plan = session.answer(LOCAL)
    assert (plan.codec, plan.remote) == ("PCMA", PEER)
    assert b"m=audio 20000" in body
    assert session.answer(LOCAL)[0] == body


def test_a_new_offer_raises_the_version_and_one_refused_leaves_all_as_it_was() -> None:
    session = Negotiation(9, ("PCMU",), offer("PCMU"))
    first, _ = session.answer(LOCAL)
    with pytest.raises(NoCommonCodec):
        session.answer_again(offer("G722"), LOCAL)
    assert session.answer(LOCAL)[0] == first
    again, _ = session.answer_again(offer("PCMU"), LOCAL)
    assert version(again) == version(first) + 1
    assert session.answer(LOCAL)[0] == again


def test_a_late_offer_expects_its_answer_once() -> None:
    session = Negotiation(9, ("G722", "PCMU"))
    assert not session.answer_expected
    body = session.make_late_offer(LOCAL)
    assert session.answer_expected and session.offer == body
    assert session.read_answer(offer("PCMU")).codec == "PCMU"
    assert not session.answer_expected


def test_an_answer_that_cannot_be_used_is_not_waited_for_again() -> None:
    session = Negotiation(9, ("PCMU",))
    session.make_late_offer(LOCAL)
    with pytest.raises(NoCommonCodec):
        session.read_answer(offer("G722"))
    assert not session.answer_expected


@pytest.mark.parametrize(
    ("setting", "with_events", "without"),
    [
        ("off", False, False),
        ("auto", False, True),
        ("always", True, True),
    ],
)
def test_keys_are_looked_for_in_the_sound_as_the_setting_says(
    setting: Literal["off", "auto", "always"], with_events: bool, without: bool
) -> None:
    care = Care(comfort_noise=True, inband_dtmf=setting)
    plan = Negotiation(9, ("PCMU",), offer("PCMU")).check()
    for payload_type, expected in ((101, with_events), (None, without)):
        signal = signalled("leg", replace(plan, dtmf_payload_type=payload_type), "", 0.0, care)
        assert (signal.inband_keys, signal.comfort_noise) == (expected, True)
    plain = signalled("leg", replace(plan, dtmf_payload_type=None), "", 0.0)
    assert (plain.inband_keys, plain.comfort_noise) == (False, False)


def test_only_hosts_that_signalled_may_claim_a_leg() -> None:
    plan = Negotiation(9, ("PCMU",), offer("PCMU")).check()
    assert signalled("leg", plan, "203.0.113.5", 0.0).latch_hosts == (PEER[0], "203.0.113.5")
    assert signalled("leg", plan, PEER[0], 0.0).latch_hosts == (PEER[0],)
    assert signalled("leg", plan, "", 30.0).latch_hosts == (PEER[0],)
