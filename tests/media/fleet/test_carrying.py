"""Recordings of legs between two workers, without workers."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from msgspec.structs import replace

from mixminus.errors import MediaError
from mixminus.media.fleet.carrying import Answer, TapCarrier
from mixminus.media.fleet.endpoint import WorkerEndpoint
from mixminus.media.fleet.mirror import Mirror
from mixminus.media.protocol import (
    Command,
    OpenLeg,
    PauseTap,
    ResumeTap,
    StartTap,
    StopTap,
    TapClosed,
    TapFailed,
    TapOpened,
)

TAP = StartTap("t", "old room", 0, "/spool/t", leg="a", heard=True)
LEG = OpenLeg("a", "new room", 20000, ("192.0.2.1", 4000))
LEFT = TapClosed("t", 8000, 8000, 1)
FAILED = TapFailed("t", "disk full", 0, 1)


class Worker:
    """Keeps what it is told; the test answers."""

    def __init__(self) -> None:
        self.mirror = Mirror()
        self.told: list[tuple[Command, Answer]] = []

    def submit(self, command: Command) -> Answer:
        answer: Answer = asyncio.get_running_loop().create_future()
        self.told.append((command, answer))
        return answer

    @property
    def commands(self) -> list[Command]:
        return [command for command, _ in self.told]


class Scene:
    """A leg's tap that runs on the old worker."""

    def __init__(self) -> None:
        self.old, self.new = Worker(), Worker()
        self.legs = {"a": LEG}
        self.at = {"t": self.old}
        self.put: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.carrier = TapCarrier(
            self.legs,
            worker_of=lambda tap: cast(WorkerEndpoint, self.at[tap]),
            put=self._put,
            drop=self.at.__delitem__,
            failed=lambda tap, reason: self.failed.append((tap, reason)),
        )
        started: Answer = asyncio.get_running_loop().create_future()
        self.carrier.sent(TAP, started)
        started.set_result(None)
        self.carrier.observed(TapOpened("t", 16000, 0))

    def _put(self, tap: str, room: str) -> WorkerEndpoint:
        self.at[tap] = self.new
        self.put.append(room)
        return cast(WorkerEndpoint, self.new)

    def leaves(self) -> None:
        self.carrier.leave("a", cast(WorkerEndpoint, self.old))


async def test_the_new_worker_goes_on_when_the_old_has_left_and_is_told_what_came_meanwhile() -> None:
    scene = Scene()
    scene.leaves()
    scene.leaves()
    assert scene.old.commands == [StopTap("t", elsewhere=True)]
    assert scene.carrier.is_between("t")
    pausing = scene.carrier.tell_later(PauseTap("t"))
    assert scene.new.told == []
    assert scene.carrier.observed(LEFT)
    again = StartTap("t", "new room", 0, "/spool/t", leg="a", heard=True, least_rate=16000)
    assert scene.new.commands == [again, PauseTap("t")]
    assert scene.put == ["new room"]
    assert not scene.carrier.is_between("t")
    scene.new.told[1][1].set_result(None)
    await asyncio.wait_for(pausing, 1)
    assert not scene.carrier.observed(LEFT)  # the end, this time


async def test_paused_it_goes_on_paused_and_without_its_leg_silent() -> None:
    scene = Scene()
    scene.carrier.sent(PauseTap("t"), asyncio.get_running_loop().create_future())
    scene.leaves()
    del scene.legs["a"]
    scene.carrier.observed(LEFT)
    assert scene.new.commands == [StartTap("t", "old room", 0, "/spool/t", paused=True, least_rate=16000)]


async def test_a_spool_that_fails_on_the_way_is_told_and_can_still_be_stopped() -> None:
    scene = Scene()
    scene.leaves()
    resuming = scene.carrier.tell_later(ResumeTap("t"))
    assert not scene.carrier.observed(FAILED)  # everyone is to know
    await asyncio.wait_for(resuming, 1)
    assert scene.old.mirror.failed_taps == {"t"}
    scene.old.mirror.accepted(StopTap("t"))
    assert scene.new.told == []


async def test_a_spool_that_will_fail_still_goes_along() -> None:
    scene = Scene()
    scene.leaves()
    assert not scene.carrier.observed(replace(FAILED, writing=True))
    scene.carrier.observed(LEFT)
    assert [type(command) for command in scene.new.commands] == [StartTap], "where it is told again"


async def test_stopped_and_failed_on_the_way_it_is_gone() -> None:
    scene = Scene()
    scene.leaves()
    stopping = scene.carrier.tell_later(StopTap("t"))
    scene.carrier.observed(FAILED)
    await asyncio.wait_for(stopping, 1)
    assert scene.at == {}


async def test_what_the_old_worker_does_not_have_stays_where_it_is() -> None:
    scene = Scene()
    scene.leaves()
    stopping = scene.carrier.tell_later(StopTap("t"))
    scene.old.told[0][1].set_exception(MediaError("no tap t"))
    await asyncio.sleep(0)
    assert scene.old.commands == [StopTap("t", elsewhere=True), StopTap("t")]
    scene.old.told[1][1].set_exception(MediaError("no tap t"))
    with pytest.raises(MediaError, match="no tap t"):
        await asyncio.wait_for(stopping, 1)


async def test_a_new_worker_that_refuses_is_a_failed_recording() -> None:
    scene = Scene()
    scene.leaves()
    scene.carrier.observed(LEFT)
    scene.new.told[0][1].set_exception(MediaError("no room"))
    await asyncio.sleep(0)
    assert scene.failed == [("t", "no room")]
