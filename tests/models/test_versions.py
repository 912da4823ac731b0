"""Cards as the pages show them, measurements, and the model pages."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.support.admin import Browser
from tests.support.models import activate, make_version
from webapp.admin import card_view as cards
from webapp.card import TFLITE_FILE, ModelCard
from webapp.domain import EMOTIONS
from webapp.errors import Conflict
from webapp.models import measurements
from webapp.models.registry import Registry

BINS = {"count": [0, 10, 30], "confidence": [0.0, 0.5, 0.9], "accuracy": [0.0, 0.6, 0.8]}


def facts(accuracy: float = 0.8, half_width: float = 0.01, **more: Any) -> dict[str, Any]:
    confusion = [[10 if row == column else 1 for column in range(7)] for row in range(7)]
    return {
        "n": 112,
        "accuracy": accuracy,
        "ece": 0.02,
        "confusion": confusion,
        "reliability": BINS,
        "per_class": {"happy": {"precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 16}},
        "intervals": {"accuracy": [accuracy - half_width, accuracy + half_width]},
    } | more


def card(metrics: dict[str, Any], version: str = "m-1", **more: Any) -> ModelCard:
    values = {"recipe": "mien", "created": "2026-01-01"} | more
    return ModelCard(version, metrics=metrics, **values)


def test_what_the_app_serves_comes_first() -> None:
    shown = card(
        {
            "validation": {"fer2013": facts(0.71)},
            "test": facts(0.7, head="fer2013") | {"serving": {"fer2013": facts(0.7)}},
        }
    )
    first, second = cards.evaluations(shown)
    assert (first.key, first.served, first.accuracy) == ("test.serving.fer2013", True, 0.7)
    assert first.title == "FER2013 labels, test pictures"
    assert second.title == "FER2013 labels, validation pictures"
    assert first.intervals["accuracy"] == pytest.approx((0.69, 0.71))
    assert first.bins[1].low == pytest.approx(1 / 3)
    assert [b.count for b in first.bins] == [0, 10, 30]
    assert first.heat[0][0] == (10, pytest.approx(10 / 16), 6)


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"test": {"accuracy": "high", "n": 10}},
        {"test": {"accuracy": float("nan"), "n": 10}},
        {"test": {"accuracy": 0.5}},
        {"test": [1, 2]},
        {"test": None},
    ],
)
def test_what_is_no_evaluation_is_left_out(metrics: dict[str, Any]) -> None:
    assert cards.evaluations(card(metrics)) == []


@pytest.mark.parametrize(
    "damage",
    [
        {"confusion": [[1, 2], [3, 4]]},
        {"confusion": [[-1] * 7] * 7},
        {"confusion": "none"},
        {"reliability": {"count": [1], "confidence": [0.5, 0.6], "accuracy": [1.0]}},
        {"reliability": {"count": ["x"], "confidence": [0.5], "accuracy": [1.0]}},
        {"reliability": []},
        {"per_class": {"happy": 3}},
        {"intervals": {"accuracy": [0.1]}},
        {"intervals": 3},
    ],
)
def test_a_damaged_part_of_a_card_costs_that_part(
    app: Flask, admin: Browser, tmp_path: Path, damage: dict[str, Any]
) -> None:
    given = card({"test": facts(**damage)})
    (shown,) = cards.evaluations(given)
    assert shown.accuracy == 0.8
    fake_version(tmp_path / "models", given)
    assert admin.get("/admin/models").status_code == 200
    assert admin.get("/admin/models/m-1").status_code == 200


def fake_version(models: Path, given: ModelCard) -> Path:
    """A version that is whole by its files' names; nothing of it can run."""
    folder = models / given.version
    folder.mkdir(parents=True)
    (folder / TFLITE_FILE).write_bytes(b"not a network")
    given.save(folder)
    return folder


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ((0.70, 0.01), (0.80, 0.01), "better"),
        ((0.80, 0.01), (0.70, 0.01), "worse"),
        ((0.70, 0.01), (0.71, 0.01), "unclear"),
    ],
)
def test_only_intervals_apart_make_a_verdict(
    first: tuple[float, float], second: tuple[float, float], verdict: str
) -> None:
    a, b = (cards.evaluations(card({"test": facts(*given)}))[0] for given in (first, second))
    accuracy, ece = cards.compare(a, b)
    assert accuracy.verdict == verdict
    assert ece.verdict == "unclear"  # no interval is known


