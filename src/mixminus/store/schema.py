"""Which version the database has, and bringing it to ours.

alembic costs a second to import, so it is not looked at when there is nothing to do.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from mixminus import __version__
from mixminus.errors import ConfigurationError

REVISIONS = ("0001", "0002", "0003", "0004")
"""Every schema version this package knows, oldest first; the last is the one it works with."""

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: sa.Connection, name: str) -> None:
    """Bring the schema to the newest version within the caller's transaction. ``name`` is the database, for errors.

    Raises :class:`~mixminus.errors.ConfigurationError` for a database of a newer mixminus.
    """
    found = _version(connection)
    if found == REVISIONS[-1]:
        return
    if found is not None and found not in REVISIONS:
        raise ConfigurationError(
            f"{name}: its schema version is {found}, this is mixminus {__version__}, which knows versions up to"
            f" {REVISIONS[-1]}. Run the newer mixminus that wrote it, or restore a backup made before the upgrade."
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(sa.text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])
