"""What a model answers on labelled faces, and every figure that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.dataset import LabelledFaces, ferplus_majority
from training.evaluation.metrics import score
from training.evaluation.scoring import FloatArray, Scorer
from training.litert import softmax
from webapp.card import ModelCard
from webapp.domain import EMOTIONS
from webapp.vision.classifier import served


@dataclass(frozen=True)
class Answers:
    """What a model said about labelled faces.

    ``probabilities``: calibrated, float32 ``[n, 7]`` by head; ``majority``: int64 ``[n]``, the
    FER+ majority or -1; ``served``: what the app shows, float32 ``[n, 7]``; ``has_votes`` whether
    votes were given at all.
    """

    card: ModelCard
    faces: LabelledFaces
    probabilities: dict[str, FloatArray]
    majority: npt.NDArray[np.int64]
    served: FloatArray

    @property
    def has_votes(self) -> bool:
        return bool((self.faces.votes.sum(axis=1) > 0).any())

    @property
    def labels_head(self) -> str:
        """The head that is scored on FER2013 labels."""
        return _head_for(self.card, "fer2013")

    @property
    def votes_head(self) -> str:
        """The head that is scored on FER+ majorities."""
        return _head_for(self.card, "ferplus")


def _head_for(card: ModelCard, name: str) -> str:
    return name if any(head.name == name for head in card.heads) else card.serving_head


def answer(scorer: Scorer, faces: LabelledFaces) -> Answers:
    """Run the model over ``faces``; probabilities with each head's temperature."""
    logits = scorer.logits(faces.images)
    probabilities = {
        head.name: softmax(logits[head.name], head.temperature) for head in scorer.card.heads
    }
    majority = ferplus_majority(faces.votes)
    return Answers(scorer.card, faces, probabilities, majority, served(scorer.card, logits))


def figures(answers: Answers) -> dict[str, Any]:
    """Every figure of an evaluation, less the timing."""
    labels, known = answers.faces.labels, answers.majority >= 0
    majority = answers.majority[known]

    def on_labels(head: str) -> dict[str, Any]:
        return score(answers.probabilities[head], labels)

    def on_votes(head: str) -> dict[str, Any]:
        return score(answers.probabilities[head][known], majority)

    serving = answers.card.serving_head
    found: dict[str, Any] = {"head": answers.labels_head, **on_labels(answers.labels_head)}
    found["serving"] = {"head": serving, "fer2013": score(answers.served, labels)}
    if answers.has_votes and known.any():
        found["ferplus"] = {"head": answers.votes_head, **on_votes(answers.votes_head)}
        found["ferplus"]["agreement_with_labels"] = float((majority == labels[known]).mean())
        found["serving"]["ferplus"] = score(answers.served[known], majority)
    truth = answers.majority if serving == "ferplus" and answers.has_votes else labels
    found["serving"]["uncertain"] = _uncertain(answers, truth)
    return found


def _uncertain(answers: Answers, truth: npt.NDArray[np.int64]) -> dict[str, float]:
    probabilities = answers.served
    kept = probabilities.max(axis=1) >= answers.card.uncertain_below
    right = probabilities.argmax(axis=1) == truth
    return {
        "below": answers.card.uncertain_below,
        "share": float(1 - kept.mean()),
        "accuracy_of_rest": float(right[kept].mean()) if kept.any() else 0.0,
    }


def evaluate(scorer: Scorer, faces: LabelledFaces) -> dict[str, Any]:
    """The whole report of one model on one set of labelled faces, ready for JSON."""
    return describe(scorer, answer(scorer, faces))


def describe(scorer: Scorer, answers: Answers) -> dict[str, Any]:
    """As :func:`evaluate`, from answers already given."""
    faces = answers.faces
    timing = scorer.milliseconds_per_face(faces.images)
    return {
        **figures(answers),
        "ms_per_face": timing.get("wall"),
        "ms_per_face_cpu": timing.get("cpu"),
        "emotions": list(EMOTIONS),
        "model": {
            "version": scorer.card.version,
            "file": scorer.file.name,
            "sha256": scorer.sha256,
            "engine": scorer.engine,
            "temperatures": {head.name: head.temperature for head in scorer.card.heads},
        },
        "data": {
            "pictures": len(faces),
            "fingerprint": faces.fingerprint,
            "class_counts": faces.class_counts,
            "unreadable": list(faces.unreadable),
        },
    }
