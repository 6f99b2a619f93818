"""What Alembic runs: our metadata on the connection that was handed in, in its transaction."""

from alembic import context

from voxgate.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_server_default=True,
    # SQLite alters a table by copying it; its DDL is transactional once BEGIN is ours (see store/database.py).
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
