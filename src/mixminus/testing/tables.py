"""How many entries every container of a part of the program has: what must be the same after everybody has left."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

_CONTAINERS = (dict, list, set, deque)


def table_sizes(root: object) -> dict[str, int]:
    """Path of every dict, list, set and deque that is reachable from ``root`` through attributes of mixminus' own
    objects, and through tuples and lists of such → number of its entries.
    """
    found: dict[str, int] = {}
    seen: set[int] = set()
    waiting: deque[tuple[str, Any]] = deque([("", root)])
    while waiting:
        path, thing = waiting.popleft()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, _CONTAINERS):
            found[path] = len(thing)
        waiting.extend((path + name, value) for name, value in _inside(thing) if _is_worth_a_look(value))
    return found


def grown(before: dict[str, int], after: dict[str, int], by: int = 0) -> dict[str, tuple[int, int]]:
    """Containers that have more entries than before, or are new and not empty."""
    return {
        path: (before.get(path, 0), size) for path, size in sorted(after.items()) if size > before.get(path, 0) + by
    }


def _inside(thing: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, list | tuple) and len(thing) <= 64:
        yield from ((f"[{at}]", value) for at, value in enumerate(thing))
    elif _is_ours(thing):
        names = [*getattr(thing, "__dict__", ()), *getattr(type(thing), "__slots__", ())]
        yield from ((f".{name}", getattr(thing, name, None)) for name in names)


def _is_worth_a_look(value: Any) -> bool:
    return isinstance(value, (tuple, *_CONTAINERS)) or _is_ours(value)


def _is_ours(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "mixminus"
