"""How a model holds up on smaller, blurred, darker and brighter copies of labelled faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.data.dataset import LabelledFaces
from training.evaluation.answers import Answers, answer
from training.evaluation.scoring import Scorer
from webapp.vision.crops import resize

SIZES_PX = (48, 32, 24, 16, 12)
BLURS_PX = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
BRIGHTNESS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
SAMPLE = 1000

Greys = npt.NDArray[np.uint8]


def shrunk(images: Greys, side: int) -> Greys:
    """As seen at ``side`` pixels and enlarged again; uint8 ``[n, h, w]``."""
    height, width = images.shape[1:]
    return np.stack([resize(resize(image, side, side), width, height) for image in images])


def blurred(images: Greys, sigma: float) -> Greys:
    """Gaussian blur with ``sigma`` in pixels of the picture; uint8 ``[n, h, w]``."""
    if not sigma:
        return images
    return np.stack([cv2.GaussianBlur(image, (0, 0), sigma) for image in images]).astype(np.uint8)


def lit(images: Greys, factor: float) -> Greys:
    """Every grey level times ``factor``, cut off at white; uint8 ``[n, h, w]``."""
    return np.asarray(np.clip(images * factor, 0, 255), dtype=np.uint8)


_KINDS: dict[str, tuple[tuple[float, ...], Callable[[Greys, Any], Greys], str]] = {
    "size": (SIZES_PX, shrunk, "face side, pixels"),
    "blur": (BLURS_PX, blurred, "blur sigma, pixels of a 48-pixel face"),
    "brightness": (BRIGHTNESS, lit, "brightness factor"),
}


def degraded(
    scorer: Scorer, faces: LabelledFaces, sample: int = SAMPLE, seed: int = 0
) -> dict[str, Any]:
    """Accuracy on both label sets by kind and strength, on a fixed random sample.

    ``{kind: {"unit", "values", "fer2013", "ferplus"}, "n", "n_ferplus"}``; each label set is
    scored with its own head; ``ferplus`` is empty without votes.
    """
    order = np.random.default_rng(seed).permutation(len(faces))[:sample]
    chosen = faces.take(np.sort(order).astype(np.int64))
    found: dict[str, Any] = {"n": len(chosen)}
    for kind, (values, change, unit) in _KINDS.items():
        rows: dict[str, Any] = {"unit": unit, "values": list(values), "fer2013": [], "ferplus": []}
        for value in values:
            changed = LabelledFaces(
                change(chosen.images, value), chosen.labels, chosen.names, chosen.votes
            )
            on_labels, on_votes, voted = accuracies(answer(scorer, changed))
            rows["fer2013"].append(on_labels)
            if voted:
                rows["ferplus"].append(on_votes)
            found["n_ferplus"] = voted
        found[kind] = rows
    return found


def accuracies(answers: Answers) -> tuple[float, float, int]:
    """(accuracy on labels, accuracy on FER+ majorities, number of those)."""
    known = answers.majority >= 0
    labels_head = answers.probabilities[answers.labels_head].argmax(axis=1)
    votes_head = answers.probabilities[answers.votes_head].argmax(axis=1)
    on_votes = float((votes_head == answers.majority)[known].mean()) if known.any() else 0.0
    return float((labels_head == answers.faces.labels).mean()), on_votes, int(known.sum())
