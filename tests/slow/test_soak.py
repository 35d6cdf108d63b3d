"""A real server with two media workers under calls that come and go: nothing of it may grow.

``SOAK_MINUTES=30 pytest -m slow tests/slow/test_soak.py -s`` makes it half an hour instead of one minute.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerProcess, descendants
from mixminus.testing.sink import CallbackSink
from test_end_to_end import World

MINUTES = float(os.environ.get("SOAK_MINUTES", "1"))
CALLERS = 6
GROWTH = 6 << 20
"""Bytes by which a process may grow after the first third: the allocator and the database's cache settle late."""
FILES = 12
"""Open files by which it may: connections of HTTP and of callbacks stay open for a while."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 * MINUTES + 120)]


class Size(NamedTuple):
    memory: int
    files: int
    threads: int


def sizes(server: ServerProcess) -> dict[int, Size]:
    """Of the control process and those below it that are still there."""
    found = {}
    for pid in [server.address.pid, *descendants(server.address.pid)]:
        process = Path(f"/proc/{pid}")
        try:
            resident, shared = (int(pages) for pages in (process / "statm").read_text().split()[1:3])
            files, threads = len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))
        except OSError:
            continue
        found[pid] = Size((resident - shared) * 4096, files, threads)
    return found


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with CallbackSink() as sink:
        environment = {"MIXMINUS_DEFAULT_ANSWER_URL": sink.url("/answer")}
        async with ServerProcess(tmp_path, "--workers", "2", environment=environment) as server:
            sink.auth_token = server.address.auth_token
            made = World(server, sink)
            yield made
            await made.phones.aclose()


async def call_again_and_again(world: World, phone: VirtualPhone, until: float) -> int:
    calls = 0
    while time.monotonic() < until:
        await phone.calls(f"sip:5000@{world.server.address.sip}")
        await asyncio.sleep(2.5)
        phone.hangs_up()
        await phone.call_over()
        calls += 1
    return calls


async def some_calls(world: World, callers: list[VirtualPhone], seconds: float) -> int:
    until = time.monotonic() + seconds
    made = await asyncio.gather(*(call_again_and_again(world, phone, until) for phone in callers))
    world.sink.received.clear()
    await asyncio.sleep(6)  # transactions end, addresses rest, files are made
    return sum(made)


async def test_a_server_does_not_grow_by_its_calls(world: World) -> None:
    world.sink.answer(
        "/answer",
        '<Response><GetDigits timeout="1"/><MultiPartyCall role="agent" record="true" recordFileFormat="wav" '
        'startMpcOnEnter="true">meeting</MultiPartyCall></Response>',
    )
    callers = [await world.phone(f"caller-{number}", 400 + 90 * number) for number in range(CALLERS)]
    made = await some_calls(world, callers, 20 * MINUTES)
    before = sizes(world.server)
    for _ in range(4):
        made += await some_calls(world, callers, 10 * MINUTES)
        told = {pid: f"{size.memory >> 10} KiB, {size.files} files" for pid, size in sizes(world.server).items()}
        print(told)  # noqa: T201 - with -s it is a soak's protocol
    after = sizes(world.server)
    assert made >= CALLERS * 8 * MINUTES
    assert set(after) <= set(before) | set(descendants(world.server.address.pid))
    grown = {
        pid: (before[pid], size)
        for pid, size in after.items()
        if pid in before
        and (
            size.memory > before[pid].memory + GROWTH
            or size.files > before[pid].files + FILES
            or size.threads > before[pid].threads + FILES
        )
    }
    assert grown == {}
