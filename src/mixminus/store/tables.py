"""The tables, made from the row classes: one table per class, one column per field, ``id`` the primary key.

The SQL that brings an existing database here is in ``migrations``; a test holds the two against each other.
"""

from __future__ import annotations

import types
from datetime import UTC, datetime
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import sqlalchemy as sa

from mixminus.store.rows import (
    AccountRow,
    ApplicationRow,
    AttemptRow,
    CallRow,
    EndpointRow,
    HoldRow,
    MemberRow,
    MetaRow,
    MpcRow,
    NumberRow,
    OutboxRow,
    ReceiptRow,
    RecordingRow,
    Row,
)

R = TypeVar("R", bound=Row)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime. SQLite keeps no zone, so it is taken off on the way in and put back on the way out."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} carries no time zone; rows hold aware UTC datetimes")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_COLUMN_TYPES: dict[type, sa.types.TypeEngine[Any]] = {
    str: sa.Text(),
    bool: sa.Boolean(),
    int: sa.BigInteger(),
    bytes: sa.LargeBinary(),
    datetime: UtcDateTime(),
    dict: sa.JSON(),
}


def _column(name: str, annotation: Any) -> sa.Column[Any]:
    nullable = get_origin(annotation) in (Union, types.UnionType)
    if nullable:
        (annotation,) = (part for part in get_args(annotation) if part is not type(None))
    column_type = _COLUMN_TYPES[get_origin(annotation) or annotation]
    return sa.Column(name, column_type, primary_key=name == "id", nullable=nullable)


metadata = sa.MetaData()


def _table(name: str, row_class: type[Row]) -> sa.Table:
    hints = get_type_hints(row_class)
    return sa.Table(
        name,
        metadata,
        *(_column(field.name, hints[field.name]) for field in msgspec.structs.fields(row_class)),
    )


accounts = _table("accounts", AccountRow)
applications = _table("applications", ApplicationRow)
endpoints = _table("endpoints", EndpointRow)
calls = _table("calls", CallRow)
mpcs = _table("mpcs", MpcRow)
numbers = _table("numbers", NumberRow)
members = _table("members", MemberRow)
recordings = _table("recordings", RecordingRow)
receipts = _table("receipts", ReceiptRow)
holds = _table("holds", HoldRow)
outbox = _table("outbox", OutboxRow)
attempts = _table("attempts", AttemptRow)
meta = _table("meta", MetaRow)

TABLES: dict[type[Row], sa.Table] = {
    AccountRow: accounts,
    ApplicationRow: applications,
    EndpointRow: endpoints,
    CallRow: calls,
    MpcRow: mpcs,
    NumberRow: numbers,
    MemberRow: members,
    RecordingRow: recordings,
    ReceiptRow: receipts,
    HoldRow: holds,
    OutboxRow: outbox,
    AttemptRow: attempts,
    MetaRow: meta,
}


def _partial(name: str, *columns: sa.Column[Any], where: sa.ColumnElement[bool]) -> sa.Index:
    return sa.Index(name, *columns, sqlite_where=where, postgresql_where=where)


sa.Index("accounts_parent", accounts.c.parent)
sa.Index("applications_account", applications.c.account, applications.c.created_at)
sa.Index("endpoints_account", endpoints.c.account, endpoints.c.created_at)
sa.Index("endpoints_username", endpoints.c.username)
sa.Index("calls_account", calls.c.account, calls.c.initiated_at)
sa.Index("calls_request", calls.c.request_uuid)
_partial("calls_live", calls.c.initiated_at, where=calls.c.ended_at.is_(None))
sa.Index("mpcs_account", mpcs.c.account, mpcs.c.created_at)
sa.Index("mpcs_ended", mpcs.c.account, mpcs.c.ended_at)
sa.Index("mpcs_name", mpcs.c.account, mpcs.c.friendly_name)
_partial("mpcs_live", mpcs.c.created_at, where=mpcs.c.ended_at.is_(None))
sa.Index("members_mpc", members.c.mpc_uuid)
_partial("members_present", members.c.joined_at, where=members.c.left_at.is_(None))
sa.Index("recordings_account", recordings.c.account, recordings.c.created_at)
sa.Index("recordings_mpc", recordings.c.mpc_uuid)
sa.Index("recordings_call", recordings.c.call_uuid)
_partial("recordings_open", recordings.c.created_at, where=recordings.c.state.in_(("recording", "paused", "finishing")))
sa.Index("receipts_account", receipts.c.account, receipts.c.deleted_at)
_partial("receipts_open", receipts.c.deleted_at, where=receipts.c.removed_at.is_(None))
sa.Index("outbox_number", outbox.c.number, unique=True)
_partial("outbox_pending", outbox.c.lane, outbox.c.number, where=outbox.c.state == "pending")
sa.Index("attempts_outbox", attempts.c.outbox_id, attempts.c.started_at)
