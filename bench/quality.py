"""``python -m bench.quality --data FER2013/ --json -``: from where on is a face too hard to read?

Validation faces (never trained on, never the test set) made smaller, blurred, darker, brighter,
lit from one side and cut off, each in steps: how many the serving head still reads as most FER+
voters did, how many labels are shown and right, and how many the quality gate holds back. ``pose``
puts the faces before a camera and groups them by the detector's filter for turned faces.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from bench.support.heldout import HeldOut, Program, active_folder, labelled_faces, unseen_faces
from bench.support.videos import HEIGHT, WIDTH, Grey, place, wall
from training.evaluation.degrade import blurred, lit, shrunk
from webapp.card import ModelCard
from webapp.vision import crops
from webapp.vision.classifier import Classifier
from webapp.vision.detector import FaceDetector
from webapp.vision.quality import assess, facing

SCENE_SIDE = 190.0
Greys = npt.NDArray[np.uint8]


def dimmed(images: Greys, factor: float) -> Greys:
    """Little light as a camera sees it: darker, and the sensor's noise (sigma 5) stays."""
    noise = np.random.default_rng(0).normal(0, 5, images.shape)
    return np.asarray(np.clip(images * factor + noise, 0, 255), np.uint8)


def side_lit(images: Greys, strength: float) -> Greys:
    """Light that falls off from right to left; ``strength`` is about the log ratio of halves."""
    ramp = np.exp(np.linspace(-strength, strength, images.shape[2]))
    return np.asarray(np.clip(images * (1.3 * ramp / ramp.max()), 0, 255), np.uint8)


def cut_off(side: str) -> Callable[[Greys, float], Greys]:
    """A function that repeats the last visible line over a share of the picture."""

    def change(images: Greys, share: float) -> Greys:
        changed = images.copy()
        lines = round(images.shape[1] * share)
        if lines and side == "below":
            changed[:, -lines:] = changed[:, -lines - 1 : -lines]
        elif lines and side == "above":
            changed[:, :lines] = changed[:, lines : lines + 1]
        elif lines:
            changed[:, :, :lines] = changed[:, :, lines : lines + 1]
        return changed

    return change


STEPS: dict[str, tuple[tuple[float, ...], Callable[[Greys, Any], Greys], str]] = {
    "size": ((48, 32, 24, 20, 16, 12), shrunk, "side of the face, pixels"),
    "blur": ((0, 1, 1.5, 2, 3), blurred, "sigma, pixels of a 48-pixel face"),
    "brightness": ((0.15, 0.25, 0.5, 1, 1.5, 2), lit, "factor"),
    "dark_and_noisy": ((0.15, 0.25, 0.35, 0.5, 1), dimmed, "factor, with noise of sigma 5"),
    "side_light": ((0, 0.5, 1, 1.5, 2), side_lit, "log ratio of the halves, about"),
    "cut_below": ((0, 0.1, 0.15, 0.2, 0.3), cut_off("below"), "share of the crop"),
    "cut_above": ((0, 0.15, 0.2, 0.3, 0.4), cut_off("above"), "share of the crop"),
    "cut_beside": ((0, 0.15, 0.2, 0.3, 0.4), cut_off("beside"), "share of the crop"),
}


def read(
    images: Greys, truth: npt.NDArray[np.int64], classifier: Classifier, side: float
) -> dict[str, float]:
    """Accuracy of all and of what is shown, and the share that :func:`assess` holds back."""
    chances = classifier.probabilities(crops.to_batch(list(images), classifier.card.input))
    right = chances.argmax(axis=1) == truth
    shown = chances.max(axis=1) >= classifier.card.uncertain_below
    held = np.array([not assess(image, side).ok for image in images])
    return {
        "accuracy": round(float(right.mean()), 4),
        "share_shown": round(float(shown.mean()), 4),
        "accuracy_shown": round(float(right[shown].mean()), 4) if shown.any() else 0.0,
        "held_back": round(float(held.mean()), 4),
    }


def pose(held: HeldOut, rows: npt.NDArray[np.int64], classifier: Classifier) -> dict[str, Any]:
    """Accuracy by pose, of faces that the detector finds in a camera's picture."""
    detector = FaceDetector()
    groups: dict[str, list[bool]] = {"front": [], "turned": [], "turned_and_unsure": []}
    missed = 0
    for row in rows:
        frame = wall().astype(np.float32)
        place(frame, held.faces.images[row], (WIDTH / 2, HEIGHT / 2), SCENE_SIDE)
        grey: Grey = frame.clip(0, 255).astype(np.uint8)
        found = [d for d in detector.scan(grey) if abs(d.box.center[0] - WIDTH / 2) < 60]
        if not found:
            missed += 1
            continue
        best = found[0]
        cut = crops.crops(grey, [best.box], classifier.card.crop, classifier.card.input)
        right = bool(classifier.probabilities(cut)[0].argmax() == held.majority[row])
        groups["turned" if best.turned else "front"].append(right)
        if not facing(best.turned and best.score < 0.3).ok:
            groups["turned_and_unsure"].append(right)
    return {
        "not_found": missed,
        **{
            name: {"n": len(all_), "accuracy": round(float(np.mean(all_)), 4) if all_ else None}
            for name, all_ in groups.items()
        },
    }


@click.command(cls=Program, help=__doc__)
@labelled_faces(required=True)
@click.option("--faces", default=500, show_default=True)
@click.option("--json", "target", type=click.File("w"), default="-")
def main(data: Path, ferplus: Path | None, models: Path, faces: int, target: Any) -> None:
    folder = active_folder(models)
    card = ModelCard.load(folder)
    held = unseen_faces(data, ferplus, card)
    classifier = Classifier.from_version(folder, card)
    known = np.random.default_rng(1).permutation(np.flatnonzero(held.majority >= 0))
    rows = known[:faces]
    images, truth = held.faces.images[rows], held.majority[rows]
    report: dict[str, Any] = {"model": card.version, "faces_of": held.kind, "faces": len(rows)}
    for kind, (values, change, unit) in STEPS.items():
        report[kind] = {"unit": unit, "steps": []}
        for value in values:
            side = float(value) if kind == "size" else SCENE_SIDE
            figures = read(
                change(images, int(value) if kind == "size" else float(value)),
                truth,
                classifier,
                side,
            )
            report[kind]["steps"].append({"value": value, **figures})
    report["pose"] = pose(held, known[: 2 * faces], classifier)
    json.dump(report, target, indent=1)
    target.write("\n")


if __name__ == "__main__":
    main()
