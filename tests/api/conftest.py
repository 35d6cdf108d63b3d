from __future__ import annotations

import pytest

from api.world import Browser, World
from memory import tmp_path

__all__ = ["ask", "tmp_path", "world"]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ask(world: World) -> Browser:
    return Browser(world.app())
