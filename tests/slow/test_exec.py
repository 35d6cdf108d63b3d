"""``mixminus exec`` as a command: its own server, exit codes, signals, what is refused."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

import pytest

from mixminus.testing.server import ServerProcess, descendants

_LOOK = """
import json, os, urllib.request, urllib.error
try:
    urllib.request.urlopen("https://example.com/", timeout=10)
except OSError as error:
    refused = str(error)
answer = None
try:
    urllib.request.urlopen("https://api.plivo.com/nowhere", timeout=10)
except urllib.error.HTTPError as error:
    answer = error.code
print(json.dumps([refused, answer, os.environ["PLIVO_AUTH_ID"], os.path.exists(os.environ["MIXMINUS_DATA"])]))
"""


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def start(*words: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mixminus", "exec", *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env={**os.environ}
    )


async def test_it_brings_its_own_server_and_refuses_other_hosts() -> None:
    process = await start("--serve", sys.executable, "-c", _LOOK)
    out, err = await asyncio.wait_for(process.communicate(), 50)
    assert process.returncode == 0, err.decode()
    refused, answer, auth_id, has_data = json.loads(out)
    assert "403" in refused and answer == 404
    assert auth_id.startswith("MA") and has_data
    assert b"refused a connection to example.com:443" in err


@pytest.mark.parametrize(
    ("words", "code"),
    [(["sh", "-c", "exit 3"], 3), (["sh", "-c", "kill -9 $$"], 137), (["/no/such"], 127), (["/"], 126)],
)
async def test_the_exit_code_is_the_commands(tmp_path: Path, words: list[str], code: int) -> None:
    async with ServerProcess(tmp_path) as server:
        process = await start("--data", str(server.data), "--", *words)
        await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == code


async def test_sigterm_is_handed_on(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path) as server:
        script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"
        process = await start("--data", str(server.data), "--", "sh", "-c", script)
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 7


async def test_sigterm_before_the_command_leaves_no_server_behind() -> None:
    process = await start("--serve", "sleep", "60")
    while not (servers := descendants(process.pid)):  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 143
    assert not [pid for pid in servers if lives(pid)]


async def test_without_a_server_it_says_what_to_do(tmp_path: Path) -> None:
    process = await start("--data", str(tmp_path), "true")
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert b"no server runs in" in err and b"mixminus serve" in err
