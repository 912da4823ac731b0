"""``python -m bench.copies --data FER2013/ --json -``: what copies are worth in a test figure.

Some pictures of FER2013's test set are also in its training set. Training here drops them; most
published figures were reached with them in. ``remembered`` is the accuracy that the active version
would have if it answered each such test picture with the label that its copy has in training, and
everything else as it does: what a network would gain by remembering alone. Copies are equal to the
pixel; ``near`` counts pictures that are nearly so (correlation of the middles, 12x12, either way
round), which stay in training.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import numpy.typing as npt

from bench.support.heldout import Program, active_folder
from training.data.dataset import LabelledFaces, load_folder
from training.evaluation.scoring import open_version
from webapp.domain import EMOTIONS

NEAR = (0.95, 0.97, 0.99)
_EDGE, _SIDE = 6, 12

Greys = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def labels_of_copies(faces: LabelledFaces, among: LabelledFaces) -> Ints:
    """For each of ``faces`` the commonest label of its copies ``among`` others [n]; -1: no copy."""
    found: dict[bytes, list[int]] = {}
    for image, label in zip(among.images, among.labels.tolist(), strict=True):
        found.setdefault(image.tobytes(), []).append(label)
    answers = [found.get(image.tobytes()) for image in faces.images]
    most = [-1 if a is None else int(np.bincount(a, minlength=len(EMOTIONS)).argmax())
            for a in answers]  # fmt: skip
    return np.asarray(most, np.int64)


def likeness(faces: Greys, others: Greys) -> npt.NDArray[np.float32]:
    """The highest correlation of each of ``faces`` uint8 [n, h, w] with any of ``others`` [n]."""
    straight, turned = _middles(faces), _middles(faces[:, :, ::-1])
    known = _middles(others).T
    parts = [
        np.maximum(straight[at : at + 500] @ known, turned[at : at + 500] @ known).max(axis=1)
        for at in range(0, len(faces), 500)
    ]
    return np.concatenate(parts).astype(np.float32)


def _middles(faces: Greys) -> npt.NDArray[np.float32]:
    inner = faces[:, _EDGE:-_EDGE, _EDGE:-_EDGE]
    small = [cv2.resize(f, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel() for f in inner]
    rows = np.asarray(small, np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def report(test: LabelledFaces, training: LabelledFaces, predicted: Ints) -> dict[str, Any]:
    """``predicted`` int64 [n]: what a model that trained without the copies says of ``test``."""
    theirs = labels_of_copies(test, training)
    copied = theirs >= 0
    right = predicted == test.labels
    remembered = np.where(copied, theirs, predicted) == test.labels
    nearest = likeness(test.images, training.images)

    def share(of: npt.NDArray[np.bool_]) -> float | None:
        return round(float(of.mean()), 4) if len(of) else None

    return {
        "n": len(test),
        "copies": int(copied.sum()),
        "same_label_as_its_copy": share((theirs == test.labels)[copied]),
        "accuracy": share(right),
        "accuracy_on_copies": share(right[copied]),
        "accuracy_on_others": share(right[~copied]),
        "remembered": share(remembered),
        "near": {f"{least:g}": int(((nearest > least) & ~copied).sum()) for least in NEAR},
    }


@click.command(cls=Program, help=__doc__)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--models", type=click.Path(path_type=Path), default=Path("models"))
@click.option("--json", "target", type=click.File("w"), default="-")
def main(data: Path, models: Path, target: Any) -> None:
    """Copies between training and test, and what remembering them would be worth."""
    scorer = open_version(active_folder(models))
    test, training = load_folder(data / "test"), load_folder(data / "train")
    head = next((h for h in scorer.card.heads if h.name == "fer2013"), scorer.card.heads[0])
    predicted = scorer.logits(test.images)[head.name].argmax(axis=1).astype(np.int64)
    found = {"model": scorer.card.version, **report(test, training, predicted)}
    json.dump(found, target, indent=1)
    target.write("\n")


if __name__ == "__main__":
    main()
