"""Receipts of deleted recordings, and legal holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mixminus.store.tables import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "receipts",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("sub_account", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("rate", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.Column("files", sa.BigInteger(), nullable=False),
    )
    op.create_index("receipts_account", "receipts", ["account", "deleted_at"])
    unfinished = sa.text("removed_at IS NULL")
    op.create_index("receipts_open", "receipts", ["deleted_at"], sqlite_where=unfinished, postgresql_where=unfinished)
    op.create_table(
        "holds",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
    )
