"""The fixtures of the survey tests, over PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.support.services import PostgresServer
from tests.survey.conftest import catalog, send, settings, store, survey, uploads
from webapp.database.base import Base
from webapp.database.store import Store, database_url

__all__ = ["catalog", "send", "settings", "store", "survey", "uploads"]


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
