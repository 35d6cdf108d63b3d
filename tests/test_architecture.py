"""The two rules that keep the house in order: imports point one way, and only shells touch the world."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "mixminus"

LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "clock", "ids", "settings"}),
    frozenset({"sip", "sdp", "rtp", "rtc"}),
    frozenset({"media", "store", "outbound"}),
    frozenset({"recording", "sounds"}),
    frozenset({"calls"}),
    frozenset({"webhooks", "api", "console"}),
    frozenset({"intercept"}),
    frozenset({"server"}),
    frozenset({"cli", "testing"}),
    frozenset({"__main__"}),
)
"""A part may import parts of lower levels, and itself. Parts of one level are strangers, but for ``ALLOWED``."""

ALLOWED = {("settings", "errors"), ("cli", "testing")}
"""Pairs beyond the rule: settings explain themselves, and the demo has phones."""

WORLD = frozenset(
    {"asyncio", "socket", "threading", "sqlite3", "time", "sqlalchemy", "aiohttp", "selectors", "multiprocessing"}
    | {"subprocess", "uvicorn", "concurrent"}
)
PURE_PARTS = frozenset({"sip", "sdp", "rtp", "rtc", "media", "calls", "webhooks"})
SHELLS = frozenset(
    {
        # media: sockets, the clock, the process and its client
        "media/loop", "media/netio", "media/worker", "media/taping/aside", "media/taping/spool", "media/wide/crew",
        "media/fleet/carrying", "media/fleet/client", "media/fleet/endpoint", "media/fleet/ports",
        "media/fleet/sharing", "sip/endpoint", "sip/netio",
        # calls: what runs the pure machines
        "calls/service", "calls/switchboard", "calls/mailbox", "calls/books", "calls/recorder", "calls/renderings",
        "calls/lines", "calls/sounds/players",
        "webhooks/deliver", "webhooks/documents",
    }
)  # fmt: skip


def level_of(part: str) -> int:
    return next(number for number, parts in enumerate(LEVELS) if part in parts)


def part_of(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@cache
def imports(path: Path) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module)
            found += (f"{node.module}.{alias.name}" for alias in node.names if node.module == "mixminus")
    return tuple(found)


def modules() -> list[Path]:
    return [path for path in sorted(SOURCE.rglob("*.py")) if path != SOURCE / "__init__.py"]


def test_every_part_has_a_level() -> None:
    known = frozenset().union(*LEVELS)
    assert {part_of(path) for path in modules()} <= known


def test_imports_point_one_way() -> None:
    wrong = []
    for path in modules():
        part = part_of(path)
        for name in imports(path):
            target = name.split(".")[1] if name.startswith("mixminus.") else part
            if target == "__version__" or target == part or (part, target) in ALLOWED:
                continue
            if level_of(target) >= level_of(part):
                wrong.append(f"{path.relative_to(SOURCE)} imports {name}")
    assert wrong == []


def test_only_shells_touch_the_world() -> None:
    impure = []
    for path in modules():
        relative = path.relative_to(SOURCE).with_suffix("").as_posix()
        if part_of(path) not in PURE_PARTS or relative in SHELLS:
            continue
        impure += [f"{relative} imports {name}" for name in imports(path) if name.split(".")[0] in WORLD]
    assert impure == []


def test_every_shell_named_here_exists() -> None:
    assert [shell for shell in sorted(SHELLS) if not (SOURCE / f"{shell}.py").exists()] == []
