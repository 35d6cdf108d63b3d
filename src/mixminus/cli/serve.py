"""``mixminus serve``: settings in, server run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from mixminus import settings


def serve(overrides: dict[str, Any], file: Path | None) -> int:
    """Run the server until it is told to end; returns the exit code.

    The server installs its own signal handlers. Raises :class:`~mixminus.errors.ConfigurationError`.
    """
    loaded = settings.load(overrides, file=file)
    from mixminus.server import serve as run_server

    with asyncio.Runner(loop_factory=_event_loop()) as runner:
        runner.run(run_server(loaded))
    return 0


def _event_loop() -> Any:
    """uvloop's where there is one (not on Windows)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
