"""``mixminus serve``: settings in, server run."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from rich.console import Console

from mixminus import settings

if TYPE_CHECKING:
    from mixminus.server import Server


def serve(overrides: dict[str, Any], file: Path | None) -> int:
    """Run the server until it is told to end; returns the exit code.

    The server installs its own signal handlers. Raises :class:`~mixminus.errors.ConfigurationError`.
    """
    loaded = settings.load(overrides, file=file)
    _configure_logs(loaded.log_level)
    from mixminus.server import serve as run_server

    with asyncio.Runner(loop_factory=_event_loop()) as runner:
        runner.run(run_server(loaded, announce=_announce))
    return 0


def _announce(server: Server) -> None:
    """What a person needs to make the first request; the log goes to standard error."""
    console = Console()
    console.print(f"REST API     {server.public_url}", highlight=False)
    console.print(f"SIP          {server.sip_address} (UDP and TCP)", highlight=False)
    if server.sip_tls_address:
        console.print(f"SIP, TLS     {server.sip_tls_address}", highlight=False)
    console.print(f"auth id      {server.account.id}", highlight=False)
    console.print(f"auth token   {server.account.token}", highlight=False)
    sys.stdout.flush()


def _configure_logs(level: str) -> None:
    """Lines for people on a terminal, JSON otherwise; on standard error."""
    least = logging.getLevelName(level.upper())
    logging.basicConfig(level=max(least, logging.WARNING), stream=sys.stderr)
    readable = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _event_loop() -> Any:
    """uvloop's where there is one (not on Windows)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
