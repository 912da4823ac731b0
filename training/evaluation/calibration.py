"""Temperature and the confidence below which the app says "uncertain", from validation only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.metrics import negative_log_likelihood
from training.litert import softmax

UNCERTAIN_RULE = (
    "Isotonic regression of being right on the served confidence over the validation pictures "
    "(a picture without a FER+ majority counts as not right when FER+ is the serving head); "
    "uncertain_below is the lowest confidence from which an answer is right more often than "
    "wrong, kept within [0.2, 0.8]."
)
_LOWEST, _HIGHEST = 0.2, 0.8

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Threshold:
    """``below`` and what it does on validation: the share of faces that become uncertain and
    the accuracy of the rest.
    """

    below: float
    share_uncertain: float
    accuracy_of_rest: float


def fit_temperature(logits: Floats, labels: Ints) -> float:
    """The temperature that minimises the cross-entropy of ``softmax(logits / T)``.

    Guo et al. 2017, "On Calibration of Modern Neural Networks". ``logits`` float ``[n, 7]``,
    ``labels`` int ``[n]``. Stays within ``[0.05, 20]``.
    """
    from scipy.optimize import minimize_scalar

    if not len(labels):
        raise ValueError("Expected validation pictures to fit a temperature. Received none.")

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(softmax(logits, float(np.exp(log_temperature))), labels)

    best = minimize_scalar(
        loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded", options={"xatol": 1e-5}
    )
    return float(np.exp(best.x))


def fit_uncertain_below(probabilities: Floats, labels: Ints) -> Threshold:
    """Choose ``uncertain_below`` by :data:`UNCERTAIN_RULE`.

    ``probabilities`` float ``[n, 7]`` as served; ``labels`` int ``[n]``, -1 where people agreed
    on none of the seven.
    """
    from sklearn.isotonic import IsotonicRegression

    confidence = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0).fit(confidence, right).predict(confidence)
    sure = confidence[fitted > 0.5]
    below = float(np.clip(sure.min() if len(sure) else _HIGHEST, _LOWEST, _HIGHEST))
    below = round(below, 3)
    kept = confidence >= below
    return Threshold(
        below,
        float(1 - kept.mean()),
        float(right[kept].mean()) if kept.any() else 0.0,
    )
