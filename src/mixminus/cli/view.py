"""What the views have in common: a table, JSON with ``--json``, and drawn again and again with ``--watch``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table

from mixminus.cli.client import ApiRefused

WATCH_SECONDS = 1.0


def show(gather: Callable[[], Any], draw: Callable[[Any], RenderableType], *, as_json: bool, watch: bool) -> int:
    """Gather and show; returns the exit code. JSON is one document, or with ``watch`` one line each time."""
    console = Console(highlight=False)
    try:
        if not watch:
            _once(gather(), draw, console, as_json=as_json)
            return 0
        if as_json or not console.is_terminal:
            while True:
                _once(gather(), draw, console, as_json=as_json, indent=None)
                time.sleep(WATCH_SECONDS)
        with Live(draw(gather()), console=console, auto_refresh=False, screen=True) as live:
            while True:
                time.sleep(WATCH_SECONDS)
                live.update(draw(gather()), refresh=True)
    except ApiRefused as error:
        sys.stderr.write(f"mixminus: {error}\n")
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 0


def _once(
    found: Any, draw: Callable[[Any], RenderableType], console: Console, *, as_json: bool, indent: int | None = 2
) -> None:
    if as_json:
        sys.stdout.write(json.dumps(found, indent=indent, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    else:
        console.print(draw(found))


def table(*columns: str) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def parse_moment(text: str | None) -> datetime | None:
    """A time as the API writes it."""
    return None if not text else datetime.fromisoformat(text)


def age(text: str | None, now: datetime | None = None) -> str:
    """How long ago, in the largest two units: ``3 h 12 min``."""
    moment = parse_moment(text)
    if moment is None:
        return ""
    seconds = max(0, int(((now or datetime.now(UTC)) - moment).total_seconds()))
    units: Sequence[tuple[str, int]] = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        if seconds >= size or (name == "s" and not parts):
            parts.append(f"{seconds // size} {name}")
            seconds %= size
    return " ".join(parts[:2])
