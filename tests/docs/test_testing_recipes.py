"""Every test on the page "Testing your call flows" runs as it stands there."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from mixminus.testing.virtual.world import World

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
SHARED = [block for block in BLOCKS if "def test_" not in block]
TESTS = {re.findall(r"def (test_\w+)", block)[0]: block for block in BLOCKS if "def test_" in block}


@pytest.mark.parametrize("name", TESTS)
def test_the_page_is_right(name: str, mixminus: World) -> None:
    names: dict[str, Any] = {}
    for block in (*SHARED, TESTS[name]):
        exec(compile(block, f"{PAGE.name}: {name}", "exec"), names)
    found = names[name](mixminus)
    if inspect.iscoroutine(found):
        asyncio.run(found)


def test_all_recipes_that_were_promised_are_there() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for title in (
        "IVR digits",
        "No answer",
        "Coach",
        "Pause for card data",
        "A recording fails",
        "The callback server",
    ):
        assert f"**{title}" in page, title
    assert len(TESTS) >= 8
