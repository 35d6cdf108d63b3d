"""The migrations and the row classes describe the same tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from mixminus.store import schema
from mixminus.store.db import Store
from mixminus.store.tables import metadata


async def test_migrations_lead_to_the_tables_of_the_rows(tmp_path: Path) -> None:
    await (await Store.open(tmp_path)).close()
    engine = sa.create_engine(f"sqlite:///{tmp_path}/mixminus.db")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        indexes = {index["name"] for table in metadata.tables for index in sa.inspect(connection).get_indexes(table)}
    engine.dispose()
    assert indexes == {index.name for table in metadata.tables.values() for index in table.indexes}


def test_the_known_versions_are_those_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    scripts = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(scripts)) == schema.REVISIONS


@pytest.mark.slow
async def test_alembic_is_imported_only_when_there_is_something_to_do(tmp_path: Path) -> None:
    opens = (
        "import asyncio, sys\nfrom mixminus.store.db import Store\n"
        "async def main():\n    await (await Store.open(sys.argv[1])).close()\n    print('alembic' in sys.modules)\n"
        "asyncio.run(main())"
    )
    seen = [
        subprocess.run(  # noqa: ASYNC221 - nothing else runs in this loop
            [sys.executable, "-c", opens, str(tmp_path)], capture_output=True, text=True, check=True
        ).stdout.strip()
        for _ in range(2)
    ]
    assert seen == ["True", "False"]
