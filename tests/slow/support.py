"""Helpers of the slow tests that are no fixtures."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from mixminus.testing import sources
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import Received

PhoneMaker: TypeAlias = Callable[[str, float], Awaitable[VirtualPhone]]


def program(name: str) -> str:
    """Path of a system program; the test is skipped, saying so, where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


async def start(folder: Path, *words: str) -> asyncio.subprocess.Process:
    """Start a program, its output in ``{folder}/{name}.log``."""
    with (folder / f"{Path(words[0]).name}.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *words, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )


async def download(server: ServerProcess, recording: Received) -> sources.Samples:
    """The samples of an announced recording, got from where it was announced."""
    return sources.from_file(io.BytesIO(await server.fetch(recording.parameters["RecordingURL"])))


def free_udp_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def times(variable: str, default: int) -> int:
    """How often to repeat, from the environment."""
    return int(os.environ.get(variable, default))
