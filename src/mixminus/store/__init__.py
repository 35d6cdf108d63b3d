"""The database: rows, migrations, named queries and the outbox."""
