"""``mixminus serve --virtual-time``: a world with its controls over HTTP, until a signal ends it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import structlog

from mixminus import settings
from mixminus.testing.virtual.controls import Controls
from mixminus.testing.virtual.world import World

SEED = "VIRTUAL_TIME_SEED"
"""Environment variable: decides every id; 1 if not given."""


def serve_virtual(overrides: dict[str, Any], file: Path | None = None) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. ``overrides``: settings by name, None is not given.

    Raises :class:`~mixminus.errors.ConfigurationError`.
    """
    seed = int(os.environ.get(SEED, "1"))
    loaded = settings.load({**overrides, "dev": True, "rate_limit": 0}, file=file)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with World(loaded.data, seed=seed, controls=Controls, settings=loaded) as world:
        _announce(world)
        done.wait()
    return 0


def _announce(world: World) -> None:
    address = world.address
    lines = {
        "REST API": address.api,
        "controls": f"{address.api}/testing/",
        "auth id": address.auth_id,
        "auth token": address.auth_token,
        "seed": str(world.seed),
    }
    sys.stdout.write("".join(f"{name:<12} {value}\n" for name, value in lines.items()))
    sys.stdout.flush()
