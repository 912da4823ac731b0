"""Waiting for SQLite's lock: as long as was asked for, and never inside the library."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from tests.support.live import FakeInference
from webapp.app import create_app
from webapp.database import sqlite_wait, store
from webapp.database.store import Store
from webapp.settings import Settings
from webapp.survey.catalog import Catalog, NewSurvey

NEW = NewSurvey("x", "product", True)
LOCKED, FULL = (
    OperationalError("INSERT", {}, Exception(words))
    for words in ("database is locked", "database or disk is full")
)


@pytest.fixture
def locked(tmp_path: Path) -> tuple[Catalog, sqlite3.Connection]:
    opened = Store(f"sqlite:///{tmp_path / 'mien.db'}")
    opened.migrate()
    catalog = Catalog(opened, tmp_path)
    catalog.create(NEW)
    other = sqlite3.connect(tmp_path / "mien.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    return catalog, other


def test_others_run_while_a_statement_waits_and_it_goes_through_in_the_end(
    locked: tuple[Catalog, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, other = locked
    turns: list[float] = []

    def sleep(seconds: float) -> None:  # where a greenlet gives way to the others
        turns.append(seconds)
        if len(turns) == 5:
            other.execute("ROLLBACK")

    monkeypatch.setattr(sqlite_wait.time, "sleep", sleep)
    catalog.create(NEW)
    assert len(turns) == 5
    assert len(catalog.rows()) == 2


def test_the_wait_has_an_end(
    locked: tuple[Catalog, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, _ = locked
    now = [0.0]
    monkeypatch.setattr(sqlite_wait.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sqlite_wait.time, "sleep", lambda s: now.__setitem__(0, now[0] + s))
    with pytest.raises(OperationalError, match="locked"):
        catalog.create(NEW)
    assert now[0] >= store.SQLITE_BUSY_TIMEOUT_MS / 1000


def test_what_no_wait_can_change_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _s: pytest.fail("it waited"))

    def fail(message: str) -> Callable[[], None]:
        def do() -> None:
            raise sqlite3.OperationalError(message)

        return do

    with pytest.raises(sqlite3.OperationalError):
        sqlite_wait.patient(10, fail("no such table: x"))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (
            OperationalError("INSERT", {}, Exception("database is locked")),
            503,
            "database_unavailable",
        ),
        (
            OperationalError("INSERT", {}, Exception("database or disk is full")),
            507,
            "storage_full",
        ),
        (OSError(28, "No space left on device"), 507, "storage_full"),
        (OSError(5, "Input/output error"), 500, "internal"),
    ],
)
def test_visitors_are_told_what_is_the_matter(error: Exception, status: int, code: str) -> None:
    app: Flask = create_app(Settings(async_mode="threading"), FakeInference())

    @app.get("/api/v1/trouble")
    def trouble() -> str:
        raise error

    answer = app.test_client().get("/api/v1/trouble")
    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["error"]["code"] == code
    assert "INSERT" not in answer.text
