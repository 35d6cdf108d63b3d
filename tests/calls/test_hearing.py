from __future__ import annotations

import itertools

import pytest

from mixminus.calls.hearing import MUSIC, RECORDED, Masks, Standing, hears, masks
from mixminus.calls.model import Role

STANDINGS = [
    Standing(role=role, coach_mode=coach, mute=mute, hold=hold, waiting=waiting)
    for role in Role
    for coach, mute, hold, waiting in itertools.product((False, True), repeat=4)
    if role is Role.SUPERVISOR or not coach
]


def allowed(listener: Standing, source: Standing) -> bool:
    """The rule in words: what the API page says of roles, coach mode, mute and hold."""
    in_talk = not (listener.hold or listener.waiting or source.hold or source.waiting or source.mute)
    coaching = source.role is Role.SUPERVISOR and source.coach_mode
    return in_talk and (not coaching or listener.role in (Role.AGENT, Role.AI_AGENT))


@pytest.mark.parametrize("source", STANDINGS, ids=repr)
def test_every_pair_hears_as_the_rule_says(source: Standing) -> None:
    for listener in STANDINGS:
        assert hears(masks(listener), masks(source)) is allowed(listener, source), (listener, source)


@pytest.mark.parametrize("source", STANDINGS, ids=repr)
def test_the_recording_hears_every_voice_and_no_music(source: Standing) -> None:
    voice = not (source.mute or source.hold or source.waiting)
    assert hears(Masks(0, RECORDED), masks(source)) is voice
    assert not any(RECORDED & channel for channel in MUSIC)


def test_held_and_waiting_members_hear_music_and_nothing_else() -> None:
    for standing in STANDINGS:
        if standing.hold or standing.waiting:
            assert masks(standing).hear in MUSIC
            assert masks(standing).talk == 0
    assert masks(Standing(role=Role.AGENT, hold=True)).hear != masks(Standing(role=Role.CUSTOMER, hold=True)).hear
