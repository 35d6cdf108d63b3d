"""``mixminus demo``: a three-party call, recorded through the official SDK, and judged."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from mixminus.cli.screen import Screen
from mixminus.cli.verdicts import Speech, Stretch, Verdict, judge_callbacks, judge_hearing, judge_recording, place
from mixminus.errors import MixminusError
from mixminus.testing import sources
from mixminus.testing.rack import Rack
from mixminus.testing.server import ServerFailed, ServerProcess
from mixminus.testing.sink import CallbackSink

_NAME = "demo"
_ROLES = ("agent", "customer", "supervisor")
_SECONDS = 46.0
"""About how long it all takes."""
_PATIENCE = 90.0
"""Seconds after which something must have gone wrong."""
_NUMBERS = {"agent": "14155550100", "customer": "14155550101", "supervisor": "14155550102"}

Answer = TypeVar("Answer")


class DemoFailed(Exception):
    """Something that must not happen did; the text says what."""


@dataclass
class _Scene:
    """What the acts share."""

    screen: Screen
    server: ServerProcess
    rack: Rack
    sink: CallbackSink
    client: Any
    speeches: list[Speech] = field(default_factory=list)
    recorded_seconds: float = 0.0
    stopped_at: float = 0.0
    latency: float = 0.0

    async def api(self, action: Callable[..., Answer], **parameters: object) -> Answer:
        """One call of the (blocking) SDK for our multiparty call."""
        from plivo.exceptions import PlivoRestError

        try:
            return await asyncio.to_thread(action, friendly_name=_NAME, **parameters)
        except PlivoRestError as error:
            raise DemoFailed(f"{action.__name__} was refused: {error}") from error

    async def speaks(self, who: str, voice: sources.Voice) -> Speech:
        """Let a phone say something, the progress bar running along."""
        moving = asyncio.create_task(self._move())
        try:
            spoke = await self.rack.say(who, voice)
        finally:
            moving.cancel()
        speech = Speech(who, voice, spoke.start_ns, spoke.end_ns)
        self.speeches.append(speech)
        return speech

    async def _move(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            self.screen.advance(0.25)


def demo(recordings: Path) -> int:
    """Run it; 0 if everything it claims holds."""
    screen = Screen(_SECONDS)
    if importlib.util.find_spec("plivo") is None:
        screen.failure("it drives the server through the official SDK, which is missing: pip install 'mixminus[demo]'")
        return 1
    with tempfile.TemporaryDirectory(prefix="mixminus-demo-") as folder, screen:
        try:
            return asyncio.run(_run(screen, Path(folder), recordings))
        except (DemoFailed, ServerFailed, MixminusError, RuntimeError, OSError, aiohttp.ClientError) as error:
            screen.failure(str(error) or type(error).__name__)
            _show_log(screen, Path(folder) / "server.log")
            return 1
        except KeyboardInterrupt:
            return 130


async def _run(screen: Screen, folder: Path, recordings: Path) -> int:
    screen.step("Starting a server and three phones, all on this machine", at=0)
    sink = CallbackSink(on_received=screen.callback)
    async with asyncio.timeout(_PATIENCE), ServerProcess(folder) as server, Rack(*_ROLES) as rack, sink:
        sink.auth_token = server.address.auth_token
        scene = _Scene(screen, server, rack, sink, server.plivo_client())
        await _gather(scene)
        recording_id = await _record(scene)
        file = await _fetch(scene, recording_id, recordings)
        await _part(scene)
        verdicts = await _judge(scene, file, folder)
    screen.verdicts(verdicts)
    screen.console.print(f"\nListen to it: [bold]{file.resolve()}[/]", soft_wrap=True)
    return 0 if all(verdict.holds for verdict in verdicts) else 1


async def _gather(scene: _Scene) -> None:
    """Everybody is dialled and joins."""
    for at, role in enumerate(_ROLES):
        scene.screen.step(f"Adding the {role}" + (" as a coach" if role == "supervisor" else ""), at=3 + at)
        await scene.api(
            scene.client.multi_party_calls.add_participant,
            role=role,
            from_=_NUMBERS[role],
            to_=scene.rack.addresses[role],
            coach_mode=role == "supervisor",
            enter_sound="none",
            exit_sound="none",
            status_callback_url=scene.sink.url("/status"),
            status_callback_method="POST",
        )
        await scene.sink.wait_for("ParticipantJoin", count=at + 1)


async def _record(scene: _Scene) -> str:
    """Recorded: three voices; not recorded: the card number; then the file is announced."""
    calls, screen = scene.client.multi_party_calls, scene.screen
    screen.step("Recording as mp3; the agent speaks", at=6)
    started = await scene.api(
        calls.start_recording,
        file_format="mp3",
        recording_callback_url=scene.sink.url("/recording"),
        recording_callback_method="POST",
    )
    began = time.monotonic()
    await scene.speaks("agent", "agent")
    screen.step("The customer speaks", at=16)
    await scene.speaks("customer", "customer")
    screen.step("The supervisor whispers to the agent", at=26)
    await scene.speaks("supervisor", "supervisor")
    screen.step("Recording paused; the customer says a card number", at=34)
    await scene.api(calls.pause_recording)
    paused = time.monotonic()
    await scene.speaks("customer", "card")
    screen.step("Recording resumed; the agent says goodbye", at=39)
    await scene.api(calls.resume_recording)
    resumed = time.monotonic()
    await scene.speaks("agent", "goodbye")
    screen.step("Recording stopped", at=43)
    scene.stopped_at = time.monotonic()
    await scene.api(calls.stop_recording)
    scene.recorded_seconds = (paused - began) + (scene.stopped_at - resumed)
    return str(started.recording_id)


async def _fetch(scene: _Scene, recording_id: str, recordings: Path) -> Path:
    """Wait for the announcement, then get the file from where the announcement says it is."""
    done = await scene.sink.wait_for(
        lambda one: one.event in ("MPCRecordingCompleted", "MPCRecordingFailed"), timeout=15
    )
    scene.latency = time.monotonic() - scene.stopped_at
    if done.event == "MPCRecordingFailed":
        raise DemoFailed("the server reports that the recording failed")
    body = await scene.server.fetch(done.parameters["RecordingURL"])
    file = _keep(recordings, f"{recording_id}.mp3", body)
    sound = sources.from_file(file)
    scene.screen.recording(file, len(sound) / sources.RATE, scene.latency, place(scene.speeches, sound))
    return file


def _keep(folder: Path, name: str, body: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_bytes(body)
    return file


async def _part(scene: _Scene) -> None:
    scene.screen.step("Ending the call", at=45)
    await scene.api(scene.client.multi_party_calls.stop)
    await scene.sink.wait_for("MPCEnd")


async def _judge(scene: _Scene, file: Path, folder: Path) -> list[Verdict]:
    """Listen to the file and to what each phone heard."""
    began = await scene.rack.save(folder)
    heard = {name: Stretch(sources.from_file(folder / f"{name}.wav"), began[name]) for name in _ROLES}
    agent, customer, supervisor, card, goodbye = scene.speeches
    return [
        *judge_recording(
            sources.from_file(file), scene.recorded_seconds, scene.latency, [agent, customer, supervisor, goodbye], card
        ),
        *judge_hearing(heard, supervisor, [agent, customer, card]),
        *judge_callbacks(scene.sink.received),
    ]


def _show_log(screen: Screen, log: Path) -> None:
    """The server's last words, kept outside the temporary folder."""
    if log.exists() and log.stat().st_size:
        kept = Path(tempfile.gettempdir()) / "mixminus-demo.log"
        shutil.copyfile(log, kept)
        screen.console.print(f"The server's log: {kept}")
