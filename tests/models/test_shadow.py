"""A shadow deployment: what is counted, what is dropped, and that live is never held up."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.support.live import FakeInference, face
from tests.support.models import activate, make_version
from webapp.app import create_app
from webapp.domain import EMOTIONS, SCAN, Box, FrameResult
from webapp.errors import Conflict, InvalidRequest, NotFound, WorkerCrashed
from webapp.models import shadow as module
from webapp.models.registry import Registry
from webapp.models.services import models_of
from webapp.models.shadow import Shadow
from webapp.models.tally import Tally
from webapp.settings import Settings
from webapp.survey.catalog import NewSurvey
from webapp.survey.service import surveys_of
from webapp.web.open_database import database_of


def result(model: str, *faces: Any, wait: float = 1.0) -> FrameResult:
    return FrameResult(640, 480, model, tuple(faces), {"classify": 4.0, "wait": wait})


def test_a_tally_matches_faces_and_counts() -> None:
    left, right = Box(0, 0, 100, 100), Box(300, 0, 400, 100)
    tally = Tally()
    tally.add(
        result("a", face(left, happy=0.9), face(right, sad=0.8)),
        result("b", face(right, angry=0.7), face(left, happy=0.6)),
        (7, "x.jpg"),
    )
    tally.add(result("a", face(left, happy=0.9)), result("b", face(right, happy=0.9)))
    found = tally.to_json()
    assert (found["frames"], found["faces"], found["agreement"], found["unmatched"]) == (
        2,
        2,
        0.5,
        2,
    )
    sad, angry, happy = (EMOTIONS.index(n) for n in ("sad", "angry", "happy"))
    assert found["matrix"][sad][angry] == 1 and found["matrix"][happy][happy] == 1
    (example,) = found["examples"]
    assert (example["upload"], example["active"], example["candidate"]) == (7, "sad", "angry")
    assert example["distance"] == pytest.approx(0.8)
    shift = {row["emotion"]: row["candidate"] - row["active"] for row in found["shift"]}
    assert shift["happy"] == pytest.approx(-0.15) and abs(sum(shift.values())) < 1e-6
    assert found["ms_active"] == 2.0 or found["ms_active"] == 3.0


def test_live_frames_leave_no_example() -> None:
    tally = Tally()
    box = Box(0, 0, 100, 100)
    tally.add(result("a", face(box, sad=0.9)), result("b", face(box, happy=0.9)))
    assert tally.to_json()["examples"] == []


class Candidate:
    """Stands in for the candidate's worker; ``gate`` holds its answers back."""

    gate = threading.Event()
    error: Exception | None = None
    made: list[Candidate]

    def __init__(self, _settings: Settings, folder: Path, *, background: bool) -> None:
        assert background
        self.version = folder.name
        self.stopped = False
        Candidate.made.append(self)

    def start(self) -> None:
        if Candidate.error is not None:
            raise Candidate.error

    def stop(self) -> None:
        self.stopped = True

    def analyze(self, _image: bytes, **_options: Any) -> FrameResult:
        assert Candidate.gate.wait(30)
        return result(self.version, face(Box(0, 0, 100, 100), sad=0.9))


@pytest.fixture
def inference() -> FakeInference:
    return FakeInference(version="old")


@pytest.fixture
def app(
    tmp_path: Path, inference: FakeInference, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Flask]:
    make_version(tmp_path / "models", "old", 0)
    make_version(tmp_path / "models", "new", 1)
    activate(tmp_path / "models", "old")
    Candidate.made, Candidate.error = [], None
    Candidate.gate.set()
    monkeypatch.setattr(module, "InferenceService", Candidate)
    settings = Settings(
        models_dir=str(tmp_path / "models"),
        instance_dir=str(tmp_path / "instance"),
        async_mode="threading",
    )
    made = create_app(settings, inference, Registry(tmp_path / "models"))
    yield made
    models_of(made).shadow.close()
    database_of(made).close()


@pytest.fixture
def shadow(app: Flask) -> Shadow:
    return models_of(app).shadow


def until(condition: Callable[[], Any], patience_s: float = 30) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.01)


