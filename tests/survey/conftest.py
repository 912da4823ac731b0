from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.survey.doubles import FakeInference
from webapp.app import create_app
from webapp.database.store import Store
from webapp.database.survey_tables import Survey
from webapp.settings import Settings
from webapp.survey.catalog import Catalog, NewSurvey
from webapp.survey.intake.uploads import Receipt, Uploads
from webapp.survey.service import surveys_of


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of an empty database; ``tests/cluster`` puts PostgreSQL in its place."""
    return f"sqlite:///{tmp_path / 'mien.db'}"


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = Store(database)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(instance_dir=str(tmp_path), workers=1)


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


@pytest.fixture
def app_settings(tmp_path: Path) -> Settings:
    """Of ``app``; a module's fixture of the same name changes them."""
    return Settings(async_mode="threading", instance_dir=str(tmp_path), workers=1)


@pytest.fixture
def app(app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    made = create_app(app_settings, inference=FakeInference())
    yield made
    surveys_of(made).close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
