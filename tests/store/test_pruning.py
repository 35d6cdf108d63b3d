"""Old callbacks are forgotten; what is owed, young, or needed for the next number is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mixminus.store import pruning
from mixminus.store.db import Store
from mixminus.store.pruning import CallbackPruner
from mixminus.store.rows import AttemptRow, OutboxRow
from mixminus.store.transaction import Transaction

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path)
    yield opened
    await opened.close()


async def tell(store: Store, name: str, *, days_ago: float | None, state: str = "delivered") -> None:
    """A callback that was settled so long ago, with two attempts; ``None``: it is still owed."""
    done_at = None if days_ago is None else NOW - timedelta(days=days_ago)
    row = OutboxRow(
        id=name,
        lane="a",
        account="MA",
        url="http://a/",
        method="POST",
        event=b"{}",
        created_at=NOW - timedelta(days=100),
        state="pending" if days_ago is None else state,
        done_at=done_at,
    )
    tries = (AttemptRow(id=f"{name}-{n}", outbox_id=name, started_at=NOW, duration_ms=1) for n in range(2))
    await store.commit(Transaction(save=tuple(tries), outbox=(row,)))


async def left(store: Store, *names: str) -> list[str]:
    """Which of them are there; each with both attempts, or with none if it is not."""
    found = []
    for name in names:
        there = await store.outbox_row(name) is not None
        assert len(await store.attempts(name)) == (2 if there else 0)
        found += [name] if there else []
    return found


async def test_what_was_settled_long_ago_is_forgotten(store: Store) -> None:
    await tell(store, "old", days_ago=31)
    await tell(store, "owed", days_ago=None)
    await tell(store, "refused", days_ago=40, state="gave_up")
    await tell(store, "young", days_ago=29)
    await tell(store, "last", days_ago=31)
    assert await CallbackPruner(store, 30).prune(NOW) == 2
    assert await left(store, "old", "owed", "refused", "young", "last") == ["owed", "young", "last"]
    assert [row.id for row in (await store.callbacks("MA")).rows] == ["last", "young", "owed"]


async def test_many_go_in_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 3)
    monkeypatch.setattr(pruning, "BATCHES", 2)
    names = [str(number) for number in range(10)]
    for name in names:
        await tell(store, name, days_ago=31)
    pruner = CallbackPruner(store, 30)
    assert await pruner.prune(NOW) == 6
    assert await left(store, *names) == names[6:]
    assert await pruner.prune(NOW) == 3
    assert await pruner.prune(NOW) == 0
    assert await left(store, *names) == ["9"]


async def test_zero_days_keep_them_for_ever(store: Store) -> None:
    await tell(store, "old", days_ago=3000)
    await tell(store, "last", days_ago=3000)
    assert await CallbackPruner(store, 0).prune(NOW) == 0
    assert await left(store, "old") == ["old"]


async def test_numbers_go_on_after_all_was_forgotten_and_a_restart(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    for name in ("a", "b", "c"):
        await tell(store, name, days_ago=31)
    await CallbackPruner(store, 30).prune(NOW)
    await store.close()
    store = await Store.open(tmp_path)
    await tell(store, "d", days_ago=0)
    row = await store.outbox_row("d")
    assert row is not None and row.number == 4
    await store.close()
