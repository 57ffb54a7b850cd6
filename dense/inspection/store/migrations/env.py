"""What alembic runs: it gets an open connection and works in that connection's transaction."""

from __future__ import annotations

from alembic import context

from dense.inspection.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
