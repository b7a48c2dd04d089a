"""Alembic's entry: one connection, handed over by device_app.store.migrate, one transaction."""

from alembic import context

from device_app.store.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
