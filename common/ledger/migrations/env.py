"""Runs the migrations on the connection that `open_ledger` gives, inside its transaction; never commits by itself."""

from alembic import context

from common.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)

with context.begin_transaction():
    context.run_migrations()
