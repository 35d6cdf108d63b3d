"""The tutorial's contact centre, as a reader runs it: under ``mixminus exec``, with phones."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from mixminus.testing.multiparty import hears
from mixminus.testing.server import ServerProcess
from slow.support import PhoneMaker

pytestmark = pytest.mark.timeout(120)
_EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "contact_centre.py"
_AGENT, _CUSTOMER, _COACH = 440, 620, 880
_TONES = (_AGENT, _CUSTOMER, _COACH)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def test_the_coach_is_heard_by_the_agent_alone_and_the_call_is_recorded(
    tmp_path: Path, phone: PhoneMaker
) -> None:
    port = free_port()
    environment = {"MIXMINUS_DEFAULT_ANSWER_URL": f"http://127.0.0.1:{port}/answer"}
    async with ServerProcess(tmp_path, environment=environment) as server:
        agent, customer, coach = (
            await phone("agent", _AGENT),
            await phone("customer", _CUSTOMER),
            await phone("c", _COACH),
        )
        words = [sys.executable, "-m", "mixminus", "exec", "--data", str(server.data), "--"]
        application = await asyncio.create_subprocess_exec(
            *(*words, sys.executable, str(_EXAMPLE), agent.address, coach.address),
            env={**os.environ, "PORT": str(port)},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await _listens(port)
            await customer.calls(f"sip:help@{server.address.sip}")
            await agent.in_call()
            await coach.in_call()
            await hears(agent, {_CUSTOMER, _COACH}, _TONES)
            await hears(customer, {_AGENT}, _TONES)
            customer.hangs_up()
            await agent.call_over()
            url = await _announced(application)
            assert len(await server.fetch(url)) > 1000
        finally:
            application.terminate()
            await application.wait()


async def _listens(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def _announced(application: asyncio.subprocess.Process) -> str:
    assert application.stdout is not None
    async with asyncio.timeout(20):
        async for line in application.stdout:
            event, _, rest = line.decode().strip().partition(" ")
            if event == "MPCRecordingCompleted":
                return rest
    raise AssertionError("no recording was announced")
