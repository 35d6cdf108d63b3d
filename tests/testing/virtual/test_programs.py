"""Programs and threads of a world in virtual time take no time."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from mixminus.errors import SoundError
from mixminus.sounds.command import run
from mixminus.testing.virtual.world import World

T = TypeVar("T")


def while_time_passes(world: World, work: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """What ``work`` gives, and the virtual seconds it took although a minute was free to pass."""
    results: list[tuple[T, float]] = []

    async def timed() -> None:
        begun = world.seconds
        results.append((await work, world.seconds - begun))

    world.do(lambda: asyncio.ensure_future(timed()))
    world.advance(minutes=1)
    return results[0]


def test_a_program_and_a_thread_take_no_time(mixminus: World) -> None:
    script = "import sys, time; time.sleep(0.1); sys.stdout.write(sys.stdin.read().upper()); sys.stderr.write('done')"

    async def work() -> tuple[bytes, bytes, int | None, int]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        told, complaint = await process.communicate(b"words" * 100_000)
        return told, complaint, process.returncode, await asyncio.to_thread(len, told)

    (told, complaint, status, length), seconds = while_time_passes(mixminus, work())
    assert (told, complaint, status, length) == (b"WORDS" * 100_000, b"done", 0, 500_000)
    assert seconds == 0


def test_a_program_without_input_runs_at_once(mixminus: World) -> None:
    async def work() -> int:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(3)", stdin=DEVNULL)
        return await process.wait()

    async def shell() -> int:
        return await (await asyncio.create_subprocess_shell("exit 4")).wait()

    assert while_time_passes(mixminus, work()) == (3, 0)
    assert while_time_passes(mixminus, shell()) == (4, 0)


def test_why_a_program_failed_is_told(mixminus: World) -> None:
    async def work(*words: str) -> str:
        with pytest.raises(SoundError) as failed:
            await run(words, stdin=b"text", seconds=5)
        return str(failed.value)

    failing = "raise SystemExit('no voice')"
    assert while_time_passes(mixminus, work(sys.executable, "-c", failing)) == ("no voice", 0)
    assert while_time_passes(mixminus, work("/no/such/program"))[0].startswith("/no/such/program cannot be started")


def test_a_program_that_is_given_up_is_killed(mixminus: World) -> None:
    async def work() -> int:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input(); input()", stdin=PIPE)
        process.kill()
        return await process.wait()

    assert while_time_passes(mixminus, work()) == (-9, 0)


def test_programs_run_one_after_the_other_in_the_order_they_were_asked_for(mixminus: World) -> None:
    """However long each takes: the one asked for first takes longest."""
    ended: list[float] = []

    async def one(seconds: float) -> None:
        await run([sys.executable, "-c", f"import time; time.sleep({seconds})"], seconds=5)
        ended.append(seconds)

    async def work() -> None:
        await asyncio.gather(one(0.2), one(0.1), one(0))

    while_time_passes(mixminus, work())
    assert ended == [0.2, 0.1, 0]
