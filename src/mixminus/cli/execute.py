"""``mixminus exec``: run a command whose traffic for the vendor's hosts comes here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mixminus.cli.running import Running, find
from mixminus.intercept.authority import Authority
from mixminus.intercept.gateway import HOSTS, Gateway
from mixminus.intercept.trust import variables, write_trust
from mixminus.testing.server import ServerFailed, ServerProcess

NOT_FOUND, NOT_EXECUTABLE, ENDED = 127, 126, 143
"""Exit codes, as a shell's."""
_PATIENCE = 60.0
"""Seconds for a server to start, on a machine that is busy with tests."""


def execute(
    words: Sequence[str],
    data: Path | None,
    http: str | None,
    *,
    serve: bool,
    virtual_time: bool = False,
    allow_other_hosts: bool,
) -> int:
    """Run ``words``; returns its exit code. Raises :class:`~mixminus.errors.ConfigurationError`.

    ``serve``: with a server of its own; ``virtual_time``: with one whose clock moves only when told to.
    """
    options = ("--virtual-time",) if virtual_time else ()
    own = _own_server(data, *options) if serve or virtual_time else None
    try:
        return asyncio.run(
            _execute(words, data, http, own, virtual_time=virtual_time, allow_other_hosts=allow_other_hosts)
        )
    except (asyncio.CancelledError, KeyboardInterrupt):
        return ENDED


async def _execute(
    words: Sequence[str],
    data: Path | None,
    http: str | None,
    own: contextlib.AbstractAsyncContextManager[Running] | None,
    *,
    virtual_time: bool,
    allow_other_hosts: bool,
) -> int:
    task = asyncio.current_task()
    assert task is not None
    # Until the command runs, SIGTERM ends what was started for it too.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with contextlib.AsyncExitStack() as closing:
        try:
            server = find(data, http) if own is None else await closing.enter_async_context(own)
        except ServerFailed as error:
            _say(str(error))
            return 1
        now = datetime.now(UTC)
        authority = Authority.open(server.data, now)
        gateway = Gateway(
            server.upstream,
            authority.server_context(HOSTS, now),
            allow_other_hosts=allow_other_hosts,
            refused=_Refusals(),
        )
        proxy = await gateway.start()
        closing.push_async_callback(gateway.stop)
        credentials = {"PLIVO_AUTH_ID": server.auth_id, "PLIVO_AUTH_TOKEN": server.auth_token}
        if http is None:
            credentials["MIXMINUS_DATA"] = str(server.data.resolve())  # so that mixminus calls and the like find it
        if virtual_time:
            credentials["VIRTUAL_TIME_URL"] = f"http://{server.http}"  # its controls are no API of the vendor's
        return await _run(words, variables(proxy, write_trust(authority, os.environ), credentials, os.environ))


@contextlib.asynccontextmanager
async def _own_server(data: Path | None, *options: str) -> AsyncIterator[Running]:
    """A server for as long as the command runs, on free ports; its folder is removed unless ``data`` names it."""
    with contextlib.ExitStack() as folders:
        folder = data or Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="mixminus-exec-")))
        process = ServerProcess(folder, *options)
        try:
            address = await process.start(timeout=_PATIENCE)
        except asyncio.CancelledError:
            process.kill()
            raise
        try:
            yield Running(address.http, address.auth_id, address.auth_token, process.data)
        finally:
            await process.stop()


async def _run(words: Sequence[str], environment: dict[str, str]) -> int:
    """The command with our terminal; signals are its own business, and SIGTERM is handed on."""
    loop = asyncio.get_running_loop()
    child: asyncio.subprocess.Process | None = None
    told_to_end = False

    def hand_on() -> None:
        nonlocal told_to_end
        told_to_end = True
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()

    # A terminal sends SIGINT to both; the command decides what it means, and we end when it does.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, hand_on)
    try:
        child = await asyncio.create_subprocess_exec(*words, env=environment)
    except FileNotFoundError:
        _say(f"{words[0]}: no such command")
        return NOT_FOUND
    except OSError as error:
        _say(f"{words[0]}: {error.strerror}")
        return NOT_EXECUTABLE
    if told_to_end:
        hand_on()
    code = await child.wait()
    return code if code >= 0 else 128 - code


class _Refusals:
    """Says once per host what was refused: a silent refusal looks like a network that is down."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, host: str) -> None:
        if host not in self._known:
            self._known.add(host)
            _say(f"exec: refused a connection to {host}; allow others than Plivo's with --allow-other-hosts")


def _say(text: str) -> None:
    for line in text.splitlines():
        print(f"mixminus: {line}", file=sys.stderr)  # noqa: T201
