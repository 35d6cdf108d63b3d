"""The database in memory, on this thread: the same schema, statements and numbering as on disk."""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from mixminus.errors import StorageError
from mixminus.store.db import Store, _Job, _Outcome, _Writer
from mixminus.store.rows import OutboxRow
from mixminus.store.schema import migrate
from mixminus.store.transaction import Transaction


class MemoryStore(Store):
    """A :class:`~mixminus.store.db.Store` that is gone when it is closed."""

    def __init__(self) -> None:
        self._path = Path(":memory:")
        self._loop = asyncio.get_running_loop()
        self._on_outbox: list[Callable[[tuple[OutboxRow, ...]], None]] = []
        self._connection = _engine().connect()
        self._connection.connection.driver_connection.deserialize(_template())  # type: ignore[union-attr]
        self._inline = _InlineWriter(self._connection)
        self._member_ids = range(0)
        self._member_id_turn = asyncio.Lock()
        self._closed = False
        self.full = False
        """Refuse every commit, as a full disk does."""

    async def commit(self, transaction: Transaction) -> None:
        if self._closed:
            raise StorageError("the database is closed")
        if self.full:
            raise StorageError("the database is full")
        done: asyncio.Future[None] = self._loop.create_future()
        self._settle(self._inline.write(_Job(transaction, done)))
        await done

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._connection.close()

    async def _execute(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        if self._closed:
            raise StorageError("the database is closed")
        try:
            with self._connection.begin():
                return self._connection.execute(statement).all()
        except SQLAlchemyError as error:
            raise StorageError(str(error)) from error


class _InlineWriter(_Writer):
    """The writer without its thread."""

    def __init__(self, connection: sa.Connection) -> None:
        self._path = Path(":memory:")
        self._next_number = 1
        self._inline = connection

    def write(self, job: _Job) -> list[_Outcome]:
        return self._commit(self._inline, [job])


@functools.cache
def _engine() -> sa.Engine:
    """For all worlds of the process: each of its connections is a database of its own, statements are compiled once."""
    engine = sa.create_engine(
        "sqlite://",
        poolclass=NullPool,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


@functools.cache
def _template() -> bytes:
    """A migrated, empty database."""
    with _engine().connect() as connection:
        with connection.begin():
            migrate(connection, ":memory:")
        driver: Any = connection.connection.driver_connection
        content: bytes = driver.serialize()
    return content
