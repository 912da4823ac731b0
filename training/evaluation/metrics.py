"""How good answers are: accuracy, macro scores, calibration, and intervals around them.

Probabilities are float ``[n, 7]``, labels int ``[n]``; both in the order of ``EMOTIONS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from webapp.domain import EMOTIONS

ECE_BINS = 15
ECE_INTERVAL = "bias taken out"  # cards without this word have one that lies above the figure
RESAMPLES = 1000
_CLASSES = len(EMOTIONS)

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MacroScores:
    """Per-class precision, recall and F1 (each ``[..., 7]``); a class without a case scores 0."""

    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]


def confusion_matrix(labels: Ints, predictions: Ints) -> Ints:
    """``[7, 7]`` counts; rows are labels, columns predictions."""
    cells = np.bincount(labels * _CLASSES + predictions, minlength=_CLASSES**2)
    return cells.reshape(_CLASSES, _CLASSES).astype(np.int64)


def macro_scores(confusion: npt.NDArray[Any]) -> MacroScores:
    """Scores of one confusion matrix ``[7, 7]`` or of many ``[..., 7, 7]``."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    predicted, actual = confusion.sum(axis=-2), confusion.sum(axis=-1)
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(actual, 1)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return MacroScores(precision, recall, f1)


def reliability(probabilities: Floats, labels: Ints, bins: int = ECE_BINS) -> dict[str, Any]:
    """The reliability diagram's numbers, by equal-width bins of the top probability.

    Returns lists ``count``, ``confidence`` and ``accuracy`` of each bin (0 where empty) and
    ``ece``, the expected calibration error: the mean of ``|accuracy - confidence|`` over bins
    weighted by count (Naeini et al. 2015; Guo et al. 2017).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    count, summed, right = _bin_sums(confidence, correct, bins)
    filled = np.maximum(count, 1)
    return {
        "count": count.astype(int).tolist(),
        "confidence": (summed / filled).tolist(),
        "accuracy": (right / filled).tolist(),
        "ece": _ece(count, summed, right),
    }


def _bin_sums(confidence: Floats, correct: Floats, bins: int) -> tuple[Floats, Floats, Floats]:
    # bins are (low, high] as in the papers; a confidence of 0 falls into the first
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    ones = np.ones_like(confidence)
    count, summed, right = (
        np.asarray(np.bincount(place, weights=weights, minlength=bins), dtype=np.float64)
        for weights in (ones, confidence, correct)
    )
    return count, summed, right


def _ece(count: Floats, summed: Floats, right: Floats) -> float:
    return float(np.abs(summed - right).sum() / max(count.sum(), 1))


def negative_log_likelihood(probabilities: Floats, labels: Ints) -> float:
    """Mean cross-entropy in nats; probabilities below 1e-7 count as 1e-7, as in Keras."""
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(chosen, 1e-7, 1.0)).mean())


def score(
    probabilities: Floats, labels: Ints, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Every figure of one head on one label set, ready for JSON.

    Keys: ``n, accuracy, precision_macro, recall_macro, f1_macro, precision_thresholded,
    recall_thresholded, loss, ece, reliability, per_class, confusion, intervals, ece_interval``;
    ``intervals`` holds percentile-bootstrap 95 %
    ranges, and ``ece_interval`` says that the ECE's has its bias taken out. Raises ValueError for
    no pictures or shapes that do not fit.
    """
    if probabilities.ndim != 2 or probabilities.shape != (len(labels), _CLASSES) or not len(labels):
        raise ValueError(
            f"Expected probabilities [n, {_CLASSES}] and n > 0 labels. "
            f"Received {probabilities.shape} and {labels.shape}."
        )
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1))
    scores = macro_scores(confusion)
    support = confusion.sum(axis=1)
    calibration = reliability(probabilities, labels)
    sure_precision, sure_recall = thresholded_precision_recall(probabilities, labels)
    return {
        "n": len(labels),
        "accuracy": float(np.trace(confusion) / len(labels)),
        "precision_macro": float(scores.precision.mean()),
        "recall_macro": float(scores.recall.mean()),
        "f1_macro": float(scores.f1.mean()),
        "precision_thresholded": sure_precision,
        "recall_thresholded": sure_recall,
        "loss": negative_log_likelihood(probabilities, labels),
        "ece": float(calibration["ece"]),
        "reliability": {k: calibration[k] for k in ("count", "confidence", "accuracy")},
        "per_class": {
            name: {
                "precision": float(scores.precision[index]),
                "recall": float(scores.recall[index]),
                "f1": float(scores.f1[index]),
                "support": int(support[index]),
            }
            for index, name in enumerate(EMOTIONS)
        },
        "confusion": confusion.tolist(),
        "intervals": bootstrap(probabilities, labels, resamples=resamples, seed=seed),
        "ece_interval": ECE_INTERVAL,
    }


def bootstrap(
    probabilities: Floats, labels: Ints, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, list[float]]:
    """Percentile-bootstrap 95 % intervals ``[low, high]`` (Efron 1979) over pictures.

    For accuracy, the macro scores, loss and ECE. The same seed gives the same intervals. Resampling
    adds noise to each bin, which the ECE, a mean of absolute values, takes for error: its resamples
    lie above the figure. Their interval is moved down by that bias, so that it is one of the figure
    itself and holds it.
    """
    generator = np.random.default_rng(seed)
    predictions = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = (predictions == labels).astype(np.float64)
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    losses = -np.log(np.clip(chosen, 1e-7, 1.0))
    cells = labels * _CLASSES + predictions
    found: dict[str, list[float]] = {"accuracy": [], "loss": [], "ece": []}
    matrices = np.empty((resamples, _CLASSES, _CLASSES))
    for row in range(resamples):
        pick = generator.integers(0, len(labels), len(labels))
        matrices[row] = np.bincount(cells[pick], minlength=_CLASSES**2).reshape(_CLASSES, -1)
        found["accuracy"].append(float(correct[pick].mean()))
        found["loss"].append(float(losses[pick].mean()))
        found["ece"].append(_ece(*_bin_sums(confidence[pick], correct[pick], ECE_BINS)))
    macro = macro_scores(matrices)
    found["precision_macro"] = macro.precision.mean(axis=-1).tolist()
    found["recall_macro"] = macro.recall.mean(axis=-1).tolist()
    found["f1_macro"] = macro.f1.mean(axis=-1).tolist()
    figure = _ece(*_bin_sums(confidence, correct, ECE_BINS))
    bias = float(np.mean(found["ece"])) - figure
    found["ece"] = [max(0.0, value - bias) for value in found["ece"]]
    return {
        name: [float(v) for v in np.percentile(values, (2.5, 97.5))]
        for name, values in found.items()
    }


def thresholded_precision_recall(
    probabilities: Floats, labels: Ints, threshold: float = 0.5
) -> tuple[float, float]:
    """Precision and recall as ``keras.metrics.Precision()`` and ``Recall()`` count them.

    Every one of the ``n x 7`` probabilities above ``threshold`` is a positive answer; the counts
    are pooled over classes. The project's first notebook reports these.
    """
    positive = probabilities > threshold
    truth = np.eye(_CLASSES, dtype=bool)[labels]
    hits = float((positive & truth).sum())
    return hits / max(float(positive.sum()), 1.0), hits / max(float(len(labels)), 1.0)
