"""Choosing what of two heads is served, and writing it into a card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.faces import make_faces, make_votes
from tests.support.models import make_version
from tests.support.trained import call
from training.data.sources import prepare
from training.mix import main, mixture
from webapp.card import ModelCard
from webapp.vision.classifier import Classifier


def test_rare_emotions_gain_by_the_strength_of_the_adjustment() -> None:
    prior = np.array([0.1, 0.01, 0.05, 0.3, 0.1, 0.1, 0.34])
    chosen = mixture(0.25, 0.5, prior)
    assert dict(chosen.weights) == {"ferplus": 0.75, "fer2013": 0.25}
    gained = chosen.adjustment[1] - chosen.adjustment[6]
    assert gained == pytest.approx(0.5 * np.log(0.34 / 0.01), abs=1e-3)
    assert sum(chosen.adjustment) == pytest.approx(0, abs=1e-3)
    assert dict(mixture(0.0, 0.0, prior).weights) == {"ferplus": 1.0}


@pytest.fixture
def options(tmp_path: Path) -> list[object]:
    """Drawn faces with votes, and two versions that answer alike."""
    train = make_faces(tmp_path / "fer" / "train", per_class=10)
    test = make_faces(tmp_path / "fer" / "test", per_class=2, seed=1, prefix="PublicTest")
    make_votes(tmp_path / "votes.csv", train, test)
    held_back = make_version(tmp_path / "models", "held-back")
    make_version(tmp_path / "models", "serves")
    facts = prepare(tmp_path / "fer", tmp_path / "votes.csv", 0.3, 1).facts
    replace(ModelCard.load(held_back), data={"training": facts}).save(held_back)
    return [
        "--model", "held-back", "--data", tmp_path / "fer", "--ferplus", tmp_path / "votes.csv",
        "--models-dir", tmp_path / "models", "--validation", 0.3,
    ]  # fmt: skip


def test_the_curve_scores_both_labels(options: list[object]) -> None:
    done = call(main, *options)
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
    assert {(row["weight"], row["strength"]) for row in rows} > {(0.0, 0.0), (1.0, 0.5)}
    for row in rows:
        for labels in ("ferplus", "fer2013"):
            assert 0 <= row[labels]["accuracy"] <= 1
            assert set(row[labels]["recall"]) > {"sad", "fear"}


def test_a_mixture_is_fitted_and_written_with_its_figures(
    options: list[object], tmp_path: Path
) -> None:
    folder = tmp_path / "models" / "serves"
    before = ModelCard.load(folder)
    done = call(main, *options, "--into", "serves", "--weight", 0.2, "--strength", 0.5)
    assert done.exit_code == 0, done.output
    card = ModelCard.load(folder)
    assert card.mixture is not None
    assert dict(card.mixture.weights) == {"ferplus": 0.8, "fer2013": 0.2}
    assert card.metrics["validation"]["mixture"]["uncertain"]["below"] == card.uncertain_below
    assert card.metrics["test"]["serving"]["ferplus"]["n"] == 14
    assert card.files == before.files
    crop = np.full((1, 48, 48, 1), 90, np.float32)
    assert Classifier.from_version(folder).probabilities(crop).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "changed",
    [["--model", "serves"], ["--split-seed", 2], ["--validation", 0.5]],
    ids=["another version", "another split", "more of it"],
)
def test_pictures_that_the_version_may_have_learnt_choose_nothing(
    options: list[object], changed: list[object]
) -> None:
    done = call(main, *options, *changed)
    assert done.exit_code == 1
    assert "Error: " in done.output
    assert "{" not in done.output


def test_a_version_that_is_not_there_is_one_line(options: list[object]) -> None:
    done = call(main, *options, "--into", "nothing")
    assert done.exit_code == 1
    assert "nothing" in done.output
