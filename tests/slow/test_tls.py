"""``serve --tls``: by a client that trusts the authority, by the views, and behind ``mixminus exec``."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp

from mixminus.intercept.authority import CERTIFICATE_FILE, FOLDER
from mixminus.testing.server import ServerProcess

_PROGRAM = "import plivo; print(plivo.RestClient().multi_party_calls.list().objects)"


async def run(*words: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mixminus", *words),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_a_server_with_a_certificate_of_its_own_authority(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path, "--tls", "localhost") as server:
        address, data = server.address, str(server.data)
        trusting = ssl.create_default_context(cafile=server.data / FOLDER / CERTIFICATE_FILE)
        url = f"https://localhost:{address.http.rpartition(':')[2]}"
        async with aiohttp.ClientSession() as http, http.get(f"{url}/healthz", ssl=trusting) as answer:
            assert answer.status == 200
        assert json.loads(await run("calls", "--data", data, "--json")) == []
        assert await run("exec", "--data", data, "--", sys.executable, "-c", _PROGRAM) == "[]\n"
        account = {"PLIVO_AUTH_ID": address.auth_id, "PLIVO_AUTH_TOKEN": address.auth_token}
        elsewhere = ("--http", url, "--data", data)
        assert await run("exec", *elsewhere, "--", sys.executable, "-c", _PROGRAM, **account) == "[]\n"