def offer(inference: Any, wait: float = 1.0) -> None:
    inference.on_live(b"jpeg", SCAN, result("old", face(Box(0, 0, 100, 100), happy=0.9), wait=wait))


def test_a_worker_that_cannot_be_ended_does_not_hold_up_the_next_trial(
    shadow: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(_self: Candidate) -> None:
        raise RuntimeError("it does not end")

    monkeypatch.setattr(Candidate, "stop", stuck)
    for _ in range(2):
        trial = shadow.begin("new", "ada")
        until(lambda trial=trial: trial.state == "running")
        shadow.end("ada")
        until(lambda: not shadow.running)
    assert [one["state"] for one in shadow.results()] == ["stopped", "stopped"]


def test_live_frames_are_compared_and_dropped_rather_than_held(
    shadow: Shadow, inference: Any
) -> None:
    trial = shadow.begin("new", "ada", share=1.0)
    until(lambda: trial.state == "running" and getattr(inference, "on_live", None))
    offer(inference)
    until(lambda: trial.tally.faces == 1)
    offer(inference, wait=500.0)  # live itself waits: leave it alone
    assert trial.tally.dropped == 1
    Candidate.gate.clear()
    for _ in range(10):
        offer(inference)  # returns at once although the candidate hangs
    assert trial.tally.dropped >= 1 + 10 - module.OFFERS - 1
    Candidate.gate.set()
    with pytest.raises(Conflict):
        shadow.begin("new", "ada")
    shadow.end("ada")
    until(lambda: not shadow.running)
    assert inference.on_live is None and Candidate.made[0].stopped
    (kept,) = shadow.results()
    assert kept["state"] == "stopped" and kept["candidate"] == "new" and kept["agreement"] == 0.0
    latest = shadow.latest_for("new")
    assert latest is not None and latest["id"] == trial.id
    with pytest.raises(NotFound):
        shadow.end("ada")


def test_it_ends_when_another_version_serves(shadow: Shadow, inference: FakeInference) -> None:
    trial = shadow.begin("new", "ada", share=1.0)
    until(lambda: trial.state == "running")
    inference.version = "third"
    until(lambda: not shadow.running)
    assert "stopped serving" in trial.reason


def test_it_ends_by_its_time_and_says_when_it_failed(shadow: Shadow) -> None:
    trial = shadow.begin("new", "ada", minutes=0.001)
    until(lambda: not shadow.running)
    assert trial.state == "done"
    Candidate.error = WorkerCrashed("It died of it.")
    failed = shadow.begin("new", "ada")
    until(lambda: not shadow.running)
    assert failed.state == "failed" and failed.reason == "It died of it."


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"candidate": "old"}, InvalidRequest),
        ({"candidate": "nothing"}, NotFound),
        ({"share": 0.0}, InvalidRequest),
        ({"share": float("nan")}, InvalidRequest),
        ({"minutes": 1e9}, InvalidRequest),
        ({"survey": "0" * 32}, NotFound),
    ],
)
def test_what_cannot_be_tried(
    shadow: Shadow, options: dict[str, Any], error: type[Exception]
) -> None:
    wanted = {"candidate": "new", "by": "ada"} | options
    with pytest.raises(error):
        shadow.begin(**wanted)
    assert shadow.trial is None


def test_every_kept_picture_of_a_survey_is_read_by_both(app: Flask, shadow: Shadow) -> None:
    opened = surveys_of(app).open()
    survey = opened.catalog.create(NewSurvey("Packages", "product", True, ("A",)))
    for number in range(3):
        content = io.BytesIO(b"\xff\xd8\xff picture %d" % number)
        opened.uploads.receive(survey.id, "A", f"{number}.jpg", content)
    opened.catalog.create(NewSurvey("Without pictures", "product", True, ("A",)))
    assert [one["name"] for one in shadow.kept_surveys()] == ["Packages"]
    trial = shadow.begin("new", "ada", survey=survey.id)
    until(lambda: trial.state not in ("starting", "running"))
    found = trial.tally.to_json()
    assert (found["frames"], found["faces"], trial.total) == (3, 0, 3)
    opened.close()
