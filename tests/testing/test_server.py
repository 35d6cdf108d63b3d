from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mixminus.testing.server import ServerFailed, ServerProcess, descendants


async def test_a_server_that_does_not_come_up_tells_why(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--http", "nowhere")
    with pytest.raises(ServerFailed, match=r"(?s)ended with code 2:.*'nowhere' is not HOST:PORT"):
        await server.start()


async def test_settings_of_another_server_do_not_leak_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIXMINUS_HTTP", "nonsense")
    server = ServerProcess(tmp_path, "--sip", "odd")
    with pytest.raises(ServerFailed) as failed:
        await server.start()
    assert "nonsense" not in str(failed.value)


async def test_a_server_that_was_not_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="not been started"):
        await ServerProcess(tmp_path).stop()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_descendants_are_found_to_the_grandchild() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = descendants(os.getpid())
        assert child.pid in found
        assert len(descendants(child.pid)) == 1
        child.communicate(b"\n")
