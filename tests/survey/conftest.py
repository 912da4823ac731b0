from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from webapp.settings import Settings
from webapp.store import Base, Store, Survey
from webapp.survey.catalog import Catalog, NewSurvey
from webapp.survey.uploads import Receipt, Uploads


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store: SQLite, or the database that ``MIEN_TEST_DATABASE`` names (it is emptied)."""
    opened = Store(os.environ.get("MIEN_TEST_DATABASE") or f"sqlite:///{tmp_path / 'mien.db'}")
    with opened.engine.begin() as connection:
        Base.metadata.drop_all(connection)
        connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(instance_dir=str(tmp_path), workers=1, survey_bootstrap=200)


@pytest.fixture
def catalog(store: Store, tmp_path: Path) -> Catalog:
    return Catalog(store, tmp_path)


@pytest.fixture
def uploads(catalog: Catalog, settings: Settings) -> Uploads:
    return Uploads(catalog, settings)


@pytest.fixture
def survey(catalog: Catalog) -> Survey:
    return catalog.create(NewSurvey("Packages", "product", True, ("A", "B")))


@pytest.fixture
def send(uploads: Uploads, survey: Survey) -> Callable[..., Receipt]:
    def send_one(path: str, data: bytes, group: str = "A") -> Receipt:
        return uploads.receive(survey.id, group, path, io.BytesIO(data))

    return send_one
