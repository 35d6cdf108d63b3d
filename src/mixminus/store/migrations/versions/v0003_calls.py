"""Calls placed by calls, conferences, numbers bound to applications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for table, column in (("calls", "parent_call_uuid"), ("calls", "conference_uuid"), ("recordings", "source")):
        op.add_column(table, sa.Column(column, sa.Text(), nullable=False, server_default=""))
    op.create_index("calls_request", "calls", ["request_uuid"])
    op.create_table(
        "numbers",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("sub_account", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
    )
