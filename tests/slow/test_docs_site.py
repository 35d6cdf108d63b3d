"""The documentation site builds, every link in it leads somewhere, and the curl examples work."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink
from slow.support import PhoneMaker, program

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.timeout(120)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed (pip install 'mixminus[docs]')")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "true"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "contact_centre" in (tmp_path / "site" / "tutorial" / "index.html").read_text()


def examples(page: str) -> list[str]:
    """The ``bash`` blocks of a page, in order."""
    return re.findall(r"^```bash\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)


async def test_the_curl_examples_of_the_quick_start(
    server: ServerProcess, sink: CallbackSink, phone: PhoneMaker
) -> None:
    program("curl")
    agent, customer = await phone("agent", 440), await phone("customer", 620)
    environment = {
        "PATH": os.environ["PATH"],
        "API": server.address.api,
        "AUTH_ID": server.address.auth_id,
        "AUTH_TOKEN": server.address.auth_token,
        "AGENT": agent.address,
        "CUSTOMER": customer.address,
        "CALLBACKS": sink.url("").rstrip("/"),
    }
    blocks = examples("index.md")
    assert len(blocks) >= 10
    for number, block in enumerate(blocks):
        await _run(block, environment)
        if number == 1:
            await agent.in_call()
            await customer.in_call()
            await _both_in(blocks[2], environment)


async def _run(block: str, environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", block, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, f"{block}\n{out.decode()}\n{err.decode()}"
    return out.decode()


async def _both_in(block: str, environment: dict[str, str]) -> None:
    for _ in range(100):
        if len(json.loads(await _run(block, environment))["objects"]) == 2:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the participants did not join")
