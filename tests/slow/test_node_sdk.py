"""The Node SDK, unchanged but for its host, drives a recorded call and judges the signatures."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mixminus.testing import ear
from mixminus.testing.multiparty import hears
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink
from slow.support import PhoneMaker, download, program

pytestmark = pytest.mark.timeout(240)
_HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node")
    words = [program("npm"), "install", "--no-audit", "--no-fund", "--prefix", str(folder), "plivo"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        pytest.skip(f"npm install plivo failed: {done.stderr[-500:]}")
    return folder / "node_modules"


async def test_the_node_sdk_drives_a_recorded_call(
    server: ServerProcess, sink: CallbackSink, phone: PhoneMaker, node_modules: Path
) -> None:
    agent, customer = await phone("agent", 440), await phone("customer", 620)
    # The SDK takes a callback URL only if something in it looks like a domain; a file name will do.

    async def drive(action: str, **parameters: object) -> Any:
        order = {"base": server.address.api, "id": server.address.auth_id, "token": server.address.auth_token}
        return await _node(node_modules, {**order, "action": action, "parameters": parameters})

    for role, line in (("Agent", agent), ("Customer", customer)):
        await drive("addParticipant", role=role, to=line.address, sink=sink.url("/status.xml"))
        await line.in_call()
    await hears(agent, {620}, [440, 620])
    started = await drive("startRecording", sink=sink.url("/recording.xml"))
    await hears(agent, {620}, [440, 620], seconds=1)
    await drive("pauseRecording")
    await drive("resumeRecording")
    await drive("stopRecording")
    done = await sink.wait_for("MPCRecordingCompleted")
    await drive("stop")
    await sink.wait_for("MPCEnd")
    assert done.parameters["RecordingUUID"] == started["recordingId"]
    assert ear.tones(await download(server, done), [440, 620]) == {440, 620}
    verdicts = await _node(
        node_modules,
        {
            "action": "judge",
            "token": server.address.auth_token,
            "requests": [
                {
                    "method": one.method,
                    "url": one.url,
                    "form": dict(one.parameters) if one.method == "POST" else {},
                    "v2": one.headers["X-Plivo-Signature-V2"],
                    "v2Nonce": one.headers["X-Plivo-Signature-V2-Nonce"],
                    "v3": one.headers["X-Plivo-Signature-V3"],
                    "v3Nonce": one.headers["X-Plivo-Signature-V3-Nonce"],
                }
                for one in sink.received
            ],
        },
    )
    assert verdicts == [[True, True]] * len(sink.received)


async def _node(modules: Path, order: dict[str, object]) -> Any:
    process = await asyncio.create_subprocess_exec(
        *(program("node"), str(_HERE / "drive.cjs")),
        env={"NODE_PATH": str(modules), "PATH": "/usr/bin:/bin"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(json.dumps(order).encode()), 30)
    assert process.returncode == 0, err.decode()[-2000:]
    return json.loads(out)
