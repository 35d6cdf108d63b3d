"""``mixminus serve --virtual-time``: a world with its controls over HTTP, until a signal ends it."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from mixminus.testing.virtual.controls import Controls
from mixminus.testing.virtual.world import World

SEED = "MIXMINUS_SEED"


def serve_virtual(overrides: dict[str, Any], *, seed: int | None = None) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. ``overrides``: settings by name, None is not given."""
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    given = {key: value for key, value in overrides.items() if value is not None}
    data = Path(given.pop("data", None) or tempfile.mkdtemp(prefix="mixminus-virtual-"))
    seed = int(os.environ.get(SEED, "1")) if seed is None else seed
    with World(data, seed=seed, controls=Controls, **given) as world:
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
    sys.stdout.write(json.dumps({"virtual_time": True, "http": address.http}) + "\n")
    sys.stdout.flush()
