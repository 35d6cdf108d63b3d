"""A deliverer on a real store, under a clock that jumps to the next due moment as soon as nothing is under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec

from mixminus.calls.events import MpcEvent
from mixminus.clock import ManualClock
from mixminus.ids import Mint
from mixminus.outbound.request import OutboundRequest, OutboundResponse
from mixminus.store.db import Store
from mixminus.store.rows import AccountRow, OutboxRow
from mixminus.store.transaction import Transaction
from mixminus.webhooks.deliver import Deliverer, Fetcher
from mixminus.webhooks.fairness import Limits

START = datetime(2026, 1, 1, tzinfo=UTC)
MAIN, MAIN_TOKEN = "MAXXXXXXXXXXXXXXXXXX", "main-token"
SUB, SUB_TOKEN = "SAXXXXXXXXXXXXXXXXXX", "sub-token"
Answer = Callable[[OutboundRequest], Awaitable[int]]


class FakeReceivers:
    """Stands in for the client: every request is answered by ``answer`` (status, or raise) and noted in ``seen``."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer
        self.seen: list[OutboundRequest] = []
        self.arrived: asyncio.Queue[OutboundRequest] = asyncio.Queue()

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        self.seen.append(request)
        self.arrived.put_nowait(request)
        status = 200 if self.answer is None else await self.answer(request)
        return OutboundResponse(status, {}, b"body", request.url)

    def sequence(self, url: str = "") -> list[int]:
        """The ``SequenceNumber`` of what came to ``url``, in order of arrival."""
        return [number_of(request) for request in self.seen if request.url.startswith(url)]


def number_of(request: OutboundRequest) -> int:
    return int(dict(parse_qsl(request.body.decode()))["SequenceNumber"])


def owed(number: int, url: str, *, method: str = "POST", lane: str = "", sub_account: str = "") -> OutboxRow:
    event = MpcEvent(name="MPCStart", at=START, sequence=number, mpc_uuid="m", mpc_name="conf é")
    return OutboxRow(
        id=f"{lane or url} {number}",
        lane=lane or url,
        account=MAIN,
        sub_account=sub_account,
        url=url,
        method=method,
        event=msgspec.json.encode(event),
        created_at=START,
    )


async def owe(store: Store, *rows: OutboxRow) -> None:
    await store.commit(Transaction(outbox=rows))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    store = await Store.open(folder)
    accounts = (
        AccountRow(id=MAIN, token=MAIN_TOKEN, created_at=START),
        AccountRow(id=SUB, token=SUB_TOKEN, parent=MAIN, created_at=START),
    )
    await store.commit(Transaction(save=accounts))
    try:
        yield store
    finally:
        await store.close()


class Bench:
    """A running deliverer and its clock."""

    def __init__(self, store: Store, client: Fetcher, *, limits: Limits | None = None, hours: float = 24) -> None:
        self.clock = ManualClock(wall=START)
        self.deliverer = Deliverer(
            store,
            client,
            clock=self.clock,
            mint=Mint(1),
            public_url="http://pbx",
            retry_hours=hours,
            limits=limits or Limits(),
            wait=self._wait,
        )
        self.idle = asyncio.Event()
        """Set when nothing is owed any more."""
        self._running = asyncio.create_task(self.deliverer.run())

    async def _wait(self, wake: asyncio.Event, until: datetime | None) -> None:
        nothing_runs = self.deliverer.under_way == 0
        if not self.deliverer.lanes_pending:
            self.idle.set()
        if until is not None and not wake.is_set() and (nothing_runs or wake is not self.deliverer._wake):
            self.clock.advance(max((until - self.clock.wall).total_seconds(), 0))
            return
        await wake.wait()

    async def until_idle(self) -> None:
        """Everything that was owed is delivered or given up."""
        idle = asyncio.create_task(self.idle.wait())
        await asyncio.wait({idle, self._running}, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        if self._running.done():
            await self._running

    async def stop(self, seconds: float = 0) -> None:
        await self.deliverer.drain(seconds)
        await self._running
