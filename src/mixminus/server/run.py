"""The life of one server process: start, signals, drain, end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from mixminus.errors import MixminusError
from mixminus.server.root import Server
from mixminus.settings import Settings

log = structlog.get_logger(__name__)


async def serve(settings: Settings, *, announce: Callable[[Server], None] = lambda server: None) -> None:
    """Run until SIGTERM (drain; a second one ends now) or SIGINT (end now). ``announce`` is called once calls can be
    taken.

    Raises:
        ConfigurationError: a setting, port or folder cannot be used.
        MixminusError: a part failed that the server cannot be without.
    """
    server = Server(settings)
    drain, end = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: end.set() if drain.is_set() else drain.set())
    loop.add_signal_handler(signal.SIGINT, end.set)
    if not await _started(server, drain, end):
        return
    try:
        announce(server)
        log.info("ready", http=server.http_address, sip=server.sip_address)
        calm_garbage_collector()
        await _first(drain, end, server.broken)
        if drain.is_set() and not end.is_set():
            log.info("draining", seconds=settings.drain_seconds)
            await _until(server.drain(), end)
        await server.end_now()
    finally:
        await server.stop()
    log.info("stopped")
    if server.broken.is_set():
        raise MixminusError("the server ended because callbacks could no longer be delivered; its log says why")


async def _started(server: Server, *signals: asyncio.Event) -> bool:
    """Start, unless a signal comes first: then what had started is stopped again."""
    starting = asyncio.create_task(server.start())
    signalled = asyncio.create_task(_first(*signals))
    await asyncio.wait({starting, signalled}, return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if not starting.done():
        log.info("told to end while starting")
        starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    return not starting.cancelled()


def calm_garbage_collector() -> None:
    """What start-up made stays; the rest is looked at rarely: thousands of SIP transactions live for 32 s each."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _first(*events: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def _until(work: Coroutine[Any, Any, None], end: asyncio.Event) -> None:
    """Await ``work``, or give it up when ``end`` is set."""
    task = asyncio.create_task(work)
    waiting = asyncio.create_task(end.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not task.done():
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
