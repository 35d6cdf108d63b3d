"""The worked examples of virtual time, as a reader would run them; and ``/testing/`` where it must not be."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mixminus.testing.server import ServerProcess
from slow.support import program

pytestmark = pytest.mark.timeout(240)
EXAMPLES = Path(__file__).parents[2] / "examples" / "virtual_time"


def test_the_pytest_example_passes(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    options = ["-c", "/dev/null", str(EXAMPLES / "test_support_line.py")]
    done = subprocess.run([*words, *options], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_node_example_passes(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "mixminus", "exec", "--virtual-time", "--", program("node"), "--test"]
    example = str(EXAMPLES / "support_line.test.mjs")
    done = subprocess.run([*run, example], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 1" in done.stdout


async def test_a_server_in_real_time_has_no_controls(server: ServerProcess) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        await asyncio.to_thread(urllib.request.urlopen, f"{server.address.api}/testing/")
    caught.value.close()
    assert caught.value.code == 404
