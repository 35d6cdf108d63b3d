"""The tests of the queries, of the outbox and of its pruning once more, on a real PostgreSQL: schema, migrations and
SQL hold there too.

A server of its own is started for them, on a socket in a folder of the test's; without its programs they are skipped.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import sqlalchemy as sa

from mixminus.store import tables
from mixminus.store.queries import Queries
from mixminus.store.rows import OutboxRow
from mixminus.store.schema import REVISIONS, migrate
from mixminus.store.transaction import Transaction, apply
from store import test_outbox, test_pruning, test_queries

pytestmark = pytest.mark.slow

for _module in (test_queries, test_outbox, test_pruning):
    globals().update(
        {
            name: test
            for name, test in vars(_module).items()
            if name.startswith("test_") and "tmp_path" not in inspect.signature(test).parameters
        }
    )


class PostgresStore(Queries):
    """What of :class:`mixminus.store.db.Store` the tests use, over PostgreSQL, a transaction at a time."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._told: list[Callable[[tuple[OutboxRow, ...]], None]] = []

    def on_outbox(self, callback: Callable[[tuple[OutboxRow, ...]], None]) -> None:
        self._told.append(callback)

    async def commit(self, transaction: Transaction) -> None:
        rows = await asyncio.to_thread(self._commit, transaction)
        for callback in self._told if rows else ():
            callback(rows)

    def _commit(self, transaction: Transaction) -> tuple[OutboxRow, ...]:
        with self._engine.begin() as connection:
            first = 1 + (connection.scalar(sa.select(sa.func.max(tables.outbox.c.number))) or 0)
            rows = tuple(msgspec.structs.replace(row, number=first + i) for i, row in enumerate(transaction.outbox))
            apply(connection, [Transaction(transaction.save, transaction.delete, rows)])
        return rows

    async def _execute(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        return await asyncio.to_thread(self._read, statement)

    def _read(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._engine.connect() as connection:
            return connection.execute(statement).all()


def _programs() -> Path:
    places = [Path(found).parent for found in (shutil.which("postgres"),) if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists():
            return place
    pytest.skip("PostgreSQL is not installed: apt-get install postgresql")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """URL of a fresh server, without a TCP port. It will not run as root, so another user lends its name then."""
    pytest.importorskip("psycopg", reason="pip install 'psycopg[binary]'")
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="mixminus-pg-") as name:
        folder, become = Path(name), dict[str, Any]()
        if os.geteuid() == 0:
            user = _somebody()
            os.chown(folder, user.pw_uid, user.pw_gid)
            become = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/", **become}
        data = str(folder / "data")
        subprocess.run([programs / "initdb", "-D", data, "-U", "mixminus", "-A", "trust", "-E", "UTF8"], **quiet)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        subprocess.run([programs / "pg_ctl", "-D", data, "-w", "-o", options, "-l", folder / "log", "start"], **quiet)
        try:
            yield f"postgresql+psycopg://mixminus@/postgres?host={folder}"
        finally:
            subprocess.run([programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], **quiet)


def _somebody() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("there is no user to run PostgreSQL as; it refuses root")


@pytest.fixture
def engine(postgres: str) -> Iterator[sa.Engine]:
    """On an empty database."""
    made = sa.create_engine(
        postgres,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )
    with made.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    yield made
    made.dispose()


@pytest_asyncio.fixture
async def store(engine: sa.Engine) -> PostgresStore:
    with engine.begin() as connection:
        migrate(connection, "PostgreSQL")
    return PostgresStore(engine)


def test_the_migrations_make_the_tables_that_the_rows_want(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        migrate(connection, "PostgreSQL")
        migrate(connection, "PostgreSQL")
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == REVISIONS[-1]
        found = sa.inspect(connection)
        for table in tables.metadata.sorted_tables:
            columns = {column["name"]: column for column in found.get_columns(table.name)}
            assert set(columns) == set(table.columns.keys()), table.name
            for column in table.columns:
                made = columns[column.name]
                assert made["nullable"] == column.nullable, f"{table.name}.{column.name}"
                wanted = column.type.compile(connection.dialect)
                assert made["type"].compile(connection.dialect) == wanted, f"{table.name}.{column.name}"
            indexes = {index["name"] for index in found.get_indexes(table.name)}
            assert {index.name for index in table.indexes} <= indexes, table.name
