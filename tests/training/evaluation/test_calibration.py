import numpy as np
import pytest

from training.evaluation.calibration import fit_temperature, fit_uncertain_below
from training.evaluation.metrics import reliability
from training.litert import softmax


def _calibrated(n=6000, seed=1):
    """Logits whose softmax is the true chance of each label."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(n, 7))
    chances = softmax(logits).astype(np.float64)
    labels = (chances.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits, labels


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_temperature_undoes_a_known_scaling(factor):
    logits, labels = _calibrated()
    temperature = fit_temperature(logits * factor, labels)
    assert temperature == pytest.approx(factor, rel=0.05)
    assert reliability(softmax(logits * factor, temperature), labels)["ece"] < 0.03


def test_uncertain_below_parts_answers_that_are_mostly_wrong():
    logits, labels = _calibrated()
    probabilities = softmax(logits)
    found = fit_uncertain_below(probabilities, labels)
    # calibrated answers are right half the time at a confidence of one half
    assert found.below == pytest.approx(0.5, abs=0.06)
    kept = probabilities.max(axis=1) >= found.below
    right = probabilities.argmax(axis=1) == labels
    assert right[~kept].mean() < 0.5 < right[kept].mean()
    assert found.share_uncertain == pytest.approx(1 - kept.mean())
    assert found.accuracy_of_rest == pytest.approx(right[kept].mean())


def test_uncertain_below_counts_faces_without_a_majority_as_not_right():
    logits, labels = _calibrated()
    disputed = labels.copy()
    disputed[::3] = -1
    probabilities = softmax(logits)
    plain = fit_uncertain_below(probabilities, labels)
    assert fit_uncertain_below(probabilities, disputed).below > plain.below


def test_no_validation_picture_is_an_error():
    with pytest.raises(ValueError, match="Received none"):
        fit_temperature(np.zeros((0, 7)), np.zeros(0, np.int64))
