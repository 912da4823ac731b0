"""``python -m bench.shares --data FER2013/ --json -``: are corrected shares closer to the truth?

Half of FER2013's test faces give the confusion matrix; from the other half surveys with known mixes
are drawn (uniform on the simplex). Every survey is summarised as a report would be: plain shares,
corrected shares, and their 95 % intervals. The halves are drawn anew for every few mixes, because
all mixes of one pair of halves share its luck.

The test set has 56 disgusted faces, so that a survey of mostly disgust shows the same 28 again and
again. They are what a report calls pictures of one respondent, and are given to it as such: taken
for different people they promise more than 28 faces can tell (coverage 0.91 instead of 0.95).

Without ``--model`` a weak stand-in reads the faces (logistic regression on gradient histograms,
trained on a part of the training set): the question is whether the correction mends a model's
mistakes, and a weak model makes more of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import numpy.typing as npt

from webapp.domain import EMOTIONS
from webapp.survey.report.quantify import Confusion
from webapp.survey.report.statistics import Sample, bootstrap, summarise

Array = npt.NDArray[np.float64]
SIZE = len(EMOTIONS)


def read_faces(folder: Path, most: int | None = None) -> tuple[npt.NDArray[np.uint8], Any]:
    """48x48 grey faces ``[n, 48, 48]`` and their class indices from a folder for each emotion."""
    faces, labels = [], []
    for index, emotion in enumerate(EMOTIONS):
        for path in sorted((folder / emotion).iterdir())[:most]:
            face = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if face is not None:
                faces.append(face)
                labels.append(index)
    return np.stack(faces).astype(np.uint8), np.array(labels)


def stand_in(train: Path, faces: npt.NDArray[np.uint8]) -> Array:
    """Probabilities ``[n, 7]`` of a weak model trained on up to 700 faces of each class."""
    from skimage.feature import hog
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    def features(pictures: npt.NDArray[np.uint8]) -> Array:
        return np.stack([hog(picture, 9, (8, 8), (2, 2)) for picture in pictures])

    seen, labels = read_faces(train, 700)
    scaler = StandardScaler().fit(features(seen))
    model = LogisticRegression(C=0.003, max_iter=200)
    model.fit(scaler.transform(features(seen)), labels)
    return np.asarray(model.predict_proba(scaler.transform(features(faces))))


def of_model(folder: Path, faces: npt.NDArray[np.uint8]) -> Array:
    """Probabilities of a model version's serving head."""
    from webapp.vision.classifier import Classifier

    classifier = Classifier.from_version(folder)
    spec = classifier.card.input
    crops = np.stack([cv2.resize(face, (spec.width, spec.height)) for face in faces])
    nhwc = np.repeat(crops[..., None], spec.channels, axis=3).astype(np.float32)
    parts = [classifier.probabilities(nhwc[i : i + 256]) for i in range(0, len(nhwc), 256)]
    return np.concatenate(parts).astype(np.float64)


def halves(read: Any, labels: Any, rng: np.random.Generator) -> tuple[Confusion, list[Any]]:
    """The confusion matrix of a random half, and the other half's faces by emotion."""
    known = np.zeros(len(labels), dtype=bool)
    known[rng.permutation(len(labels))[: len(labels) // 2]] = True
    counts = np.zeros((SIZE, SIZE))
    np.add.at(counts, (labels[known], read[known]), 1)
    pools = [np.flatnonzero(~known & (labels == index)) for index in range(SIZE)]
    return Confusion(counts, "half of the test set"), pools


def measure(
    probabilities: Array, labels: Any, mixes: int, faces: int, draws: int, seed: int, splits: int
) -> dict[str, Any]:
    """Errors and coverage over ``mixes`` surveys of ``faces`` faces out of ``splits`` halvings."""
    rng = np.random.default_rng(seed)
    read = probabilities.argmax(axis=1)
    rows: dict[str, list[float]] = {"raw": [], "corrected": []}
    covered: dict[str, list[bool]] = {"raw": [], "corrected": []}
    better = 0
    for mix in range(mixes):
        if mix * splits // mixes != (mix - 1) * splits // mixes:
            confusion, pools = halves(read, labels, rng)
        classes = rng.choice(SIZE, faces, p=rng.dirichlet(np.ones(SIZE)))
        drawn = np.array([rng.choice(pools[c]) for c in classes])
        truth = np.bincount(classes, minlength=SIZE) / faces
        nothing = np.zeros(faces, dtype=np.int64)
        people, person = np.unique(drawn, return_inverse=True)
        sample = Sample(
            probabilities[drawn], nothing, person, nothing.astype(bool), ("A",), len(people)
        )
        table = summarise(sample, bootstrap(sample, draws, rng), 1, confusion, rng)["emotions"]
        errors = {}
        for kind, share, band in (
            ("raw", "share", "share_interval"),
            ("corrected", "corrected", "corrected_interval"),
        ):
            wrong = [abs(row[share] - truth[i]) for i, row in enumerate(table)]
            errors[kind] = float(np.mean(wrong))
            rows[kind].append(errors[kind])
            covered[kind] += [
                row[band][0] <= truth[i] <= row[band][1] for i, row in enumerate(table)
            ]
        better += errors["corrected"] < errors["raw"]
    return {
        "accuracy": float((read == labels).mean()),
        "mixes": mixes,
        "halvings": splits,
        "faces_per_mix": faces,
        "mean_absolute_error": {kind: float(np.mean(values)) for kind, values in rows.items()},
        "coverage_of_95_interval": {k: float(np.mean(values)) for k, values in covered.items()},
        "mixes_where_correction_is_closer": better,
        "table": [
            {"raw": round(a, 4), "corrected": round(b, 4)}
            for a, b in zip(rows["raw"], rows["corrected"], strict=True)
        ],
    }


@click.command(help=__doc__)
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--model", type=click.Path(path_type=Path), help="Version folder.")
@click.option("--mixes", default=50, show_default=True)
@click.option("--splits", default=10, show_default=True, help="Random halvings of the test set.")
@click.option("--faces", default=300, show_default=True)
@click.option("--draws", default=500, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "target", default="-", help="File for the report; - is standard output.")
def main(
    data: Path,
    model: Path | None,
    mixes: int,
    splits: int,
    faces: int,
    draws: int,
    seed: int,
    target: str,
) -> None:
    pictures, labels = read_faces(data / "test")
    used = of_model(model, pictures) if model else stand_in(data / "train", pictures)
    report: dict[str, Any] = {"model": model.name if model else "stand-in", "seed": seed}
    report |= measure(used, labels, mixes, faces, draws, seed, splits)
    text = json.dumps(report, indent=2)
    if target == "-":
        click.echo(text)
    else:
        Path(target).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
