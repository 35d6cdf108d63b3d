"""Gain control and comfort noise, by setting and for one participant, as phones hear them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mixminus.testing.virtual.phones import Phone
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add


def bursts(seconds: float) -> NDArray[np.int16]:
    """A quiet tone, on and off as words are."""
    t = np.arange(round(seconds * 8000)) / 8000
    sound: NDArray[np.int16] = np.rint(500 * np.sin(2 * np.pi * 440 * t) * (t % 1.5 < 1.0)).astype(np.int16)
    return sound


def loudest(world: World, phone: Phone, seconds: float) -> int:
    """Highest sample that came to a phone in the last seconds."""
    return int(np.abs(phone.samples(since=world.seconds - seconds)).max())


@pytest.mark.mixminus(agc=True)
def test_agc_by_setting_and_off_for_one_participant(mixminus: World) -> None:
    quiet, listener = mixminus.phone("quiet"), mixminus.phone("listener")
    add(mixminus, "agent", quiet)
    add(mixminus, "customer", listener)
    mixminus.advance(seconds=1)
    quiet.says(bursts(30))
    mixminus.advance(seconds=10)
    assert loudest(mixminus, listener, 3) > 1500
    members = mixminus.client.multi_party_calls.list_participants(friendly_name="room")["objects"]
    (member,) = (each["member_id"] for each in members if each["role"].lower() == "agent")
    done = mixminus.client.request("POST", ("MultiPartyCall", "name_room", "Participant", member), {"agc": False})
    assert "agc" in done
    mixminus.advance(seconds=4)
    assert loudest(mixminus, listener, 3) < 600


@pytest.mark.mixminus(comfort_noise=True)
def test_comfort_noise_by_setting(mixminus: World) -> None:
    one, other = mixminus.phone("one"), mixminus.phone("other")
    add(mixminus, "agent", one)
    add(mixminus, "customer", other)
    mixminus.advance(seconds=5)
    heard = other.samples(since=mixminus.seconds - 2).astype(float)
    assert 8 < np.sqrt(np.mean(heard**2)) < 30