def test_a_lower_calibration_error_is_better() -> None:
    def with_ece(ece: float) -> cards.Evaluation:
        interval = {"ece": [ece - 0.001, ece + 0.001]}
        known = facts(ece=ece, intervals=interval, ece_interval="bias taken out")
        return cards.evaluations(card({"test": known}))[0]

    found = {d.words: d.verdict for d in cards.compare(with_ece(0.05), with_ece(0.02))}
    assert found["Calibration error (ECE)"] == "better"


def test_an_interval_of_the_calibration_error_that_is_biased_is_not_shown() -> None:
    known = facts(ece=0.009, intervals={"accuracy": [0.79, 0.81], "ece": [0.010, 0.024]})
    assert set(cards.evaluations(card({"test": known}))[0].intervals) == {"accuracy"}


def test_training_curves_are_drawn_where_a_card_has_them() -> None:
    curves = {"loss": [2.0, 1.0, 0.5], "broken": [1.0, None], "odd": "x", "one": [1.0]}
    (drawn,) = cards.curves(card({}, training={"curves": curves}))
    assert (drawn.words, drawn.epochs, drawn.first, drawn.last) == ("Loss", 3, 2.0, 0.5)
    assert drawn.path.startswith("M0.0 3.0L120.0 ")
    assert cards.curves(card({})) == []


def test_tags_and_a_note_are_kept_and_shown(admin: Browser, tmp_path: Path) -> None:
    fake_version(tmp_path / "models", card({"test": facts(0.70)}, "first"))
    path = "/admin/api/models/first/notes"
    kept = admin.send("PUT", path, {"tags": ["lab", " lab ", "<i>"], "note": "Good by night."})
    assert kept.status_code == 200
    assert kept.json["tags"] == ["lab", "<i>"]
    for page in (admin.get("/admin/models").text, admin.get("/admin/models/first").text):
        assert "lab" in page and "Good by night." in page and "<i>" not in page
    for wrong in (
        {"tags": "lab", "note": ""},
        {"tags": ["x" * 31], "note": ""},
        {"tags": [""], "note": ""},
        {"tags": [str(n) for n in range(11)], "note": ""},
        {"tags": [], "note": "x" * 2001},
        {"tags": [], "note": 5},
    ):
        refused = admin.send("PUT", path, wrong)
        assert refused.status_code == 400
        assert refused.json["error"]["code"] == "invalid_request"
    assert admin.send("PUT", path.replace("first", "none"), {"tags": []}).status_code == 404
    fake_version(tmp_path / "other", card({"test": facts(0.70)}, "first", created="2026-02-02"))
    (tmp_path / "other" / "first" / "card.json").replace(
        tmp_path / "models" / "first" / "card.json"
    )
    assert "Good by night." not in admin.get("/admin/models/first").text
    (note,) = (tmp_path / "model-notes").iterdir()
    note.write_text("[]")
    assert "Good by night." not in admin.get("/admin/models/first").text


def test_the_same_pictures_are_told_by_their_fingerprint() -> None:
    def of(test: str | None, split: int = 1) -> ModelCard:
        data = {
            "test": {"fingerprint": test},
            "training": {"fingerprint": "t", "split_seed": split},
        }
        return card({"test": facts()}, data=data)

    assert cards.same_pictures(of("a"), of("a"), "test.serving.fer2013")
    assert not cards.same_pictures(of("a"), of("b"), "test")
    assert not cards.same_pictures(of(None), of(None), "test")
    assert cards.same_pictures(of("a"), of("b"), "validation.fer2013")
    assert not cards.same_pictures(of("a", 1), of("a", 2), "validation.fer2013")


def test_a_cross_fitted_model_says_how_it_was_validated() -> None:
    data = {"training": {"fingerprint": "t", "split_seed": 1, "training": 280, "folds": 2}}
    said = dict(cards.facts(card({"test": facts()}, data=data)))
    assert said["Validated"] == "out of fold: cross-fitted in 2 parts, trained on every picture"
    del data["training"]["folds"]
    assert "Validated" not in dict(cards.facts(card({"test": facts()}, data=data)))


