"""How a recording is taken, and what its finisher found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for column in ("settings", "report"):
        op.add_column("recordings", sa.Column(column, sa.JSON(), nullable=False, server_default="{}"))
