from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.studies.people import FIELDS, Researcher
from tests.support.live import FakeInference
from tests.survey.conftest import database, settings, store
from webapp.app import create_app
from webapp.database.store import Store
from webapp.settings import Settings
from webapp.studies import media, stimuli
from webapp.studies.service import studies_of
from webapp.web.open_database import database_of

__all__ = ["database", "settings", "store"]


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stimuli looked at in this process: a process for each takes half a second; ``test_media``
    starts the real one.
    """
    monkeypatch.setattr(stimuli, "look_in_process", media.look)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy: migrating takes longer than most tests here."""
    path = tmp_path_factory.mktemp("studies") / "mien.db"
    opened = Store(f"sqlite:///{path}")
    opened.migrate()
    opened.close()
    return path


@pytest.fixture
def migrated_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path
) -> None:
    """An empty database where applications look for it; ``tests/cluster`` puts PostgreSQL in its
    place.
    """
    monkeypatch.delenv("DATABASE_URL", raising=False)
    shutil.copy(empty_database, tmp_path / "mien.db")


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[], bytes]:
    """Everything that lies in the database and in the folder, as it is there."""
    return lambda: b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.fixture
def make_studies(tmp_path: Path, migrated_database: None) -> Iterator[Callable[..., Flask]]:
    made: list[Flask] = []

    def make(**more: Any) -> Flask:
        values: dict[str, Any] = {"async_mode": "threading", "instance_dir": str(tmp_path)}
        app = create_app(Settings(**values | more), FakeInference())
        made.append(app)
        return app

    yield make
    for app in made:
        studies_of(app).close()
        database_of(app).close()


@pytest.fixture
def app(make_studies: Callable[..., Flask]) -> Flask:
    return make_studies()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def researcher(client: FlaskClient) -> Researcher:
    return Researcher(client)


@pytest.fixture
def fields() -> dict[str, Any]:
    return dict(FIELDS)
