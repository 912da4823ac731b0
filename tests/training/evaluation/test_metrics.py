import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from training.evaluation.metrics import (
    bootstrap,
    reliability,
    score,
    thresholded_precision_recall,
)
from webapp.domain import EMOTIONS


def _answers(n=700, seed=3, sharpness=2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, n)
    logits = rng.normal(size=(n, 7)) + sharpness * np.eye(7)[labels]
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), labels


def test_scores_are_those_of_scikit_learn():
    probabilities, labels = _answers()
    mine = score(probabilities, labels, resamples=10)
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = sklearn_metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(7), zero_division=0
    )
    assert mine["n"] == 700
    assert mine["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(labels, predicted))
    assert mine["precision_macro"] == pytest.approx(precision.mean())
    assert mine["recall_macro"] == pytest.approx(recall.mean())
    assert mine["f1_macro"] == pytest.approx(f1.mean())
    assert mine["loss"] == pytest.approx(sklearn_metrics.log_loss(labels, probabilities))
    assert mine["confusion"] == sklearn_metrics.confusion_matrix(labels, predicted).tolist()
    for index, name in enumerate(EMOTIONS):
        row = mine["per_class"][name]
        assert row["precision"] == pytest.approx(precision[index])
        assert row["recall"] == pytest.approx(recall[index])
        assert row["f1"] == pytest.approx(f1[index])
        assert row["support"] == support[index]


def test_a_class_that_nobody_names_scores_zero_as_in_scikit_learn():
    labels = np.array([0, 1, 2, 2])
    probabilities = np.full((4, 7), 0.05, np.float32)
    probabilities[:, 2] = 0.7
    mine = score(probabilities, labels, resamples=5)
    expected = sklearn_metrics.f1_score(
        labels, [2] * 4, average="macro", labels=range(7), zero_division=0
    )
    assert mine["f1_macro"] == pytest.approx(expected)


def test_ece_by_hand():
    # two answers at 0.9, one right: gap 0.4; two at 0.5, both right: gap 0.5
    probabilities = np.full((4, 7), 0.1 / 6)
    probabilities[:2, 0] = 0.9
    probabilities[2:] = 0.5 / 6
    probabilities[2:, 1] = 0.5
    found = reliability(probabilities, np.array([0, 3, 1, 1]))
    assert found["ece"] == pytest.approx((2 * 0.4 + 2 * 0.5) / 4)
    assert sum(found["count"]) == 4


def test_intervals_hold_the_value_and_narrow_with_more_pictures():
    few, many = _answers(200), _answers(3200)
    small, large = bootstrap(*few, resamples=200), bootstrap(*many, resamples=200)
    for name, value in (("accuracy", score(*many, resamples=2)["accuracy"]),):
        low, high = large[name]
        assert low < value < high
    assert large["accuracy"][1] - large["accuracy"][0] < small["accuracy"][1] - small["accuracy"][0]
    assert bootstrap(*few, resamples=200) == small


def test_the_interval_of_the_calibration_error_is_one_of_the_figure_itself():
    """Of answers that are perfectly calibrated, resamples alone would lie above the figure."""
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.4, 1.0, 2000)
    probabilities = np.repeat((1 - confidence)[:, None] / 6, 7, axis=1)
    probabilities[:, 0] = confidence
    labels = np.where(rng.uniform(size=2000) < confidence, 0, 1)
    found = score(probabilities, labels, resamples=200)
    low, high = found["intervals"]["ece"]
    assert low < found["ece"] < high
    assert found["ece_interval"] == "bias taken out"


def test_thresholded_precision_and_recall_pool_the_classes():
    probabilities = np.array(
        [[0.6, 0.4, 0, 0, 0, 0, 0], [0.4, 0.3, 0.3, 0, 0, 0, 0], [0, 0.9, 0.1, 0, 0, 0, 0]]
    )
    # answers above 0.5: class 0 (right) and class 1 (wrong); three pictures
    assert thresholded_precision_recall(probabilities, np.array([0, 0, 2])) == (0.5, 1 / 3)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="Expected probabilities"):
        score(np.zeros((3, 6)), np.zeros(3, np.int64))
