"""The open database: one writer thread that commits in groups, a few readers, one process per data folder.

A commit resolves once it is on disk (SQLite in WAL mode, ``synchronous=FULL``); whatever was asked for while the
writer was busy shares the next one. Serial writing is also the fast way: SQLite with eight writers does half as much
as with one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from mixminus.errors import ConfigurationError, StorageError
from mixminus.store import tables
from mixminus.store.queries import Queries
from mixminus.store.rows import MetaRow, OutboxRow
from mixminus.store.schema import migrate
from mixminus.store.transaction import Transaction, apply

__all__ = ["Store", "Transaction"]

DATABASE_FILE = "mixminus.db"
LOCK_FILE = "mixminus.lock"
GROUP_LIMIT = 512
"""Most transactions in one commit: bounds the time the first of them waits."""
WRITER_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL")
"""Together they make a commit wait until the disk has it."""
_MEMBER_ID_BLOCK = 1000
_MEMBER_ID_META = "member_id_ceiling"


@dataclass(frozen=True)
class _Job:
    transaction: Transaction
    done: asyncio.Future[None]


_Outcome = tuple[_Job, tuple[OutboxRow, ...], StorageError | None]


class Store(Queries):
    """The database of one data folder. All methods are for the event loop that opened it."""

    def __init__(self, path: Path, lock: int, readers: int) -> None:
        """Use :meth:`open`."""
        self._path = path
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._reader_engine = _engine(path, writing=False)
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="store-reader")
        self._on_outbox: list[Callable[[tuple[OutboxRow, ...]], None]] = []
        self._writer = _Writer(path, self._loop, self._settle)
        self._member_ids = range(0)
        self._member_id_turn = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(cls, where: str | Path, *, readers: int = 2) -> Store:
        """Open, and make or upgrade if need be, the database in folder ``where`` (or at ``sqlite:///FILE``).

        Raises :class:`~mixminus.errors.ConfigurationError` when another process has it open, when it belongs to a
        newer version, or when the folder cannot be used.
        """
        path = _database_path(where)
        lock = await asyncio.to_thread(_take_lock, path.parent)
        try:
            store = cls(path, lock, readers)
            await store._writer.started
        except BaseException:
            os.close(lock)
            raise
        return store

    async def close(self) -> None:
        """Finish what was asked for, then close. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        await self._loop.run_in_executor(None, self._writer.stop)
        await self._loop.run_in_executor(None, self._readers.shutdown)
        self._reader_engine.dispose()
        os.close(self._lock)

    async def commit(self, transaction: Transaction) -> None:
        """Write all of ``transaction`` or none of it; returns once it would survive a power cut.

        Raises :class:`~mixminus.errors.StorageError` when it could not be written; later commits are tried afresh.
        """
        if self._closed:
            raise StorageError(f"{self._path}: the database is closed")
        await self._writer.submit(transaction)

    def on_outbox(self, callback: Callable[[tuple[OutboxRow, ...]], None]) -> None:
        """Call ``callback`` in the event loop with the numbered rows whenever a commit has added to the outbox."""
        self._on_outbox.append(callback)

    def _settle(self, outcomes: list[_Outcome]) -> None:
        for job, numbered, failure in outcomes:
            if numbered:  # also when nobody waits for the commit any more: the rows are owed
                for callback in self._on_outbox:
                    callback(numbered)
            if job.done.done():
                continue
            if failure is None:
                job.done.set_result(None)
            else:
                job.done.set_exception(failure)

    async def next_member_id(self) -> str:
        """A member id, greater than every one before it, also those before a restart."""
        async with self._member_id_turn:
            if not self._member_ids:
                first = int(await self.meta(_MEMBER_ID_META) or "1")
                ceiling = first + _MEMBER_ID_BLOCK
                await self.commit(Transaction(save=(MetaRow(id=_MEMBER_ID_META, value=str(ceiling)),)))
                self._member_ids = range(first, ceiling)
            member_id, self._member_ids = self._member_ids[0], self._member_ids[1:]
            return str(member_id)

    async def _execute(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        if self._closed:
            raise StorageError(f"{self._path}: the database is closed")
        return await self._loop.run_in_executor(self._readers, self._read, statement)

    def _read(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        try:
            with self._reader_engine.connect() as connection:
                return connection.execute(statement).all()
        except SQLAlchemyError as error:
            raise StorageError(f"{self._path}: {_reason(error)}") from error


class _Writer:
    """The one thread that writes. ``started`` resolves when the schema is current."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, settle: Callable[[list[_Outcome]], None]) -> None:
        self._path = path
        self._loop = loop
        self._settle = settle
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._next_number = 1
        self.started: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def submit(self, transaction: Transaction) -> None:
        job = _Job(transaction, self._loop.create_future())
        self._jobs.put(job)
        await job.done

    def stop(self) -> None:
        """Blocks until everything submitted before is settled."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        engine = _engine(self._path, writing=True)
        try:
            with engine.begin() as connection:
                migrate(connection, str(self._path))
                self._next_number = 1 + (connection.scalar(sa.select(sa.func.max(tables.outbox.c.number))) or 0)
        except (SQLAlchemyError, ConfigurationError) as error:
            if isinstance(error, SQLAlchemyError):
                error = ConfigurationError(f"{self._path}: cannot be opened as a database: {_reason(error)}")
            engine.dispose()
            self._loop.call_soon_threadsafe(self.started.set_exception, error)
            return
        self._loop.call_soon_threadsafe(self.started.set_result, None)
        with engine.connect() as connection:
            while group := self._next_group():
                outcomes = self._commit(connection, group)
                self._loop.call_soon_threadsafe(self._settle, outcomes)
        engine.dispose()

    def _next_group(self) -> list[_Job]:
        """Wait for a job and take what else is there; empty when told to stop."""
        group: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            if len(group) == GROUP_LIMIT:
                return group
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._jobs.put(None)
        return group

    def _commit(self, connection: sa.Connection, group: list[_Job]) -> list[_Outcome]:
        """One commit for all; should it fail, one for each, so that only the guilty learn of it."""
        numbered = [self._number(job.transaction) for job in group]
        try:
            with connection.begin():
                apply(connection, numbered)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is its caller's; the writer lives on
            if len(group) > 1:
                return [outcome for job in group for outcome in self._commit(connection, [job])]
            failure = StorageError(f"{self._path}: {_reason(error)}")
            failure.__cause__ = error
            return [(group[0], (), failure)]
        return [(job, transaction.outbox, None) for job, transaction in zip(group, numbered, strict=True)]

    def _number(self, transaction: Transaction) -> Transaction:
        if not transaction.outbox:
            return transaction
        first = self._next_number
        self._next_number += len(transaction.outbox)
        rows = tuple(msgspec.structs.replace(row, number=first + i) for i, row in enumerate(transaction.outbox))
        return replace(transaction, outbox=rows)


def _database_path(where: str | Path) -> Path:
    if isinstance(where, Path) or "://" not in where:
        return Path(where) / DATABASE_FILE
    url = sa.make_url(where)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise ConfigurationError(f"{where!r}: only sqlite:///FILE is supported as a database URL")
    return Path(url.database)


def _take_lock(folder: Path) -> int:
    """An exclusive lock that the kernel gives up when this process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"data folder {folder}: {error.strerror}; choose one that can be written") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise ConfigurationError(
            f"data folder {folder} is in use by another mixminus; stop that one, or choose another folder with --data"
        ) from error
    return lock


def _engine(path: Path, *, writing: bool) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )
    pragmas = WRITER_PRAGMAS if writing else ("query_only=ON",)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would leave DDL outside the transaction
        for pragma in (*pragmas, "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _reason(error: Exception) -> str:
    """The driver's sentence, without SQL and parameters (they hold tokens and numbers)."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]
