"""The database: engine, sessions, and the way from empty to the newest schema.

SQLite in WAL mode is the default; ``DATABASE_URL`` may name PostgreSQL, which is reached through
pg8000 because a pure Python driver yields under eventlet. The schema is made by the Alembic
migrations in ``webapp/database/migrations`` and by nothing else.

What must be counted once is held by unique constraints, not by care: one row per content in a
survey (``uploads.content_key``), one outcome per upload and job, one face per outcome and place.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Engine,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker

# every table is known to whoever opens the store
from webapp.database import access_tables, study_tables, survey_tables  # noqa: F401
from webapp.database.postgres import ANSWER_S, notice_going_away
from webapp.database.sqlite_wait import INSIDE_S, patient, wait_in_python

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
SQLITE_BUSY_TIMEOUT_MS = 15_000
MIGRATION_LOCK = 0x6D69656E  # "mien": any number that nobody else locks in this database


def database_url(instance: Path) -> str:
    """``DATABASE_URL``, or a SQLite file in ``instance``; PostgreSQL gets the pg8000 driver."""
    text = os.environ.get("DATABASE_URL", "").strip()
    if not text:
        return f"sqlite:///{(instance / 'mien.db').resolve()}"
    url = make_url(text)
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+pg8000")
    return url.render_as_string(hide_password=False)


def make_engine(url: str) -> Engine:
    """An engine for ``url``; SQLite gets WAL, foreign keys and a wait for the write lock."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _remote_engine(url)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": INSIDE_S})
    wait_s = SQLITE_BUSY_TIMEOUT_MS / 1000
    wait_in_python(engine, wait_s)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        patient(wait_s, cursor.execute, "PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten
        cursor.close()

    return engine


def _remote_engine(url: str) -> Engine:
    ours = make_url(url).drivername == "postgresql+pg8000"
    options = {"connect_args": {"timeout": ANSWER_S}} if ours else {}
    engine = create_engine(url, pool_pre_ping=True, **options)
    if ours:
        notice_going_away(engine)
    return engine


_migrating = threading.Lock()


class Store:
    """The database of one process: an engine and its sessions.

    ``Store(url)`` opens it, ``migrate()`` brings it to the newest schema, ``session()`` is a
    transaction that commits at its end and rolls back on an exception. ``before`` is called ahead
    of each.
    """

    def __init__(self, url: str, before: Callable[[], None] = lambda: None) -> None:
        self.url = url
        self._before = before
        self.engine = make_engine(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    def migrate(self) -> None:
        """Run the Alembic migrations up to the newest; does nothing where there are none to run.

        Processes that start at once take turns: the later ones find nothing left to run.
        """
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        # Alembic's operations are the process's own: two stores at once would mix their tables up.
        with _migrating, self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                lock = text("SELECT pg_advisory_xact_lock(:key)")
                connection.execute(lock, {"key": MIGRATION_LOCK})
            elif connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction."""
        self._before()
        with self._sessions() as session, session.begin():
            yield session

    def close(self) -> None:
        self.engine.dispose()
