"""Runs one SDK's program under ``mixminus exec`` against a real server and phones, and keeps what it reports."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import soundfile
from aiohttp import web

from mixminus.testing import sources
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink, Received

PHONES = ("agent", "customer", "supervisor", "waiting", "single")
_PATIENCE = 120.0
_WAIT = "<Response><Wait length='30'/></Response>"


@dataclass
class Report:
    """What a program said: its SDK, and each operation with what went wrong, empty for passed."""

    sdk: str = ""
    package: str = ""
    version: str = ""
    operations: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> dict[str, str]:
        return {name: detail for name, detail in self.operations.items() if detail}

    def as_row(self) -> dict[str, Any]:
        """For the table of ``docs/compatibility.md``."""
        return {
            "sdk": self.sdk,
            "package": self.package,
            "version": self.version,
            "passed": len(self.operations) - len(self.failed),
            "operations": len(self.operations),
            "failed": sorted(self.failed),
        }


class Run:
    """One program, from its start to its end."""

    def __init__(self, server: ServerProcess, sink: CallbackSink, folder: Path, name: str) -> None:
        self._server = server
        self._sink = sink
        self._folder = folder
        self._name = name
        self.report = Report()

    async def __call__(self, words: Sequence[str], environment: dict[str, str]) -> Report:
        """Run ``words``; raises :class:`AssertionError` with its errors if it breaks off."""
        self._sink.answer("/wait.xml", _WAIT)
        async with AsyncExitStack() as stack:
            given = {"name": self._name, "sink": self._sink.url("").rstrip("/")}
            given["audio"] = await stack.enter_async_context(_Tone())
            for phone in PHONES:
                made = await stack.enter_async_context(VirtualPhone(phone))
                given[phone] = made.address
            caller = await stack.enter_async_context(VirtualPhone("caller"))
            errors = self._folder / f"{self._name}.err"
            with errors.open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "mixminus", "exec", "--data", str(self._server.data), "--", *words),
                    env={**environment, "INTEROP": json.dumps(given)},
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    limit=1 << 20,
                )
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._listen(process, caller)
                    code = await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        assert code == 0, f"{errors.read_text()[-3000:]}\n{self.report.failed}"
        return self.report

    async def _listen(self, process: asyncio.subprocess.Process, caller: VirtualPhone) -> None:
        assert process.stdout is not None and process.stdin is not None
        async for raw in process.stdout:
            if not raw.startswith(b"{"):  # some SDKs print
                continue
            line = json.loads(raw)
            match line:
                case {"sdk": sdk, "package": package, "version": version}:
                    self.report.sdk, self.report.package, self.report.version = sdk, package, version
                case {"ask": "xml", "op": name, "xml": xml}:
                    self.report.operations[name] = await self._call_in(caller, xml)
                case {"ask": "callbacks"}:
                    await self._sink.wait_for("MPCEnd")
                    await self._sink.wait_for("MPCRecordingCompleted")
                    process.stdin.write(json.dumps([_as_json(one) for one in self._sink.received]).encode() + b"\n")
                    await process.stdin.drain()
                case {"op": name, "ok": ok}:
                    self.report.operations[name] = "" if ok else line.get("detail") or "failed"

    async def _call_in(self, caller: VirtualPhone, xml: str) -> str:
        """What is wrong with a document of the SDK's, found by calling in to it; empty for nothing."""
        self._sink.answer("/answer", xml)
        try:
            await caller.calls(f"sip:5000@{self._server.address.sip}", timeout=5)
            await self._sink.wait_for(
                lambda one: one.event == "ParticipantJoin" and one.parameters["MPCName"] == f"{self._name}-xml"
            )
        except (TimeoutError, RuntimeError, OSError) as error:
            return f"{error}; the document: {xml}"
        caller.hangs_up()
        return ""


def _as_json(one: Received) -> dict[str, object]:
    names = {"v2": "V2", "v2Nonce": "V2-Nonce", "v3": "V3", "v3Nonce": "V3-Nonce"}
    asked = {key for key, _ in parse_qsl(urlsplit(one.url).query, keep_blank_values=True)}
    form = {key: value for key, value in one.parameters.items() if key not in asked}
    return {
        "method": one.method,
        "url": one.url,
        "form": form if one.method == "POST" else {},
        **{key: one.headers[f"X-Plivo-Signature-{name}"] for key, name in names.items()},
    }


class _Tone:
    """Serves a second of 440 Hz as wav."""

    async def __aenter__(self) -> str:
        buffer = io.BytesIO()
        soundfile.write(buffer, sources.tone(440), sources.RATE, format="WAV")
        application = web.Application()

        async def tone(request: web.Request) -> web.Response:
            return web.Response(body=buffer.getvalue(), content_type="audio/wav")

        application.router.add_get("/tone.wav", tone)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/tone.wav"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
