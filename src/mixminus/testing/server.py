"""A real server in a process of its own, on free ports, in a folder of the caller's: for tests and the demo.

::

    async with ServerProcess(tmp_path) as server:
        client = server.plivo_client()
        ...

The server writes ``{data}/server.json`` when it can take calls; that is how its addresses are learnt.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_POLL = 0.02
"""Seconds between looks for ``server.json``."""
_LAST_LINES = 15


class ServerFailed(Exception):
    """The server did not come up, or did not go down. The text ends with its last log lines."""


@dataclass(frozen=True)
class ServerAddress:
    """What ``server.json`` says."""

    http: str
    """HOST:PORT of the REST API."""
    sip: str
    """HOST:PORT of SIP, UDP and TCP."""
    pid: int
    auth_id: str
    auth_token: str
    sip_tls: str = ""
    """HOST:PORT of SIP over TLS; empty: none is taken."""

    @property
    def api(self) -> str:
        """Base URL of the REST API, without a slash at its end."""
        return f"http://{self.http}"


class ServerProcess:
    """``mixminus serve --dev`` with its whole process tree. Can be started again on the same folder after it ended.

    ``options`` are further command line words, ``environment`` further variables; without an HTTP, SIP or RTP option
    free ports of 127.0.0.1 are taken.
    """

    def __init__(self, folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self.data = folder / "data"
        self.log = folder / "server.log"
        self._folder = folder
        self._options = options
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._address: ServerAddress | None = None

    @property
    def address(self) -> ServerAddress:
        if self._address is None:
            raise ServerFailed("the server has not been started")
        return self._address

    async def start(self, *, timeout: float = 40.0) -> ServerAddress:
        """Start it and wait until it can take calls. Raises :class:`ServerFailed` with the end of its log."""
        hand_shake = self.data / "server.json"
        hand_shake.unlink(missing_ok=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = process = self._launch()
        deadline = time.monotonic() + timeout
        while not hand_shake.exists():
            if process.poll() is not None:
                raise ServerFailed(f"the server ended with code {process.returncode}:\n{self.last_lines()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"the server was not ready after {timeout:g} s:\n{self.last_lines()}")
            await asyncio.sleep(_POLL)
        self._address = _read(hand_shake)
        return self._address

    async def stop(self, *, timeout: float = 15.0) -> int:
        """End it as an impatient operator would (SIGINT: no draining) and wait. Returns its exit code."""
        process = self._running()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        return await self.wait(timeout=timeout)

    async def wait(self, *, timeout: float = 15.0) -> int:
        """Wait for the process to end by itself; after ``timeout`` the tree is killed and the delay reported."""
        process = self._running()
        try:
            return await asyncio.to_thread(process.wait, timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"the server did not end within {timeout:g} s:\n{self.last_lines()}") from None

    def terminate(self) -> None:
        """Ask it to drain (SIGTERM)."""
        self._running().send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """``kill -9`` of the whole process tree at once, and wait until it is gone. Harmless if it has ended."""
        process = self._running()
        if process.poll() is not None:
            return
        # Frozen first, or it would replace the workers that die before it.
        process.send_signal(signal.SIGSTOP)
        for pid in [*descendants(process.pid), process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()

    def last_lines(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-_LAST_LINES:])

    async def fetch(self, url: str) -> bytes:
        """GET with the account's credentials: recordings. Raises :class:`ServerFailed` with the answer if not 200."""
        import aiohttp

        account = f"{self.address.auth_id}:{self.address.auth_token}"
        headers = {"Authorization": f"Basic {base64.b64encode(account.encode()).decode()}"}
        async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as answer:
            body = await answer.read()
        if answer.status != 200:
            raise ServerFailed(f"{url} answered {answer.status}: {body[:500].decode(errors='replace')}")
        return body

    def plivo_client(self) -> Any:
        """The official SDK's client for this server; see :func:`plivo_client`."""
        return plivo_client(self.address)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerFailed("the server has not been started")
        return self._process

    def _launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command(),
                cwd=self._folder,
                env={**_clean_environment(), **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "mixminus", "serve", "--dev", "--data", str(self.data)]
        for option in ("--http", "--sip"):
            if option not in self._options:
                command += [option, "127.0.0.1:0"]
        return [*command, *self._options]


def plivo_client(address: ServerAddress) -> Any:
    """The official Python SDK's client for a server.

    Voice requests can only be sent elsewhere through the SDK's module globals, so this is for the whole process.
    """
    import plivo
    import plivo.rest.client as module

    for name in (
        "PLIVO_API_BASE_URI",
        "API_VOICE_BASE_URI",
        "API_VOICE_BASE_URI_FALLBACK_1",
        "API_VOICE_BASE_URI_FALLBACK_2",
    ):
        setattr(module, name, f"{address.api}/v1/Account")
    return plivo.RestClient(address.auth_id, address.auth_token)


def descendants(pid: int) -> list[int]:
    """Every process below ``pid``, nearest first (Linux: read from ``/proc``)."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(0), [])
        found += below
        waiting += below
    return found


def _clean_environment() -> dict[str, str]:
    """Ours, without settings of another server."""
    return {key: value for key, value in os.environ.items() if not key.startswith("MIXMINUS_")}


def _read(path: Path) -> ServerAddress:
    found = json.loads(path.read_text())
    return ServerAddress(**{name: found[name] for name in ("http", "sip", "pid", "auth_id", "auth_token", "sip_tls")})
