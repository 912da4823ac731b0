"""Deleting a version: over HTTP, on the command line, and what stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import select

from tests.support.admin import Browser, admin, app, make_app, people, quick_hashes, store
from webapp.access import tokens
from webapp.card import CARD_FILE, TFLITE_FILE, ModelCard
from webapp.cli import cli
from webapp.database.access_tables import AuditEntry
from webapp.database.store import Store
from webapp.database.survey_tables import Job
from webapp.models import activation
from webapp.models.registry import ACTIVE_FILE, HISTORY_FILE, Registry
from webapp.models.services import models_of
from webapp.models.shadow import Trial
from webapp.survey.catalog import Catalog, NewSurvey

__all__ = ["admin", "app", "make_app", "people", "quick_hashes", "store"]
API = "/api/v1/models"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Three versions, of which the first is active, and a folder that is none."""
    folder = tmp_path / "models"
    for number in (1, 2, 3):
        version = folder / f"m-{number}"
        version.mkdir(parents=True)
        (version / TFLITE_FILE).write_bytes(b"never run here")
        ModelCard(version.name, "mien", f"2026-01-0{number}").save(version)
    (folder / "broken").mkdir()
    (folder / "broken" / CARD_FILE).write_text("[" * 9999, encoding="utf-8")
    (folder / ACTIVE_FILE).write_text("m-1\n", encoding="utf-8")
    (folder / HISTORY_FILE).write_text("m-3\nm-2\n", encoding="utf-8")
    return folder


def versions(models: Path) -> list[str]:
    return [found.version for found in Registry(models).versions()]


def test_an_administrator_deletes_a_version_and_what_is_none(
    models: Path, store: Store, admin: Browser
) -> None:
    assert admin.send("DELETE", f"{API}/m-2").status_code == 204
    assert admin.send("DELETE", f"{API}/broken").status_code == 204
    assert versions(models) == ["m-1", "m-3"]
    assert Registry(models).earlier() == ["m-3"]  # going back leads to one that is there
    assert sorted(path.name for path in models.iterdir() if path.is_dir()) == ["m-1", "m-3"]
    with store.session() as session:
        rows = session.execute(select(AuditEntry.actor, AuditEntry.action, AuditEntry.subject))
        assert ("admin", "model.delete", "m-2") in [tuple(row) for row in rows]
    for name in ("m-2", "nothing", "..", "ACTIVE", "HISTORY", "%2e%2e", ".removed-1", "a" * 300):
        answer = admin.send("DELETE", f"{API}/{name}")
        assert answer.status_code in (404, 405), name
    assert versions(models) == ["m-1", "m-3"]


def test_who_may_not(models: Path, app: Flask, store: Store, people: dict[str, int]) -> None:
    stranger, mira = Browser(app), Browser(app)
    mira.log_in("mira")
    assert stranger.client.delete(f"{API}/m-2").status_code == 401
    assert mira.send("DELETE", f"{API}/m-2").status_code == 403
    boss = Browser(app)
    boss.log_in()
    assert boss.client.delete(f"{API}/m-2").status_code == 403  # without the page's CSRF token
    _, reader = tokens.create(store, people["admin"], "r", ["models:read"], None)
    _, writer = tokens.create(store, people["admin"], "w", ["models:write"], None)
    for token, status in ((reader, 403), (writer, 204)):
        headers = {"Authorization": f"Bearer {token}"}
        assert app.test_client().delete(f"{API}/m-2", headers=headers).status_code == status


def serves(app: Flask, store: Store, tmp_path: Path) -> None:
    models_of(app).activation._inference.version = "m-2"


def is_gone_back_to(app: Flask, store: Store, tmp_path: Path) -> None:
    models_of(app).activation.probation = activation.Probation("m-3", "m-2", 0, 0, 0)


def is_on_trial(app: Flask, store: Store, tmp_path: Path) -> None:
    trial = Trial("t", "m-2", "m-1", "live", "admin", "2026-01-01", 1.0)
    models_of(app).shadow.trial = trial


def is_analysed_with(app: Flask, store: Store, tmp_path: Path) -> None:
    survey = Catalog(store, tmp_path).create(NewSurvey("S", "product", True))
    with store.session() as session:
        job = Job(survey_id=survey.id, model_version="m-2", model={}, software="1")
        session.add(job)


def is_being_changed(app: Flask, store: Store, tmp_path: Path) -> None:
    models_of(app).activation._swapping.acquire()


@pytest.mark.parametrize(
    "use", [serves, is_gone_back_to, is_on_trial, is_analysed_with, is_being_changed]
)
def test_what_is_used_stays(
    models: Path,
    app: Flask,
    store: Store,
    admin: Browser,
    tmp_path: Path,
    use: Callable[[Flask, Store, Path], None],
) -> None:
    use(app, store, tmp_path)
    answer = admin.send("DELETE", f"{API}/m-2")
    assert answer.status_code == 409
    assert answer.json is not None
    assert answer.json["error"]["code"] == "conflict"
    assert "m-2" in versions(models)


def test_the_active_and_the_last_one_stay(models: Path, admin: Browser) -> None:
    assert admin.send("DELETE", f"{API}/m-1").status_code == 409  # active at the next start
    (models / ACTIVE_FILE).unlink()
    for name, status in (("m-2", 204), ("m-1", 204), ("m-3", 409)):
        assert admin.send("DELETE", f"{API}/{name}").status_code == status
    assert versions(models) == ["m-3"]


def test_a_link_goes_and_what_it_leads_to_stays(
    models: Path, tmp_path: Path, admin: Browser
) -> None:
    (models / "m-2").rename(tmp_path / "elsewhere")
    (models / "m-2").symlink_to(tmp_path / "elsewhere")
    assert admin.send("DELETE", f"{API}/m-2").status_code == 204
    assert not (models / "m-2").exists()
    assert (tmp_path / "elsewhere" / CARD_FILE).is_file()


def test_on_the_command_line(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_MODELS_DIR", str(models))
    monkeypatch.setenv("MIEN_INSTANCE_DIR", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    runner = CliRunner()
    assert runner.invoke(cli, ["models", "delete", "m-2"], input="n\n").exit_code == 1
    assert "m-2" in versions(models)
    done = runner.invoke(cli, ["models", "delete", "m-2", "--yes"])
    assert (done.exit_code, done.output) == (0, "m-2 is deleted\n")
    assert versions(models) == ["m-1", "m-3"]
    refused = runner.invoke(cli, ["models", "delete", "m-1", "--yes"])
    assert refused.exit_code == 1
    assert "is active" in refused.output
