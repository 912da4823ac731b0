"""How an epoch's network with two heads reads the validation pictures."""

from __future__ import annotations

from collections.abc import Mapping

from training.data.dataset import LabelledFaces, ferplus_majority
from training.evaluation.metrics import confusion_matrix, macro_scores
from training.litert import FloatArray


def scores_of(logits: Mapping[str, FloatArray], faces: LabelledFaces) -> dict[str, float]:
    """Accuracy and macro F1 of both heads for ``faces``: by FER2013 label and FER+ majority.

    ``logits``: float32 ``[n, 7]`` by head. The names begin with ``val_``; NaN where no votes are
    known.
    """
    found: dict[str, float] = {}
    for head, truth in (("fer2013", faces.labels), ("ferplus", ferplus_majority(faces.votes))):
        known = truth >= 0
        predicted = logits[head].argmax(axis=1)
        accuracy = f1 = float("nan")
        if known.any():
            accuracy = float((predicted == truth)[known].mean())
            f1 = float(macro_scores(confusion_matrix(truth[known], predicted[known])).f1.mean())
        found |= {f"val_{head}": accuracy, f"val_{head}_macro_f1": f1}
    return found
