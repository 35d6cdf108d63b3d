"""The pytest plugin: a telephone world in virtual time for every test that asks for ``mixminus``.

Nothing heavy is imported here: every pytest run on a machine with mixminus loads this file.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mixminus.testing.virtual.world import World

_MEMORY = Path("/dev/shm")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mixminus(seed=1, **settings): how the mixminus fixture's world is made")


@pytest.fixture
def mixminus(request: pytest.FixtureRequest) -> Iterator[World]:
    """A server, phones and a clock that moves only when told to; see docs/testing.md."""
    from mixminus.testing.virtual.world import World

    marker = request.node.get_closest_marker("mixminus")
    options = dict(marker.kwargs) if marker else {}
    folder = Path(tempfile.mkdtemp(prefix="mixminus-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None))
    try:
        with World(folder, **options) as world:
            yield world
    finally:
        shutil.rmtree(folder, ignore_errors=True)
