from __future__ import annotations

import pytest

from mixminus.errors import MediaError
from mixminus.media.fleet.roster import Roster


def test_a_room_goes_to_the_least_loaded_worker_and_stays() -> None:
    roster = Roster()
    assert roster.place("r", [5, 2, 9]) == 1
    assert roster.place("r", [0, 9, 0]) == 1
    assert roster.worker_of_room("r") == 1


def test_a_room_can_be_asked_for_beside_a_leg() -> None:
    roster = Roster()
    roster.place("private", [3, 0])
    roster.put("leg", "a", "private")
    assert roster.place("party", [0, 9], near="a") == 1
    assert roster.place("other", [0, 9], near="unknown leg") == 0


def test_a_room_is_forgotten_when_the_last_has_left() -> None:
    roster = Roster()
    roster.place("r", [0, 1])
    roster.put("leg", "a", "r")
    roster.put("player", "p", "r")
    roster.drop("leg", "a")
    assert roster.worker_of("player", "p") == 0
    roster.drop("player", "p")
    roster.drop("player", "p")
    with pytest.raises(MediaError, match="no room r"):
        roster.worker_of_room("r")
    assert roster.place("r", [1, 0]) == 1


def test_moving_leaves_the_old_room() -> None:
    roster = Roster()
    roster.place("r", [0])
    roster.place("s", [0])
    roster.put("leg", "a", "r")
    roster.put("leg", "a", "s")
    with pytest.raises(MediaError):
        roster.worker_of_room("r")
    assert roster.worker_of("leg", "a") == 0


def test_legs_may_change_their_worker_and_are_counted_there() -> None:
    roster = Roster()
    roster.place("r", [0, 1])
    roster.put("leg", "a", "r")
    roster.put("leg", "b", "r")
    roster.place("s", [1, 0])
    roster.put("leg", "a", "s")
    roster.put("tap", "t", "s")
    assert (roster.worker_of("leg", "a"), roster.worker_of("leg", "b")) == (1, 0)
    assert (roster.legs(0), roster.legs(1)) == (1, 1)
    roster.drop("leg", "a")
    roster.drop("leg", "a")
    assert (roster.legs(0), roster.legs(1)) == (1, 0)


def test_a_stranger_is_named() -> None:
    with pytest.raises(MediaError, match="there is no tap t"):
        Roster().worker_of("tap", "t")
