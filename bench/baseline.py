"""``python -m bench.baseline --data FER2013/ --json -``: does a resting face's baseline help?

FER2013 has one picture of each person, so both sides are approximations, said as such: a person at
rest is a face, unseen in training, that most FER+ voters call neutral, in two sets of views
(turned, moved, lit, blurred and noisy, drawn apart): one set makes the baseline, the other is
read. What it costs is seen on faces of other emotions, of other people, each under the baseline of
a random neutral person; one's own face would be closer to one's own baseline.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import numpy.typing as npt

from bench.support.heldout import Program, active_folder, labelled_faces, unseen_faces
from webapp.card import ModelCard
from webapp.domain import EMOTIONS, EmotionScores
from webapp.live.baseline import SMALLEST, adjusted, offsets
from webapp.vision import crops
from webapp.vision.classifier import Classifier

NEUTRAL = EMOTIONS.index("neutral")
Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def views(face: Grey, rng: np.random.Generator, count: int) -> list[Grey]:
    """``count`` looks at one face, as a camera gets them."""
    made = []
    for _ in range(count):
        turn = cv2.getRotationMatrix2D(
            (24, 24), float(rng.normal(0, 4)), float(rng.uniform(0.94, 1.06))
        )
        turn[:, 2] += rng.normal(0, 1.2, 2)
        seen = cv2.warpAffine(face, turn, (48, 48), borderMode=cv2.BORDER_REPLICATE)
        seen = cv2.GaussianBlur(seen, (0, 0), float(rng.uniform(0.3, 1.0)))
        ramp = 1 + rng.normal(0, 0.15) * np.linspace(-1, 1, 48)[None]
        noisy = seen * ramp * rng.uniform(0.75, 1.2) + rng.normal(0, 4, seen.shape)
        made.append(noisy.clip(0, 255).astype(np.uint8))
    return made


def changed(rows: Floats, by: tuple[float, ...]) -> Floats:
    """Probabilities ``[n, 7]`` under a baseline."""
    values = [adjusted(EmotionScores(tuple(float(v) for v in row)), by).values for row in rows]
    return np.array(values, np.float32)


@click.command(cls=Program, help=__doc__)
@labelled_faces(required=True)
@click.option("--people", default=300, show_default=True)
@click.option("--looks", default=6, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "target", type=click.File("w"), default="-")
def main(
    data: Path, ferplus: Path | None, models: Path, people: int, looks: int, seed: int, target: Any
) -> None:
    folder = active_folder(models)
    card = ModelCard.load(folder)
    held = unseen_faces(data, ferplus, card)
    classifier = Classifier.from_version(folder, card)
    rng = np.random.default_rng(seed)

    def read(faces: list[Grey]) -> Floats:
        return classifier.probabilities(crops.to_batch(faces, card.input))

    resting = rng.permutation(held.of(NEUTRAL))[:people]
    before, after, misread, made = [], [], [], []
    for row in resting:
        own = read(views(held.faces.images[row], rng, looks))
        by = offsets(np.log(np.maximum(own, SMALLEST)).mean(axis=0).tolist())
        made.append(by)
        again = read(views(held.faces.images[row], rng, looks))
        before.append(again)
        after.append(changed(again, by))
        misread.append(own.mean(axis=0).argmax() != NEUTRAL)

    others = rng.permutation(np.flatnonzero((held.majority >= 0) & (held.majority != NEUTRAL)))
    chosen = others[: 2 * people]
    plain = read([held.faces.images[row] for row in chosen])
    truth = held.majority[chosen]
    needed = [by for by, wrong in zip(made, misread, strict=True) if wrong]

    def under(baselines: list[tuple[float, ...]]) -> dict[str, Any]:
        picks = rng.integers(0, len(baselines), len(plain))
        rows = np.concatenate(
            [changed(row[None], baselines[i]) for row, i in zip(plain, picks, strict=True)]
        )
        return {
            "accuracy": _right(rows, truth),
            "read_as_neutral": round(float((rows.argmax(axis=1) == NEUTRAL).mean()), 4),
        }

    wrong = np.array(misread)

    def rest(rows: list[Floats], which: npt.NDArray[np.bool_]) -> float | None:
        kept = [row for row, use in zip(rows, which, strict=True) if use]
        if not kept:
            return None
        return round(float((np.concatenate(kept).argmax(axis=1) == NEUTRAL).mean()), 4)

    everybody = np.ones(len(wrong), bool)
    report = {
        "model": card.version,
        "faces_of": held.kind,
        "resting": {
            "people": len(resting),
            "read_as_neutral": {"before": rest(before, everybody), "after": rest(after, everybody)},
            "misread_people": int(wrong.sum()),
            "of_those": {"before": rest(before, wrong), "after": rest(after, wrong)},
        },
        "others": {
            "faces": len(chosen),
            "before": {
                "accuracy": _right(plain, truth),
                "read_as_neutral": round(float((plain.argmax(axis=1) == NEUTRAL).mean()), 4),
            },
            "under_anybodys_baseline": under(made),
            "under_a_misread_persons_baseline": under(needed) if needed else None,
        },
    }
    json.dump(report, target, indent=1)
    target.write("\n")


def _right(rows: Floats, truth: npt.NDArray[np.int64]) -> float:
    return round(float((rows.argmax(axis=1) == truth).mean()), 4)


if __name__ == "__main__":
    main()
