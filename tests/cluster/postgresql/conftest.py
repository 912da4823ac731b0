"""The fixtures of the tests of surveys and studies, over PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from bench.support.services import PostgresServer
from tests.studies.conftest import app, client, fields, make_studies, quick_looks, researcher
from tests.survey.conftest import catalog, send, settings, store, survey, uploads
from webapp.database.base import Base
from webapp.database.store import Store, database_url

__all__ = [
    "app", "catalog", "client", "fields", "make_studies", "quick_looks", "researcher", "send",
    "settings", "store", "survey", "uploads",
]  # fmt: skip


def _driver(url: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        return database_url(Path())


@pytest.fixture(scope="session")
def migrated(postgres_server: PostgresServer) -> Iterator[Store]:
    """One migrated database; making one for each test would keep the disk busy for minutes."""
    opened = Store(_driver(postgres_server.database()))
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def database(migrated: Store) -> str:
    with migrated.session() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
    return migrated.url


@pytest.fixture
def migrated_database(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)


@pytest.fixture
def stored(migrated: Store, tmp_path: Path) -> Callable[[], bytes]:
    """Every row that can be read, and everything in the folder."""

    def read() -> bytes:
        with migrated.session() as session:
            rows = [session.execute(select(table)).all() for table in Base.metadata.sorted_tables]
        files = (path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        return repr(rows).encode() + b"".join(files)

    return read
