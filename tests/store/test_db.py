"""Durability, isolation between callers, one process per folder, versions."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from mixminus.errors import ConfigurationError, StorageError
from mixminus.store.db import Store
from mixminus.store.rows import AccountRow, ApplicationRow, CallRow, MetaRow, MpcRow, OutboxRow
from mixminus.store.schema import REVISIONS
from mixminus.store.transaction import Transaction

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def account(account_id: str, token: str = "t") -> AccountRow:
    return AccountRow(id=account_id, token=token, created_at=NOW)


def owed(row_id: str, lane: str = "lane") -> OutboxRow:
    return OutboxRow(id=row_id, lane=lane, account="MA", url="http://h/", method="POST", event=b"{}", created_at=NOW)


async def test_rows_come_back_as_they_were_also_after_reopening(tmp_path: Path) -> None:
    rows = (
        MpcRow(id="m", account="MA", friendly_name="é", status="Active", created_at=NOW, settings={"a": [1, None]}),
        CallRow(
            id="c",
            account="MA",
            direction="inbound",
            from_number="1",
            to_number="2",
            status="ringing",
            initiated_at=NOW.replace(microsecond=123456),
        ),
        ApplicationRow(id="a", account="MA", app_name="x", public_uri=True, created_at=NOW),
    )
    store = await Store.open(tmp_path)
    await store.commit(Transaction(save=rows))
    await store.close()
    store = await Store.open(tmp_path)
    assert (await store.mpc("m"), await store.call("c"), await store.application("a")) == rows
    await store.close()


async def test_saving_replaces_and_deleting_removes(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    await store.commit(Transaction(save=(account("A", "one"), account("B"))))
    await store.commit(Transaction(save=(account("A", "two"),), delete=((AccountRow, "B"), (AccountRow, "none"))))
    found = await store.account("A")
    assert found is not None and found.token == "two"
    assert await store.account("B") is None
    await store.close()


async def test_the_last_of_many_concurrent_writes_stands(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    await asyncio.gather(*(store.commit(Transaction(save=(account("A", str(i)),))) for i in range(100)))
    found = await store.account("A")
    assert found is not None and found.token == "99"
    await store.commit(Transaction(delete=((AccountRow, "A"),), save=(account("A", "gone"),)))
    assert await store.account("A") is None
    await store.close()


async def test_a_bad_transaction_fails_alone_and_wholly(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    bad = Transaction(save=(account("partner"), AccountRow(id="bad", token=None, created_at=NOW)))  # type: ignore[arg-type]
    naive = Transaction(save=(AccountRow(id="naive", token="t", created_at=datetime(2026, 1, 1)),))
    results = await asyncio.gather(
        store.commit(Transaction(save=(account("before"),))),
        store.commit(bad),
        store.commit(naive),
        store.commit(Transaction(save=(account("after"),))),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), StorageError, StorageError, type(None)]
    assert await store.account("partner") is None
    assert await store.account("before") and await store.account("after")
    await store.close()


async def test_a_full_disk_fails_the_commit_and_not_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixminus.store.db.WRITER_PRAGMAS", ("journal_mode=WAL", "max_page_count=80"))
    store = await Store.open(tmp_path)
    huge = MetaRow(id="huge", value="x" * 1_000_000)
    small = Transaction(save=(MetaRow(id="small", value="x"),))
    failed, done = await asyncio.gather(
        store.commit(Transaction(save=(huge,))), store.commit(small), return_exceptions=True
    )
    assert isinstance(failed, StorageError) and "full" in str(failed) and "mixminus.db" in str(failed)
    assert done is None
    assert await store.meta("huge") is None and await store.meta("small") == "x"
    await store.close()


async def test_errors_do_not_show_what_was_to_be_stored(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    secret = AccountRow(id="A", token="secret-token", created_at=None)  # type: ignore[arg-type]
    with pytest.raises(StorageError) as caught:
        await store.commit(Transaction(save=(secret,)))
    assert "secret-token" not in str(caught.value)
    await store.close()


async def test_a_caller_that_leaves_does_not_lose_what_it_committed(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    seen: list[str] = []
    store.on_outbox(lambda rows: seen.extend(row.id for row in rows))
    task = asyncio.create_task(store.commit(Transaction(save=(account("A"),), outbox=(owed("1"),))))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.commit(Transaction(outbox=(owed("2"),)))
    assert seen == ["1", "2"]
    assert await store.account("A")
    await store.close()


async def test_outbox_numbers_rise_over_restarts(tmp_path: Path) -> None:
    numbers: list[tuple[str, int]] = []
    for run in range(2):
        store = await Store.open(tmp_path)
        store.on_outbox(lambda rows: numbers.extend((row.id, row.number) for row in rows))
        await asyncio.gather(*(store.commit(Transaction(outbox=(owed(f"{run}-{i}"),))) for i in range(5)))
        await store.close()
    assert numbers == [(f"{run}-{i}", run * 5 + i + 1) for run in range(2) for i in range(5)]


async def test_member_ids_rise_over_restarts(tmp_path: Path) -> None:
    drawn: list[int] = []
    for _ in range(2):
        store = await Store.open(tmp_path)
        drawn += [int(member_id) for member_id in await asyncio.gather(*(store.next_member_id() for _ in range(1500)))]
        await store.close()
    assert all(earlier < later for earlier, later in pairwise(drawn))


async def test_after_closing_everything_is_refused(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    await store.close()
    await store.close()
    with pytest.raises(StorageError, match="closed"):
        await store.commit(Transaction())
    with pytest.raises(StorageError, match="closed"):
        await store.account("A")


async def test_closing_waits_for_what_was_asked_for(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    pending = [asyncio.create_task(store.commit(Transaction(save=(account(str(i)),)))) for i in range(1200)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*pending)
    store = await Store.open(tmp_path)
    assert await store.account("1199")
    await store.close()


async def test_a_second_process_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    holder = (
        "import asyncio, sys\nfrom mixminus.store.db import Store\n"
        "async def main():\n    await Store.open(sys.argv[1])\n    print('open', flush=True)\n    sys.stdin.read()\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else runs in this loop
        [sys.executable, "-c", holder, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(ConfigurationError, match=r"in use by another mixminus.*--data"):
            await Store.open(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
    store = await Store.open(tmp_path)
    await store.close()


async def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    writer = (
        "import asyncio, sys\nfrom mixminus.store.db import Store\nfrom mixminus.store.rows import MetaRow\n"
        "from mixminus.store.transaction import Transaction\n"
        "async def main():\n    store = await Store.open(sys.argv[1])\n    i = 0\n    while True:\n        i += 1\n"
        "        await store.commit(Transaction(save=(MetaRow(id=str(i), value='x'),)))\n        print(i, flush=True)\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else runs in this loop
        [sys.executable, "-c", writer, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 30:
            pass
        os.kill(process.pid, signal.SIGKILL)
        last = 30 + len(process.stdout.read().split())
    store = await Store.open(tmp_path)
    for number in range(1, last + 1):
        assert await store.meta(str(number)) == "x"
    await store.close()


async def test_a_newer_database_is_refused_by_name(tmp_path: Path) -> None:
    await (await Store.open(tmp_path)).close()
    with sqlite3.connect(tmp_path / "mixminus.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(ConfigurationError, match=r"version is 9999.*up to 0\d+"):
        await Store.open(tmp_path)
    with sqlite3.connect(tmp_path / "mixminus.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", REVISIONS[-1:])
    connection.close()
    await (await Store.open(tmp_path)).close()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mixminus.db").write_bytes(b"not a database, but quite long " * 100)
    with pytest.raises(ConfigurationError, match="cannot be opened as a database"):
        await Store.open(tmp_path)


async def test_other_database_urls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///FILE"):
        await Store.open("postgresql://h/db")
    store = await Store.open(f"sqlite:///{tmp_path}/x.db")
    await store.close()
    assert (tmp_path / "x.db").exists()


async def test_commits_are_written_through(tmp_path: Path) -> None:
    """What makes a resolved commit survive a power cut is these two settings."""
    store = await Store.open(tmp_path)
    with sqlite3.connect(tmp_path / "mixminus.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    await store.close()
    from mixminus.store.db import WRITER_PRAGMAS

    assert "synchronous=FULL" in WRITER_PRAGMAS


async def test_readers_cannot_write(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    with pytest.raises(StorageError, match="readonly"):
        await store._execute(sa.text("DELETE FROM accounts"))  # type: ignore[arg-type]
    await store.close()
