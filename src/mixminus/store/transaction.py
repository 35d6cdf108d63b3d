"""A change to the database as a value, and its SQL. No thread and no file is touched here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mixminus.store.rows import OutboxRow, Row
from mixminus.store.tables import TABLES


@dataclass(frozen=True)
class Transaction:
    """All or nothing. ``save`` inserts or replaces by ``id``; ``delete`` names (class, id); ``outbox`` rows are new
    and get their ``number`` when they are committed, in the order given.
    """

    save: tuple[Row, ...] = ()
    delete: tuple[tuple[type[Row], str], ...] = ()
    outbox: tuple[OutboxRow, ...] = ()


def apply(connection: sa.Connection, group: Sequence[Transaction]) -> None:
    """Write ``group`` as if one after the other. Of several writes to one row only the last reaches the database."""
    final: dict[tuple[type[Row], str], Row | None] = {}
    for transaction in group:
        final.update({(type(row), row.id): row for row in (*transaction.save, *transaction.outbox)})
        final.update(dict.fromkeys(transaction.delete))
    saved: dict[type[Row], list[Row]] = {}
    deleted: dict[type[Row], list[str]] = {}
    for (row_class, row_id), row in final.items():
        if row is None:
            deleted.setdefault(row_class, []).append(row_id)
        else:
            saved.setdefault(row_class, []).append(row)
    for row_class, rows in saved.items():
        _upsert(connection, TABLES[row_class], rows)
    for row_class, ids in deleted.items():
        table = TABLES[row_class]
        connection.execute(
            sa.delete(table).where(table.c.id == sa.bindparam("gone")), [{"gone": row_id} for row_id in ids]
        )


def _upsert(connection: sa.Connection, table: sa.Table, rows: Iterable[Row]) -> None:
    statement = _statement(table, connection.dialect.name == "postgresql")
    connection.execute(statement, [msgspec.structs.asdict(row) for row in rows])


@cache
def _statement(table: sa.Table, is_postgresql: bool) -> sqlite.Insert | postgresql.Insert:
    """Made once: that takes longer than to carry it out."""
    statement = postgresql.insert(table) if is_postgresql else sqlite.insert(table)
    replaced = {name: column for name, column in statement.excluded.items() if name != "id"}
    return statement.on_conflict_do_update(index_elements=[table.c.id], set_=replaced)