def test_the_shipped_model_can_be_shown_in_full() -> None:
    models = Path(__file__).resolve().parents[2] / "models"
    shown = cards.evaluations(Registry(models).active().card)
    assert shown[0].served
    assert set(shown[0].per_class) == set(EMOTIONS)
    assert sum(b.count for b in shown[0].bins) == shown[0].n
    assert shown[0].intervals["accuracy"]


def test_the_pages_of_no_one_and_two_versions(admin: Browser, tmp_path: Path) -> None:
    models = tmp_path / "models"
    assert "no model version yet" in admin.get("/admin/models").text
    fake_version(models, card({"test": facts(0.70)}, "first"))
    assert "Compare two" not in admin.get("/admin/models").text
    fake_version(models, card({}, "second", recipe="<b>bold</b>"))
    (models / "half").mkdir()
    page = admin.get("/admin/models").text
    assert page.index("second") < page.index("first")
    assert "The card has no evaluation" in page
    assert "Model version half lacks card.json" in page
    assert "<b>bold</b>" not in page
    detail = admin.get("/admin/models/first").text
    assert "0.700" in detail
    assert "Numbers of the diagram" in detail
    both = admin.get("/admin/models/compare?a=first&b=second").text
    assert "no evaluation in common" in both
    same = admin.get("/admin/models/compare?a=first&b=first").text
    assert "not told apart" in same
    assert admin.get("/admin/models/compare?a=first&b=nothing").status_code == 404
    assert admin.get("/admin/models/compare").status_code == 404
    assert admin.get("/admin/models/..%2Fsecret").status_code == 404


@pytest.mark.slow
def test_a_version_is_measured_elsewhere_and_remembered(
    app: Flask, admin: Browser, tmp_path: Path
) -> None:
    folder = make_version(tmp_path / "models", "test-1")
    activate(tmp_path / "models", "test-1")
    assert "not measured" in admin.get("/admin/models").text
    done = admin.send("POST", "/admin/api/models/test-1/measure")
    assert done.status_code == 200, done.text
    assert done.json is not None
    assert 0 < done.json["ms"] <= done.json["ms_p95"]
    assert done.json["faces"] >= 10
    assert done.json["machine"] == measurements.machine()
    assert "not measured" not in admin.get("/admin/models").text
    kept = measurements.known(tmp_path, "test-1", folder)
    assert kept is not None
    assert kept["ms"] == done.json["ms"]
    # other files are another version to measure
    (folder / "card.json").write_text((folder / "card.json").read_text() + " ")
    assert measurements.known(tmp_path, "test-1", folder) is None


def test_a_changed_file_makes_a_version_broken_with_the_reason(
    admin: Browser, tmp_path: Path
) -> None:
    folder = make_version(tmp_path / "models", "test-1")
    with (folder / TFLITE_FILE).open("ab") as stream:
        stream.write(b"x")
    done = admin.send("POST", "/admin/api/models/test-1/measure")
    assert done.json is not None
    assert "model.tflite of test-1 was changed or damaged" in done.json["error"]
    page = admin.get("/admin/models").text
    assert 'data-broken="test-1"' in page
    assert "changed or damaged" in page


def test_a_network_that_ends_its_process_is_a_result_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_version(tmp_path / "models", card({}))
    monkeypatch.setattr(sys, "executable", shutil.which("false") or "false")
    found = measurements.measure(tmp_path, "m-1", folder)
    assert "could not be run" in found["error"]
    assert list((tmp_path / "measurements").glob(".measuring-*")) == []


def test_two_measurements_at_once_would_disturb_each_other(tmp_path: Path) -> None:
    folder = fake_version(tmp_path / "models", card({}))
    with measurements._running, pytest.raises(Conflict):
        measurements.measure(tmp_path, "m-1", folder)


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"key": "another"}'])
def test_a_damaged_measurement_counts_as_none(tmp_path: Path, kept: str) -> None:
    folder = fake_version(tmp_path / "models", card({}))
    path = measurements._file(tmp_path, "m-1")
    path.parent.mkdir()
    path.write_text(kept)
    assert measurements.known(tmp_path, "m-1", folder) is None
