"""Runs migrations on the connection that :meth:`webapp.database.store.Store.migrate` hands over."""

from alembic import context

from webapp.database.base import Base
from webapp.database.store import database_url, make_engine


def run() -> None:
    """Migrate on the given connection, or on the configured database (``alembic`` by hand)."""
    connection = context.config.attributes.get("connection")
    if connection is not None:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
        )
        context.run_migrations()
        return
    from pathlib import Path

    with make_engine(database_url(Path("instance"))).begin() as own:
        context.configure(connection=own, target_metadata=Base.metadata)
        context.run_migrations()


run()
