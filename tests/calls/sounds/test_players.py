from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from mixminus.calls.commands import Callback
from mixminus.calls.events import SoundRequest
from mixminus.calls.sounds.players import Players
from mixminus.calls.sounds.program import BuiltIn, PlayItem, Program, SpeakItem, WaitItem
from mixminus.calls.sounds.request import AnyProgram, DocumentItem
from mixminus.errors import MediaError, SoundError
from mixminus.media import protocol as media

BAD = "http://app.test/bad"
DOCUMENT = DocumentItem(Callback("http://app.test/music", "GET"), SoundRequest(), "MA")


class FakeSounds:
    """Every URL is a file of its name; ``BAD`` cannot be had."""

    def __init__(self) -> None:
        self.answer: Program | SoundError = ()

    async def file(self, item: PlayItem | SpeakItem) -> str:
        if isinstance(item, SpeakItem):
            return f"spoken:{item.text}"
        if item.url == BAD:
            raise SoundError(f"{BAD}: answered 404")
        return item.url

    async def program(self, item: DocumentItem) -> Program:
        if isinstance(self.answer, SoundError):
            raise self.answer
        return self.answer


class FakeMedia:
    def __init__(self) -> None:
        self.sent: list[media.Command] = []
        self.refuses = ""

    def send(self, command: media.Command) -> Awaitable[object]:
        self.sent.append(command)
        return self._answer()

    async def _answer(self) -> None:
        if self.refuses:
            raise MediaError(self.refuses)


class Desk:
    def __init__(self) -> None:
        self.media, self.sounds = FakeMedia(), FakeSounds()
        self.players = Players(self.media, self.sounds)
        self.ended: list[str] = []

    async def start(self, *program: object, loop: bool = False) -> None:
        items: AnyProgram = program  # type: ignore[assignment]
        self.players.start("p", "room", items, talk=64, loop=loop, on_end=self.ended.append)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def over(self) -> None:
        """The source that plays now comes to its end."""
        self.players.play_ended(media.PlayEnded(self.plays()[-1].player, 0))
        await self.settle()

    def plays(self) -> list[media.Play]:
        return [command for command in self.media.sent if isinstance(command, media.Play)]

    def heard(self) -> list[tuple[str, bool]]:
        return [(play.source, play.loop) for play in self.plays()]

    def stopped(self) -> list[str]:
        return [command.player for command in self.media.sent if isinstance(command, media.StopPlay)]


async def test_items_follow_each_other_and_the_end_is_told_once() -> None:
    desk = Desk()
    await desk.start(PlayItem("http://app.test/a", loop=2), WaitItem(1.5), SpeakItem("hello"), BuiltIn("beep:1"))
    for expected in ("http://app.test/a", "http://app.test/a", "silence:1500", "spoken:hello", "beep:1"):
        assert desk.heard()[-1] == (expected, False)
        assert desk.ended == []
        await desk.over()
    assert desk.ended == [""]
    assert {(play.room, play.talk) for play in desk.plays()} == {("room", 64)}


async def test_a_loop_of_one_source_is_the_workers_own_and_without_a_seam() -> None:
    desk = Desk()
    await desk.start(BuiltIn("music"), loop=True)
    assert desk.heard() == [("music", True)]
    desk = Desk()
    await desk.start(PlayItem("http://app.test/a", loop=0))
    assert desk.heard() == [("http://app.test/a", True)]


async def test_a_loop_of_several_begins_anew() -> None:
    desk = Desk()
    await desk.start(BuiltIn("beep:1"), BuiltIn("beep:2"), loop=True)
    for _ in range(3):
        await desk.over()
    assert [source for source, _ in desk.heard()] == ["beep:1", "beep:2", "beep:1", "beep:2"]


async def test_what_cannot_be_had_is_left_out_and_named_at_the_end() -> None:
    desk = Desk()
    await desk.start(PlayItem(BAD), BuiltIn("beep:1"))
    assert desk.heard() == [("beep:1", False)]
    await desk.over()
    assert desk.ended == [f"{BAD}: answered 404"]


async def test_a_loop_of_which_nothing_can_be_had_ends() -> None:
    desk = Desk()
    await desk.start(PlayItem(BAD), PlayItem(BAD), loop=True)
    assert (desk.heard(), desk.ended) == ([], [f"{BAD}: answered 404"])


async def test_a_stopped_player_is_silent_and_says_nothing() -> None:
    desk = Desk()
    await desk.start(BuiltIn("music"), loop=True)
    desk.players.stop("p")
    await desk.settle()
    assert desk.stopped() == [desk.plays()[-1].player]
    assert (desk.ended, desk.players.playing("p")) == ([], False)
    desk.players.stop("p")


async def test_starting_again_under_the_same_id_replaces() -> None:
    desk = Desk()
    await desk.start(BuiltIn("music"), loop=True)
    await desk.start(BuiltIn("beep:1"))
    assert desk.stopped() == [desk.plays()[0].player]
    await desk.over()
    assert desk.ended == [""]


async def test_a_url_may_answer_a_program_of_its_own() -> None:
    desk = Desk()
    desk.sounds.answer = (SpeakItem("one moment"), WaitItem(2))
    await desk.start(DOCUMENT, loop=True)
    await desk.over()
    assert [source for source, _ in desk.heard()] == ["spoken:one moment", "silence:2000"]
    desk.sounds.answer = SoundError("http://app.test/music: no answer in time")
    await desk.start(DOCUMENT, loop=True)
    assert desk.ended == ["http://app.test/music: no answer in time"]


async def test_a_refusal_of_the_worker_ends_the_player() -> None:
    desk = Desk()
    desk.media.refuses = "no such room"
    await desk.start(BuiltIn("music"), loop=True)
    assert desk.ended == ["no such room"]


async def test_close_stops_everything() -> None:
    desk = Desk()
    await desk.start(BuiltIn("music"), loop=True)
    await desk.players.close()
    assert desk.stopped() and not desk.players.playing("p")
