"""Reading the database of a data folder beside, or without, the server that owns it. Takes no lock, changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from mixminus import __version__
from mixminus.errors import ConfigurationError, StorageError
from mixminus.store.db import DATABASE_FILE
from mixminus.store.queries import Queries
from mixminus.store.schema import REVISIONS


class Reader(Queries):
    """The named queries over the database in ``folder``.

    Raises ConfigurationError if there is none, or it is another version's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / DATABASE_FILE
        if not self._path.is_file():
            raise ConfigurationError(f"{self._path}: no database here; name the data folder with --data")
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=f"file:{self._path.resolve()}", query={"mode": "ro", "uri": "true"}),
            json_deserializer=msgspec.json.decode,
        )
        try:
            with self._engine.connect() as connection:
                found = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        except SQLAlchemyError as error:
            raise ConfigurationError(f"{self._path}: {getattr(error, 'orig', error)}") from None
        if found != REVISIONS[-1]:
            raise ConfigurationError(
                f"{self._path}: its schema version is {found}, this is mixminus {__version__}, which reads version"
                f" {REVISIONS[-1]}; run 'mixminus serve' once to upgrade an older one, or use the newer mixminus"
            )

    def close(self) -> None:
        self._engine.dispose()

    async def _execute(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        return await asyncio.to_thread(self._read, statement)

    def _read(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(statement).all()
        except SQLAlchemyError as error:
            raise StorageError(f"{self._path}: {getattr(error, 'orig', error)}") from error
