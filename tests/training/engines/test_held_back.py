from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from training.data.dataset import FERPLUS_COLUMNS, LabelledFaces, ferplus_majority
from training.engines.held_back import scores_of


def test_accuracy_and_macro_f1_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    count = 200
    votes = rng.integers(0, 5, (count, len(FERPLUS_COLUMNS))).astype(np.float32)
    images = np.zeros((count, 48, 48), np.uint8)
    labels = rng.integers(0, 7, count)
    faces = LabelledFaces(images, labels, ("x",) * count, votes)
    logits = {h: rng.normal(size=(count, 7)).astype(np.float32) for h in ("fer2013", "ferplus")}
    found = scores_of(logits, faces)
    majority = ferplus_majority(votes)
    known = majority >= 0
    assert 0 < known.sum() < count
    for head, truth, rows in (("fer2013", labels, slice(None)), ("ferplus", majority, known)):
        expected, answers = truth[rows], logits[head][rows].argmax(axis=1)
        assert found[f"val_{head}"] == pytest.approx(accuracy_score(expected, answers))
        assert found[f"val_{head}_macro_f1"] == pytest.approx(
            f1_score(expected, answers, labels=range(7), average="macro", zero_division=0)
        )


def test_without_votes_nothing_is_said_of_them() -> None:
    faces = LabelledFaces(
        np.zeros((1, 48, 48), np.uint8), np.array([3]), ("x",), np.zeros((1, 10), np.float32)
    )
    logits = {head: np.eye(7, dtype=np.float32)[[3]] for head in ("fer2013", "ferplus")}
    found = scores_of(logits, faces)
    assert found["val_fer2013"] == 1
    assert math.isnan(found["val_ferplus"])
    assert math.isnan(found["val_ferplus_macro_f1"])
