"""What the slow tests share: a server, a sink, and phones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from mixminus.testing import sources
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink
from slow.support import PhoneMaker


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest_asyncio.fixture
async def sink() -> AsyncIterator[CallbackSink]:
    async with CallbackSink() as running:
        yield running


@pytest_asyncio.fixture
async def server(tmp_path: Path, sink: CallbackSink) -> AsyncIterator[ServerProcess]:
    """A server whose inbound calls ask the sink's ``/answer``."""
    environment = {"MIXMINUS_DEFAULT_ANSWER_URL": sink.url("/answer")}
    async with ServerProcess(tmp_path / "server", environment=environment) as running:
        sink.auth_token = running.address.auth_token
        yield running


@pytest_asyncio.fixture
async def phone() -> AsyncIterator[PhoneMaker]:
    """``await phone("agent", 440)``: a new phone humming a tone."""
    async with AsyncExitStack() as phones:

        async def make(name: str, hz: float) -> VirtualPhone:
            made = await phones.enter_async_context(VirtualPhone(name))
            made.says(sources.tone(hz), loop=True)
            return made

        yield make
