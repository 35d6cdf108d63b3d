"""``calls``, ``webhooks`` and ``exec`` against a real server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixminus.testing.multiparty import MultiPartyCall
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink


async def run(server: ServerProcess, *words: str, check: bool = True) -> str:
    command: Sequence[str] = (sys.executable, "-m", "mixminus", *words[:1], "--data", str(server.data), *words[1:])
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=30, check=False, cwd=server.data
    )
    assert not check or done.returncode == 0, done.stderr
    return str(done.stdout + ("" if check else done.stderr))


async def ask(server: ServerProcess, *words: str) -> Any:
    return json.loads(await run(server, *words, "--json"))


async def test_the_views_show_a_live_call_and_what_was_said_of_it(tmp_path: Path) -> None:
    async with CallbackSink() as sink, ServerProcess(tmp_path) as server, VirtualPhone("agent") as agent:
        sink.auth_token = server.address.auth_token
        assert "No multiparty call is live." in await run(server, "calls")
        call = MultiPartyCall(server.plivo_client(), sink, "sales")
        await call.add("agent", agent)

        ((live),) = await ask(server, "calls")
        assert (live["friendly_name"], live["status"]) == ("sales", "Active")
        assert [one["role"] for one in live["members"]] == ["agent"]

        told = await ask(server, "webhooks", "--state", "delivered")
        (joined,) = (one for one in told if one["name"] == "ParticipantJoin")
        assert joined["tries"][0]["status"] == 200 and joined["tries"][0]["duration_ms"] >= 0
        assert "ParticipantJoin" in await run(server, "webhooks")
        await _redeliver(server, sink, joined["callback_id"])
        refused = await run(server, "calls", "--http", "nonsense", check=False)
        assert "PLIVO_AUTH_ID" in refused

        program = "import plivo; print(plivo.RestClient().multi_party_calls.get(friendly_name='sales').status)"
        assert await run(server, "exec", "--", sys.executable, "-c", program) == "Active\n"
        assert "no such command" in await run(server, "exec", "--", "/no/such/command", check=False)


async def _redeliver(server: ServerProcess, sink: CallbackSink, callback_id: str) -> None:
    """It comes again under its old id, with a signature that fits, and the attempt is kept."""
    where = ("--data", str(server.data))
    words = (sys.executable, "-m", "mixminus", "webhooks")
    done = await asyncio.to_thread(
        subprocess.run,
        [*words, "redeliver", callback_id, *where],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    again = await sink.wait_for("ParticipantJoin", count=2)
    assert again.headers["X-Mixminus-Event-Id"] == callback_id
    assert again.signature.valid
    for _ in range(50):
        shown = await asyncio.to_thread(
            subprocess.run, [*words, "show", callback_id, *where, "--json"], capture_output=True, text=True, check=True
        )
        if len(json.loads(shown.stdout)["tries"]) == 2:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the second attempt was not kept")
