"""``python -m bench.reliability --data FER2013/ --json -``: may probabilities be believed?

For each head: the reliability diagram and the expected calibration error (ECE) before and after
its temperature, with a bootstrap interval. For the serving head: accuracy among the labels that
are shown against the share that is shown, as the threshold below which the app says "uncertain"
varies (risk and coverage; El-Yaniv and Wiener 2010). ``validation`` is what temperature and
threshold were chosen on (a cross-fitted version has no such pictures left; what its parts answered
out of fold stands in its card); ``test`` was used for nothing else and is reported once. FER+ votes
lie beside ``--data`` as ``ferplus.csv`` or come with ``--ferplus``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from bench.support.heldout import (
    HeldOut,
    Program,
    active_folder,
    labelled_faces,
    tested_faces,
    unseen_faces,
)
from training.data.dataset import load_folder
from training.evaluation.metrics import ECE_BINS, bootstrap, reliability
from training.evaluation.scoring import FloatArray, Scorer, open_version
from training.litert import softmax
from webapp.card import ModelCard

THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)

Ints = npt.NDArray[np.int64]


def calibration(logits: FloatArray, labels: Ints, temperature: float) -> dict[str, Any]:
    """ECE and bins of ``softmax(logits)`` and of ``softmax(logits / temperature)``.

    ``logits`` float ``[n, 7]``; ``labels`` int ``[n]``, -1 where there is none (left out).
    """
    known = labels >= 0

    def read(by: float) -> dict[str, Any]:
        chances = softmax(logits[known], by)
        bins = reliability(chances, labels[known])
        interval = bootstrap(chances, labels[known], resamples=300)["ece"]
        return {"ece": bins.pop("ece"), "ece_interval": interval, "bins": bins}

    return {
        "n": int(known.sum()),
        "bins": ECE_BINS,
        "temperature": temperature,
        "before": read(1.0),
        "after": read(temperature),
    }


def risk_coverage(chances: FloatArray, labels: Ints, below: float) -> dict[str, Any]:
    """What is shown, and how often it is right, by threshold; ``served`` is at the card's.

    A face on which people agreed on none of the seven (label -1) is part of what is shown and
    never right, as in use.
    """
    confidence = chances.max(axis=1)
    right = chances.argmax(axis=1) == labels

    def at(threshold: float) -> dict[str, float]:
        shown = confidence >= threshold
        hidden = ~shown
        return {
            "threshold": float(threshold),
            "share_shown": float(shown.mean()),
            "accuracy_shown": float(right[shown].mean()) if shown.any() else 0.0,
            "accuracy_hidden": float(right[hidden].mean()) if hidden.any() else 0.0,
            "wrong_shown_per_100": float(100 * (shown & ~right).mean()),
        }

    return {
        "n": len(labels),
        "served": at(below),
        "by_threshold": [at(threshold) for threshold in THRESHOLDS],
        "area_under_risk_coverage": _aurc(confidence, right),
        "area_if_confidence_said_nothing": float((~right).mean()),
    }


def _aurc(confidence: FloatArray, right: npt.NDArray[np.bool_]) -> float:
    """Mean share of wrong answers over every coverage, surest first; lower is better."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    return float(wrong.mean())


def report(scorer: Scorer, held: HeldOut) -> dict[str, Any]:
    """Both parts for one set of faces."""
    card, faces = scorer.card, held.faces
    logits = scorer.logits(faces.images)
    truths = {"fer2013": faces.labels, "ferplus": held.majority}
    serving = card.head(card.serving_head)
    served_on = truths.get(serving.name, faces.labels)
    chances = softmax(logits[serving.name], serving.temperature)
    return {
        "heads": {
            head.name: calibration(
                logits[head.name], truths.get(head.name, faces.labels), head.temperature
            )
            for head in card.heads
        },
        "uncertain": risk_coverage(chances, served_on, card.uncertain_below),
    }


@click.command(cls=Program, help=__doc__)
@labelled_faces(required=True)
@click.option("--json", "target", type=click.File("w"), default="-")
def main(data: Path, ferplus: Path | None, models: Path, target: Any) -> None:
    folder = active_folder(models)
    card = ModelCard.load(folder)
    scorer = open_version(folder, card)
    held = unseen_faces(data, ferplus, card)
    sets = {held.kind: held}
    if held.kind != "test":
        votes = ferplus or data.parent / "ferplus.csv"
        sets["test"] = tested_faces(load_folder(data / "test", votes))
    found = {name: report(scorer, held) for name, held in sets.items()}
    json.dump({"model": card.version, "serving_head": card.serving_head, **found}, target, indent=1)
    target.write("\n")


if __name__ == "__main__":
    main()
