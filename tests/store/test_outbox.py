"""Order within a lane, bounded memory, and taking up after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from mixminus.store.db import Store
from mixminus.store.outbox import KEPT_ROWS, Outbox
from mixminus.store.rows import AttemptRow, OutboxRow
from mixminus.store.transaction import Transaction

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = timedelta(seconds=5)
MUCH_LATER = timedelta(hours=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path)
    yield opened
    await opened.close()


async def outbox_of(store: Store) -> Outbox:
    outbox = Outbox(store)
    store.on_outbox(outbox.add)
    await outbox.load()
    return outbox


async def owe(store: Store, *names: str) -> None:
    """``lane.number`` each."""
    rows = (
        OutboxRow(
            id=name,
            lane=name.partition(".")[0],
            account="MA",
            url=f"http://{name.partition('.')[0]}/",
            method="POST",
            event=b"{}",
            created_at=NOW,
        )
        for name in names
    )
    await store.commit(Transaction(outbox=tuple(rows)))


def due(outbox: Outbox, now: datetime = NOW) -> str:
    return " ".join(ready.lane for ready in outbox.due(now))


async def settle(outbox: Outbox, row: OutboxRow, state: str = "delivered", delay: timedelta | None = None) -> None:
    changed = msgspec.structs.replace(
        row, state=state, attempts=row.attempts + 1, next_at=None if delay is None else NOW + delay
    )
    attempt = AttemptRow(id=f"{row.id}-{changed.attempts}", outbox_id=row.id, started_at=NOW, duration_ms=1, status=200)
    await outbox.settle(changed, attempt)


async def test_a_lane_is_out_once_and_in_order(store: Store) -> None:
    outbox = await outbox_of(store)
    await owe(store, "a.1", "b.1", "a.2")
    assert due(outbox) == "a b"
    await owe(store, "a.3")
    assert due(outbox) == ""
    order = []
    while True:
        row = await outbox.head("a")
        order.append(row.id)
        await settle(outbox, row)
        if due(outbox) != "a":
            break
    assert order == ["a.1", "a.2", "a.3"]
    assert len(outbox) == 1


async def test_a_delayed_row_holds_its_lane_and_no_other(store: Store) -> None:
    outbox = await outbox_of(store)
    await owe(store, "a.1", "a.2", "b.1")
    due(outbox)
    await settle(outbox, await outbox.head("a"), "pending", LATER)
    await settle(outbox, await outbox.head("b"))
    await owe(store, "a.3", "b.2")
    assert due(outbox, NOW + LATER / 2) == "b"
    assert outbox.next_due == NOW + LATER
    assert due(outbox, NOW + LATER) == "a"
    row = await outbox.head("a")
    assert (row.id, row.attempts) == ("a.1", 1)


async def test_giving_up_lets_the_next_row_go(store: Store) -> None:
    outbox = await outbox_of(store)
    await owe(store, "a.1", "a.2")
    due(outbox)
    await settle(outbox, await outbox.head("a"), "gave_up")
    assert due(outbox) == "a"
    assert (await outbox.head("a")).id == "a.2"


@pytest.mark.parametrize("delay", [LATER, MUCH_LATER])
async def test_long_lanes_are_read_again_and_keep_their_order(store: Store, delay: timedelta) -> None:
    outbox = await outbox_of(store)
    names = [f"a.{i:03}" for i in range(5 * KEPT_ROWS)]
    for start in range(0, len(names), 7):
        await owe(store, *names[start : start + 7])
    due(outbox)
    await settle(outbox, await outbox.head("a"), "pending", delay)
    await owe(store, "a.late")
    assert due(outbox, NOW + delay) == "a"
    order = []
    while len(outbox):
        row = await outbox.head("a")
        order.append(row.id)
        if row.id == names[40]:
            await owe(store, "a.later")
        await settle(outbox, row)
        due(outbox, NOW + delay)
    assert order == [*names, "a.late", "a.later"]


async def test_what_is_pending_survives_a_restart_in_order(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    outbox = await outbox_of(store)
    await owe(store, "a.1", "b.1", "a.2", "b.2", "c.1", "a.3")
    due(outbox)
    await settle(outbox, await outbox.head("a"))
    await settle(outbox, await outbox.head("b"), "pending", MUCH_LATER)
    await settle(outbox, await outbox.head("c"), "gave_up")
    await store.close()

    store = await Store.open(tmp_path)
    outbox = await outbox_of(store)
    assert due(outbox) == "a"
    assert (await outbox.head("a")).id == "a.2"
    await owe(store, "a.4")
    assert due(outbox, NOW + MUCH_LATER) == "b"
    row = await outbox.head("b")
    assert (row.id, row.attempts) == ("b.1", 1)
    order: list[str] = []
    while due(outbox, NOW) == "a" or not order:
        row = await outbox.head("a")
        order.append(row.id)
        await settle(outbox, row)
    assert order == ["a.2", "a.3", "a.4"]
    await store.close()


async def test_every_attempt_is_kept(store: Store) -> None:
    outbox = await outbox_of(store)
    await owe(store, "a.1")
    due(outbox)
    await settle(outbox, await outbox.head("a"), "pending", LATER)
    due(outbox, NOW + LATER)
    await settle(outbox, await outbox.head("a"))
    assert [attempt.id for attempt in await store.attempts("a.1")] == ["a.1-1", "a.1-2"]
    row = await store.outbox_row("a.1")
    assert row is not None and (row.state, row.attempts) == ("delivered", 2)


async def test_rows_committed_while_loading_are_neither_lost_nor_doubled(store: Store) -> None:
    await owe(store, "a.1")
    outbox = Outbox(store)
    store.on_outbox(outbox.add)
    await owe(store, "a.2", "b.1")
    loading = asyncio.create_task(outbox.load())
    await owe(store, "a.3", "c.1")
    await loading
    await owe(store, "a.4")
    assert sorted(due(outbox).split()) == ["a", "b", "c"]
    order = []
    while len(outbox) > 2 or "a.4" not in order:
        row = await outbox.head("a")
        order.append(row.id)
        await settle(outbox, row)
        due(outbox)
    assert order == ["a.1", "a.2", "a.3", "a.4"]
    assert (await outbox.head("b")).id == "b.1"
