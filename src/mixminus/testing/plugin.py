"""The pytest plugin: a telephone world in virtual time for every test that asks for ``mixminus``.

Nothing heavy is imported here: every pytest run on a machine with mixminus loads this file.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mixminus.testing.virtual.world import World

_MEMORY = Path("/dev/shm")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mixminus(seed=1, **settings): how the mixminus fixture's world is made")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test's report ends with what happened in its world."""
    report = yield
    world = getattr(item, "funcargs", {}).get("mixminus")
    if call.when == "call" and report.failed and world is not None:
        report.sections.append(("mixminus timeline", _picture(world, item)))
    return report


def _picture(world: World, node: pytest.Item) -> str:
    """The timeline as text; beside the test lies the same as a picture."""
    from mixminus.testing.virtual.replay import freeze

    timeline = world.timeline()
    folder = node.path.parent / ".mixminus"
    name = re.sub(r"[^\w.-]+", "_", f"{node.path.stem}.{node.name}")
    try:
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.svg"
        path.write_text(timeline.svg())
        path.with_suffix(".png").write_bytes(timeline.png())
        frozen = folder / f"{name}.run"
        frozen.write_bytes(freeze(world))
        where = f"picture: {path} and .png\nrun it again: mixminus replay {frozen}"
    except OSError as error:
        where = f"no picture: {error}"
    return f"{timeline.text()}\n{where}"


@pytest.fixture
def mixminus(request: pytest.FixtureRequest) -> Iterator[World]:
    """A server, phones and a clock that moves only when told to; see docs/testing.md."""
    from mixminus.testing.virtual.world import World

    marker = request.node.get_closest_marker("mixminus")
    options = dict(marker.kwargs) if marker else {}
    options.setdefault("seed", 1)
    folder = Path(tempfile.mkdtemp(prefix="mixminus-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None))
    try:
        with World(folder, **options) as world:
            yield world
    finally:
        shutil.rmtree(folder, ignore_errors=True)
