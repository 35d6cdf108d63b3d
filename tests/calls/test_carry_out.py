"""Effects are carried out in order, and wait for their answers together."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import pytest

from calls.kit import START
from calls.world import FakeRecorder
from mixminus.calls.carry_out import Answer, Runner, tell
from mixminus.calls.effects import AbandonTap, BeginTap, EndTap
from mixminus.calls.live_taps import LiveTaps
from mixminus.errors import MediaError, StorageError
from mixminus.media import protocol as media
from mixminus.store.rows import RecordingRow

ROW = RecordingRow(
    id="rec", account="MA", source="call", call_uuid="leg", format="mp3", state="recording", created_at=START
)


class Worker:
    """Says in ``log`` what it was sent and when it answered; refuses what ``refuses`` names, at once or later."""

    def __init__(self, refuses: str = "", *, at_once: bool = False) -> None:
        self.log: list[str] = []
        self._refuses, self._at_once = refuses, at_once

    def send(self, command: media.Command) -> Awaitable[object]:
        name = type(command).__name__
        if self._at_once and name == self._refuses:
            raise MediaError("no such room")
        self.log.append(f"sent {name}")
        return self._answer(name)

    async def _answer(self, name: str) -> None:
        self.log.append(f"answered {name}")
        if name == self._refuses:
            raise MediaError("no time for it")


@dataclass
class Start:
    tap: str


@dataclass
class Other:
    name: str


async def test_all_commands_are_on_their_way_before_the_first_answer() -> None:
    worker = Worker()

    async def start(who: str, effect: Start) -> Answer:
        return tell(worker, media.StopTap(effect.tap))

    async def other(who: str, effect: Other) -> None:
        worker.log.append(f"{who} {effect.name}")

    await Runner[str]({Start: start, Other: other}).run("leg", [Start("a"), Other("b"), Start("c")])
    assert worker.log == ["sent StopTap", "leg b", "sent StopTap", "answered StopTap", "answered StopTap"]


async def test_answers_are_heard_also_when_a_later_effect_raises() -> None:
    worker = Worker("StopTap")

    async def start(who: str, effect: Start) -> Answer:
        return tell(worker, media.StopTap(effect.tap))

    async def fail(who: str, effect: Other) -> None:
        raise KeyError(effect.name)

    with pytest.raises(KeyError):
        await Runner[str]({Start: start, Other: fail}).run("leg", [Start("a"), Other("b")])
    assert worker.log == ["sent StopTap", "answered StopTap"]


class Tape:
    """Recordings of one owner, who is told what broke."""

    def __init__(self, worker: Worker, recorder: FakeRecorder | None = None) -> None:
        self.broke: list[tuple[str, bool]] = []
        self.finished: list[str] = []
        self.taps = LiveTaps(worker, recorder or FakeRecorder(), lambda row: self.finished.append(row.id))
        self._runner: Runner[str] = Runner(
            {BeginTap: self._begin, EndTap: self.taps.end, AbandonTap: self.taps.abandon}
        )

    async def _begin(self, who: str, effect: BeginTap) -> Answer:
        return await self.taps.begin(effect, lambda reason, begun: self.broke.append((reason, begun)))

    async def run(self, *effects: Any) -> None:
        await self._runner.run("owner", effects)


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_recording_the_worker_refuses_is_broken(at_once: bool) -> None:
    tape = Tape(Worker("StartTap", at_once=at_once))
    await tape.run(BeginTap(ROW, "room"))
    ((reason, begun),) = tape.broke
    assert reason and not begun


async def test_a_recording_without_room_on_disk_never_reaches_the_worker() -> None:
    class Full(FakeRecorder):
        async def begin(self, row: RecordingRow) -> None:
            raise StorageError("the disk is full")

    worker = Worker()
    tape = Tape(worker, Full())
    await tape.run(BeginTap(ROW, "room"))
    assert (tape.broke, worker.log) == ([("the disk is full", False)], [])


async def test_whoever_records_learns_of_a_tap_that_fails_while_it_runs_and_only_then() -> None:
    tape = Tape(Worker())
    failed = media.TapFailed("rec", "the disk is slow", 80, 0)
    await tape.run(BeginTap(ROW, "room"))
    tape.taps.failed(failed)
    tape.taps.failed(media.TapFailed("another", "not ours", 0, 0))
    assert tape.broke == [("the disk is slow", True)]
    await tape.run(EndTap(ROW))
    tape.taps.failed(failed)
    assert len(tape.broke) == 1
    assert tape.finished == ["rec"]


async def test_an_abandoned_recording_is_stopped_and_not_finished() -> None:
    worker = Worker("StopTap")
    tape = Tape(worker)
    await tape.run(BeginTap(ROW, "room"), AbandonTap("rec"))
    tape.taps.failed(media.TapFailed("rec", "late", 1, 0))
    assert worker.log == ["sent StartTap", "sent StopTap", "answered StartTap", "answered StopTap"]
    assert (tape.broke, tape.finished) == ([], [])
