"""Players: each sees one program through in one room, item after item. A shell over the media worker and the sounds.

The worker plays one source at a time per player of its own; a program is a chain of those. Sources are made ready while
earlier ones play.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from mixminus.calls.sounds.program import BuiltIn, Item, PlayItem, Program, SpeakItem, WaitItem
from mixminus.calls.sounds.request import AnyItem, AnyProgram, DocumentItem
from mixminus.errors import MediaError, SoundError
from mixminus.media import protocol as media

log = structlog.get_logger(__name__)

LONGEST_WAIT = 3600.0
"""Seconds of silence a source may have."""


class Sounds(Protocol):
    """Where sounds come from. Every method raises :class:`~mixminus.errors.SoundError` naming what and why."""

    async def file(self, item: PlayItem | SpeakItem) -> str:
        """Path of a WAV file the media workers can play."""

    async def program(self, item: DocumentItem) -> Program:
        """What a customer's URL answers."""


class Media(Protocol):
    def send(self, command: media.Command) -> Awaitable[object]: ...


@dataclass
class _Part:
    """One source, played ``times`` times; 0 is without end."""

    source: asyncio.Future[str]
    times: int = 1


@dataclass
class _Run:
    """One player at work."""

    player_id: str
    room: str
    talk: int
    loop: bool
    gain: float
    on_end: Callable[[str], None]
    error: str = ""
    """The first thing that went wrong."""
    sounding: str = ""
    """The worker's player that plays now."""
    task: asyncio.Task[None] | None = None
    preparing: list[asyncio.Future[str]] = field(default_factory=list)


class Players:
    """All players of the server, by id."""

    def __init__(self, media: Media, sounds: Sounds) -> None:
        self._media = media
        self._sounds = sounds
        self._running: dict[str, _Run] = {}
        self._ends: dict[str, asyncio.Event] = {}
        self._numbers = itertools.count(1)

    def start(
        self,
        player_id: str,
        room: str,
        program: AnyProgram,
        *,
        talk: int,
        loop: bool = False,
        gain: float = 1.0,
        on_end: Callable[[str], None] = lambda error: None,
    ) -> None:
        """Play ``program`` in ``room`` to the listeners that share a channel with ``talk``; ``loop`` begins it anew.

        An item that cannot be had is left out and logged. ``on_end`` is called once, when the program is over by
        itself, with "" or the sentence of the first item that could not be played; it is not called after
        :meth:`stop`. A player of the same id is stopped first.
        """
        self.stop(player_id)
        run = _Run(player_id, room, talk, loop, gain, on_end)
        self._running[player_id] = run
        run.task = asyncio.ensure_future(self._run(run, program))

    def stop(self, player_id: str) -> None:
        """Silence a player now. One that is over, or never was, is fine."""
        run = self._running.pop(player_id, None)
        if run is None:
            return
        for source in run.preparing:
            source.cancel()
        assert run.task is not None
        run.task.cancel()

    def stop_room(self, room: str) -> None:
        """Silence every player of a room."""
        for run in [run for run in self._running.values() if run.room == room]:
            self.stop(run.player_id)

    async def ready(self, program: AnyProgram) -> str:
        """Have everything at hand that ``program`` needs; returns "" or, if nothing of it can be had, why."""
        run = _Run("", "", 0, False, 1.0, lambda error: None)
        items = await self._resolve(run, program)
        sources = [self._prepare(run, item) for item in items]
        found = [source for source in sources if await self._source(run, _Part(source)) is not None]
        return "" if found else run.error or "the program is empty"

    def playing(self, player_id: str) -> bool:
        return player_id in self._running

    def play_ended(self, event: media.PlayEnded) -> None:
        """A source has played its last sample, or will never."""
        if event.player in self._ends:
            self._ends[event.player].set()

    async def close(self) -> None:
        """Stop all players."""
        tasks = [run.task for run in self._running.values() if run.task is not None]
        for player_id in list(self._running):
            self.stop(player_id)
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- one player ------------------------------------------------------------------------------------------------

    async def _run(self, run: _Run, program: AnyProgram) -> None:
        try:
            await self._play_program(run, program)
        except MediaError as error:
            run.error = run.error or str(error)
        except Exception:
            log.exception("a player failed", player=run.player_id, room=run.room)
            run.error = "an internal error; see the log"
        finally:
            if self._running.get(run.player_id) is run:
                del self._running[run.player_id]
        run.on_end(run.error)

    async def _play_program(self, run: _Run, program: AnyProgram) -> None:
        items = await self._resolve(run, program)
        parts = [_Part(self._prepare(run, item), _times(item)) for item in items]
        while parts:
            alone = len(parts) == 1
            for part in list(parts):
                source = await self._source(run, part)
                if source is None:
                    parts.remove(part)
                    continue
                await self._play_part(run, source, part.times, endless=alone and run.loop)
            if not run.loop:
                return

    async def _resolve(self, run: _Run, program: AnyProgram) -> list[Item]:
        """The program with what customers' URLs answered in the place of those."""
        return [item for found in program for item in await self._items(run, found)]

    async def _items(self, run: _Run, item: AnyItem) -> Program:
        if not isinstance(item, DocumentItem):
            return (item,)
        try:
            return await self._sounds.program(item)
        except SoundError as error:
            self._note(run, error)
            return ()

    def _prepare(self, run: _Run, item: Item) -> asyncio.Future[str]:
        source: asyncio.Future[str]
        match item:
            case BuiltIn():
                source = _known(item.name)
            case WaitItem():
                milliseconds = max(1, round(min(item.seconds, LONGEST_WAIT) * 1000))
                source = _known(f"silence:{milliseconds}")
            case _:
                source = asyncio.ensure_future(self._sounds.file(item))
        source.add_done_callback(_retrieve)
        run.preparing.append(source)
        return source

    async def _source(self, run: _Run, part: _Part) -> str | None:
        try:
            return await part.source
        except SoundError as error:
            self._note(run, error)
            return None

    def _note(self, run: _Run, error: SoundError) -> None:
        log.warning("a sound is left out", player=run.player_id, room=run.room, error=str(error))
        run.error = run.error or str(error)

    async def _play_part(self, run: _Run, source: str, times: int, *, endless: bool) -> None:
        if endless or not times:
            await self._sound(run, source, loop=True)
            return
        for _ in range(times):
            await self._sound(run, source, loop=False)

    async def _sound(self, run: _Run, source: str, *, loop: bool) -> None:
        """Play one source to its end; cancelled, it is silenced."""
        name = f"{run.player_id}/{next(self._numbers)}"
        ended = self._ends[name] = asyncio.Event()
        command = media.Play(name, run.room, source, run.talk, loop=loop, gain=run.gain)
        try:
            await self._media.send(command)
            await ended.wait()
        except asyncio.CancelledError:
            await self._silence(name)
            raise
        finally:
            del self._ends[name]

    async def _silence(self, name: str) -> None:
        try:
            await self._media.send(media.StopPlay(name))
        except MediaError as error:
            log.info("a player could not be stopped", player=name, error=str(error))


def _times(item: Item) -> int:
    return item.loop if isinstance(item, PlayItem | SpeakItem) else 1


def _known(source: str) -> asyncio.Future[str]:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_result(source)
    return future


def _retrieve(source: asyncio.Future[str]) -> None:
    """A source that failed after its player was stopped is nobody's business."""
    if not source.cancelled():
        source.exception()
