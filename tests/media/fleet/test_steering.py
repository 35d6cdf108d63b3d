"""Whose worker gets a leg's datagrams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
from msgspec.structs import replace

from mixminus.errors import MediaError
from mixminus.media.fleet.ports import PortBook
from mixminus.media.fleet.sharing import Rule, SharedPort
from mixminus.media.fleet.steering import Steering
from mixminus.media.protocol import OpenLeg

ALICE, BOB, TRUE = ("10.0.0.1", 4000), ("10.0.0.2", 4000), ("192.0.2.9", 61000)
LEG = OpenLeg(leg="a", room="r", port=20000, remote=ALICE)


class Port:
    """A port of worker 0 that remembers how it was steered."""

    owner = 0
    refuses = False

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def member(self, worker: int) -> int:
        return worker

    def steer(self, rules: Sequence[Rule]) -> None:
        if self.refuses:
            raise MediaError("no")
        self.rules = list(rules)


class Scene:
    def __init__(self) -> None:
        self.port = Port()
        self.book = PortBook([20000])
        self.steering = Steering({20000: cast(SharedPort, self.port)}, [self.book])


def test_a_leg_is_followed_wherever_it_goes() -> None:
    scene = Scene()
    scene.steering.put(LEG, 0)
    assert scene.port.rules == []
    scene.steering.put(LEG, 1)
    assert scene.port.rules == [Rule(*ALICE, 1)]
    scene.steering.put(replace(LEG, remote=BOB), 2)
    assert scene.port.rules == [Rule(*BOB, 2)]
    scene.steering.put(replace(LEG, remote=BOB), 0)
    assert scene.port.rules == []


def test_who_is_not_heard_yet_is_known_by_its_hosts_and_the_others_keep_theirs() -> None:
    scene = Scene()
    scene.book.take("b", remote=BOB, latchable=False, now_ns=0)
    scene.book.take("a", remote=ALICE, latchable=True, now_ns=0)
    waiting = replace(LEG, latch_hosts=(TRUE[0], BOB[0]))
    scene.steering.put(waiting, 1)
    assert scene.port.rules == [Rule(*ALICE, 1), Rule(*BOB, 0), Rule(TRUE[0], 0, 1), Rule(BOB[0], 0, 1)]
    scene.steering.put(waiting, 1, latched=TRUE)
    assert sorted(scene.port.rules) == sorted([Rule(*ALICE, 1), Rule(*TRUE, 1)])


def test_a_closed_leg_leaves_nothing_behind() -> None:
    scene = Scene()
    scene.steering.put(LEG, 1)
    scene.steering.put(replace(LEG, leg="b", remote=BOB), 2)
    scene.steering.forget("a", 20000)
    assert scene.port.rules == [Rule(*BOB, 2)]
    scene.steering.forget("b", 20000)
    scene.steering.forget("b", 20000)
    assert scene.port.rules == []
    assert not scene.steering._away


def test_what_the_kernel_refuses_changes_nothing() -> None:
    scene = Scene()
    scene.steering.put(LEG, 1)
    scene.port.refuses = True
    with pytest.raises(MediaError):
        scene.steering.put(replace(LEG, leg="b", remote=BOB), 2)
    scene.port.refuses = False
    scene.steering.put(LEG, 2)
    assert scene.port.rules == [Rule(*ALICE, 2)]
