"""What the server stands on: sockets, folders, timers and small checks of its surroundings."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog
import uvicorn

from mixminus.errors import ConfigurationError, StorageError
from mixminus.media.codecs import g722, opus
from mixminus.recording.storage.objects import ObjectStorage, StoreRefuses
from mixminus.sdp.answer import CODECS, SPOKEN, Codec
from mixminus.settings import split_host_port

log = structlog.get_logger(__name__)

STORE_CHECK_SECONDS = 10.0


class LoopTimers:
    """:class:`~mixminus.calls.ports.Timers` on the running event loop."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        return asyncio.get_running_loop().call_later(seconds, action).cancel


class HttpServer(uvicorn.Server):
    """uvicorn without its own signal handling: signals are the server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def spoken(names: Sequence[str]) -> tuple[Codec, ...]:
    """Codecs of the setting, as SDP names them; Opus only where there is a libopus."""
    wanted = [codec for name in names for codec in SPOKEN if codec.lower() == name]
    if "opus" in wanted and not opus.available():
        log.warning("no libopus was found: calls go without Opus", fix="pip install opuslib-next-bundled")
        wanted.remove("opus")
    return tuple(wanted) or CODECS


def wide_rates(codecs: Sequence[Codec]) -> list[int]:
    """Hz above 8 kHz at which a phone with one of these may listen."""
    return [rate for codec, rate in (("G722", g722.RATE), ("opus", opus.RATE)) if codec in codecs]


def make_data_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"data folder {folder}: {error.strerror}; choose one that can be written with --data"
        ) from error


async def check_store(remote: ObjectStorage) -> None:
    try:
        async with asyncio.timeout(STORE_CHECK_SECONDS):
            await remote.check()
    except StoreRefuses as error:
        raise ConfigurationError(f"storage: {error}") from error
    except (StorageError, TimeoutError) as error:
        reason = str(error) or f"no answer within {STORE_CHECK_SECONDS:g} s"
        log.warning("the store is away; recordings stay here until it is back", store=remote.url, error=reason)


async def cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def listen(address: str) -> socket.socket:
    host, port = split_host_port(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small pieces at once (TCP_NODELAY) only where the protocol is named: without, the body of an answer
    # waits 40 ms for the client to acknowledge the headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"http: cannot listen on {address}: {error.strerror}; choose another with --http"
        ) from error
    return listener


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and readable by the owner only: it holds the token."""
    beside = path.with_suffix(".tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    beside.replace(path)
