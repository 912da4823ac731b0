"""Putting a version into service, the minute after it, and what brings the old one back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.support.live import FakeInference
from tests.support.models import activate, make_version
from webapp.access import audit
from webapp.app import create_app
from webapp.card import TFLITE_FILE
from webapp.errors import Conflict, InferenceUnavailable, ModelInvalid, NotFound, WorkerCrashed
from webapp.inference.outcomes import Outcomes
from webapp.models.activation import Activation
from webapp.models.journal import JOURNAL_FILE, Journal
from webapp.models.registry import ACTIVE_FILE, Registry
from webapp.models.services import models_of
from webapp.models.startup import start_inference
from webapp.settings import Settings
from webapp.web.open_database import database_of


class Inference(FakeInference):
    """The stand-in with counted outcomes; ``refuse`` is raised by the next reloads."""

    refuse: Exception | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.outcomes = Outcomes()
        self.redirected: list[str] = []
        self.reloads: list[str] = []

    def reload(self, version_folder: Path) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.reloads.append(version_folder.name)
        super().reload(version_folder)

    def redirect(self, version_folder: Path, version: str) -> None:
        self.redirected.append(version)
        self.version = version


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    make_version(folder, "old", 0)
    make_version(folder, "new", 1)
    activate(folder, "old")
    return folder


@pytest.fixture
def inference() -> Inference:
    return Inference(version="old")


@pytest.fixture
def app(models: Path, inference: Inference, tmp_path: Path) -> Iterator[Flask]:
    settings = Settings(
        models_dir=str(models), instance_dir=str(tmp_path / "instance"), async_mode="threading"
    )
    made = create_app(settings, inference=inference, registry=Registry(models))
    yield made
    database_of(made).close()


@pytest.fixture
def activation(app: Flask) -> Activation:
    return models_of(app).activation


@pytest.fixture
def quick(activation: Activation, monkeypatch: pytest.MonkeyPatch) -> Activation:
    """Without the process that verifies, where verifying is not what is tested."""
    monkeypatch.setattr(activation._registry, "verify", lambda version: {})
    return activation


def audited(app: Flask) -> list[tuple[str, str, str]]:
    found = audit.entries(database_of(app).open())
    return [(e.actor, e.action, e.subject) for e in found]


def active(models: Path) -> str | None:
    return Registry(models).active_name()


def fail(inference: Inference, version: str, times: int) -> None:
    for _ in range(times):
        inference.outcomes.failed(version, WorkerCrashed("It died."))


def test_a_version_is_verified_served_and_written_down(
    app: Flask, activation: Activation, inference: Inference, models: Path
) -> None:
    state = activation.activate("new", "ada", "better on happy")
    assert (inference.version, active(models)) == ("new", "new")
    assert state["previous"] == "old" and state["watch"]["previous"] == "old"
    (entry,) = activation.journal.entries()
    assert (entry.who, entry.outcome, entry.from_version, entry.to_version, entry.why) == (
        "ada", "activated", "old", "new", "better on happy",
    )  # fmt: skip
    assert audited(app) == [("ada", "model.activate", "new")]
    with pytest.raises(Conflict, match="serves already"):
        activation.activate("new", "ada")


def test_a_changed_file_is_refused_and_changes_nothing(
    app: Flask, activation: Activation, inference: Inference, models: Path
) -> None:
    with (models / "new" / TFLITE_FILE).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(ModelInvalid, match="changed or damaged"):
        activation.activate("new", "ada")
    assert (inference.version, active(models), inference.reloads) == ("old", "old", [])
    assert activation.journal.entries()[0].outcome == "refused"
    assert audited(app)[0][1] == "model.refused"
    with pytest.raises(NotFound):
        activation.activate("nothing", "ada")


def test_workers_that_cannot_load_it_leave_the_old_one(
    quick: Activation, inference: Inference, models: Path
) -> None:
    inference.refuse = WorkerCrashed("It died of it.")
    with pytest.raises(WorkerCrashed):
        quick.activate("new", "ada")
    assert (inference.version, active(models)) == ("old", "old")
    assert quick.probation is None


def test_a_full_disk_brings_the_old_one_back(
    quick: Activation, inference: Inference, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(quick._registry, "point_to", full)
    with pytest.raises(Exception, match=r"No space left.*old serves on"):
        quick.activate("new", "ada")
    assert inference.reloads == ["new", "old"]
    assert (inference.version, active(models)) == ("old", "old")


def test_one_click_back(quick: Activation, inference: Inference, models: Path) -> None:
    with pytest.raises(Conflict, match="no earlier model"):
        quick.roll_back("ada")
    quick.activate("new", "ada")
    quick.roll_back("ada", "reads worse")
    assert (inference.version, active(models)) == ("old", "old")
    assert [e.outcome for e in quick.journal.entries()] == ["rolled_back", "activated"]
    assert Registry(models).earlier() == []
    assert quick.probation is None


def test_errors_in_the_first_minute_bring_the_old_one_back(
    app: Flask, quick: Activation, inference: Inference, models: Path
) -> None:
    quick.activate("new", "ada")
    for _ in range(20):
        inference.outcomes.answered("new")
    fail(inference, "new", 4)
    quick.look()
    assert inference.version == "new"  # four are below the fewest that count
    fail(inference, "new", 2)
    quick.look()
    assert (inference.version, active(models)) == ("old", "old")
    entry = quick.journal.entries()[0]
    assert entry.automatic and entry.outcome == "rolled_back" and "6 of 26 frames" in entry.why
    notice = quick.state()["notice"]
    assert "went back to old by itself" in notice["message"]
    assert audited(app)[0] == ("server", "model.rollback", "old")
    quick.look()
    assert len(quick.journal.entries()) == 2


def test_errors_that_were_there_before_bring_nothing_back(
    quick: Activation, inference: Inference
) -> None:
    fail(inference, "old", 30)
    for _ in range(70):
        inference.outcomes.answered("old")
    quick.activate("new", "ada")
    for _ in range(60):
        inference.outcomes.answered("new")
    fail(inference, "new", 30)  # a third, where a third was usual
    quick.look()
    assert inference.version == "new"


def test_after_its_minute_a_version_stays(quick: Activation, inference: Inference) -> None:
    quick.activate("new", "ada")
    assert quick.probation is not None
    object.__setattr__(quick.probation, "until", 0.0)
    fail(inference, "new", 50)
    quick.look()
    assert inference.version == "new" and quick.probation is None


def test_a_version_that_ends_every_worker_is_taken_out(
    quick: Activation, inference: Inference, models: Path
) -> None:
    quick.activate("new", "ada")
    fail(inference, "new", 10)
    inference.refuse = InferenceUnavailable("No worker is ready.")
    quick.look()
    assert inference.redirected == ["old"]
    assert (inference.version, active(models)) == ("old", "old")


def test_the_command_line_is_followed(
    quick: Activation, inference: Inference, models: Path
) -> None:
    Registry(models).point_to("new")
    quick.look()
    assert inference.version == "new" and quick.state()["watch"] is not None


def test_an_active_file_that_cannot_be_served_is_put_back(
    activation: Activation, inference: Inference, models: Path
) -> None:
    (models / "new" / TFLITE_FILE).write_bytes(b"broken")
    Registry(models).point_to("new")
    activation.look()
    assert (inference.version, active(models)) == ("old", "old")
    state = activation.state()
    assert (
        state["notice"]["kind"] == "refused" and "changed or damaged" in state["notice"]["message"]
    )


def test_busy_workers_are_asked_again(
    quick: Activation, inference: Inference, models: Path
) -> None:
    Registry(models).point_to("new")
    inference.refuse = InferenceUnavailable("No worker is ready.")
    quick.look()
    assert (inference.version, active(models)) == ("old", "new")
    inference.refuse = None
    quick.look()
    assert inference.version == "new"


def test_the_page_says_that_a_start_fell_back(activation: Activation) -> None:
    activation.journal.add("server", "fell_back", "new", "old", "It is damaged.", automatic=True)
    activation.start()
    try:
        notice = activation.state()["notice"]
        assert notice["kind"] == "fell_back" and "It is damaged." in notice["message"]
    finally:
        activation.stop()


def test_the_journal_survives_a_cut_line(models: Path) -> None:
    journal = Journal(models)
    journal.add("ada", "activated", "old", "new")
    with (models / JOURNAL_FILE).open("a") as stream:
        stream.write('{"at": "20')
    journal.add("ada", "rolled_back", "new", "old")
    assert [e.outcome for e in journal.entries()] == ["rolled_back", "activated"]
    assert len(json.loads((models / JOURNAL_FILE).read_text().splitlines()[0])) == 7


def test_a_broken_active_version_falls_back_at_start(models: Path, tmp_path: Path) -> None:
    registry = Registry(models)
    registry.point_to("new")
    (models / "new" / TFLITE_FILE).write_bytes(b"broken")
    settings = Settings(models_dir=str(models), workers=1)
    service = start_inference(settings, registry)
    try:
        assert service.version == "old"
    finally:
        service.stop()
    assert active(models) == "old"
    (entry,) = Journal(models).entries()
    assert entry.outcome == "fell_back" and entry.automatic and "changed or damaged" in entry.why
    (models / "old" / TFLITE_FILE).write_bytes(b"broken too")
    with pytest.raises(ModelInvalid):
        start_inference(settings, registry)
    assert (models / ACTIVE_FILE).read_text() == "old\n"
