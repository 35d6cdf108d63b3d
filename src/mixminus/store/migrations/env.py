"""Run by alembic: the connection to work on is handed over by :mod:`mixminus.store.schema`."""

from __future__ import annotations

from alembic import context

from mixminus.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
