from __future__ import annotations

import pytest

from api.world import Browser, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ask(world: World) -> Browser:
    return Browser(world.app())
