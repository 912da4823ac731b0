"""``python -m bench.shares --json -``: how right are the shares a report shows, in small surveys?

Surveys are drawn with known mixes (mostly neutral, nearly all happy, neutral with rare negatives,
uniform), of 20 to 300 independent faces and of 20 people with 6 pictures each that resemble each
other (intraclass correlation 0.5). The truth is the mix they are drawn from. Each is read with the
mistakes of a model's confusion matrix and corrected with another draw of that matrix, as large as
the one on its card: what is known of a model is no more exact than its test set.

Printed for each: the mean absolute error of the plain shares, of the corrected ones, of what a
report shows (the corrected where its rule says so, else the plain), and of peers; how often the
rule shows the correction; and how often its interval holds the truth, for the largest class and for
the class where it does so least.

Without ``--data`` only the matrix of the model's card is needed. With FER2013 (and ``--ferplus``
for the labels of a FER+ head) real faces of its test set are drawn and read by the model, and the
peers that need probabilities are tried too. ``--damage`` then changes the faces that are read but
not those that the matrix was measured on: ``flagged_in`` says how often the report notices it and
withholds the correction, ``coverage_kept`` how often the intervals hold the truth where it does
not. Peers: ACC and PACC (adjusted and probabilistic
adjusted classify and count, Forman 2008; Bella et al. 2010, solved by non-negative least squares)
and EMQ (Saerens et al. 2002).
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from bench.quality import side_lit
from bench.support.output import write_report
from training.evaluation.degrade import blurred, lit
from webapp.card import ModelCard
from webapp.domain import EMOTIONS, QUALITY_FIGURES
from webapp.survey.report.checks import beyond_limits
from webapp.survey.report.quantify import Confusion, confusion_from_card, correct, reason_not_shown
from webapp.survey.report.statistics import Sample, design_effect, weighted_mean

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Greys = npt.NDArray[np.uint8]
SIZE = len(EMOTIONS)
#                angry disgust fear happy  sad surprise neutral
MIXES = {
    "neutral .70": (0.05, 0.01, 0.02, 0.12, 0.06, 0.04, 0.70),
    "happy .95": (0.005, 0.005, 0.005, 0.95, 0.005, 0.005, 0.025),
    "neutral .90": (0.015, 0.01, 0.01, 0.03, 0.02, 0.015, 0.90),
    "uniform": (1 / 7,) * 7,
}
SIZES = ((20, 1), (50, 1), (100, 1), (300, 1), (20, 6))  # people, pictures of each
ICC = 0.5
VOTES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
OTHER_VOTES = ("contempt", "unknown", "NF")


def compressed(images: Greys, quality: int) -> Greys:
    """Saved as JPEG and read again."""
    import cv2

    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    saved = [cv2.imencode(".jpg", image, settings)[1] for image in images]
    return np.stack([cv2.imdecode(one, cv2.IMREAD_GRAYSCALE) for one in saved]).astype(np.uint8)


def noisy(images: Greys, sigma: float) -> Greys:
    """With noise of ``sigma`` grey values, as of a sensor with little light."""
    noise = np.random.default_rng(0).normal(0, sigma, images.shape)
    return np.asarray(np.clip(images + noise, 0, 255), np.uint8)


DAMAGES: dict[str, Callable[[Greys], Greys] | None] = {
    "none": None,
    **{f"jpeg-{q}": partial(compressed, quality=q) for q in (10, 20, 30, 50)},
    **{f"noise-{s}": partial(noisy, sigma=s) for s in (5, 10, 20)},
    **{f"side-light-{s}": partial(side_lit, strength=s) for s in (0.5, 1.0, 1.5)},
    **{f"blur-{s}": partial(blurred, sigma=s) for s in (0.5, 1.0)},
    **{f"brightness-{f}": partial(lit, factor=f) for f in (0.25, 0.5, 1.5)},
}


@dataclass(frozen=True, slots=True)
class Reader:
    """A model as seen through its test set: ``confusion`` counts, and the faces if there are any.

    ``probabilities`` ``[n, 7]``, ``labels`` ``[n]`` and ``quality`` ``[n, 5]`` (in the order of
    ``QUALITY_FIGURES``), or all None. With ``damaged`` faces, those are read and not these.
    """

    confusion: Array
    probabilities: Array | None = None
    labels: Index | None = None
    quality: Array | None = None
    damaged: tuple[Array, Array] | None = None  # probabilities, quality

    def read(self, classes: Index, rng: np.random.Generator) -> tuple[Array, list[str]]:
        """Probabilities ``[n, 7]`` of faces of these classes, and what is unlike the test set.

        Without faces the probability is 1 for what is read.
        """
        if self.probabilities is None or self.labels is None or self.quality is None:
            rates = self.confusion / self.confusion.sum(axis=1, keepdims=True)
            found = (rng.random((len(classes), 1)) > rates[classes].cumsum(axis=1)).sum(axis=1)
            return np.asarray(np.eye(SIZE)[np.minimum(found, SIZE - 1)]), []
        pools = [np.flatnonzero(self.labels == index) for index in range(SIZE)]
        rows = [int(rng.choice(pools[c])) for c in classes]
        probabilities, quality = self.damaged or (self.probabilities, self.quality)
        return probabilities[rows], beyond_limits(quality[rows])

    def measured(self, rng: np.random.Generator) -> Confusion:
        """Another test set of the same size, as a confusion matrix."""
        rows = [rng.multinomial(int(row.sum()), row / row.sum()) for row in self.confusion]
        return Confusion(np.array(rows, dtype=np.float64), "another draw of the test set")


def draw_people(
    mix: Array, people: int, pictures: int, rng: np.random.Generator
) -> tuple[Index, Index]:
    """Classes and respondents of ``people * pictures`` faces, alike within a person by ``ICC``."""
    person = np.repeat(np.arange(people), pictures)
    classes = rng.choice(SIZE, people * pictures, p=mix)
    if pictures > 1:
        own = rng.choice(SIZE, people, p=mix)[person]
        classes = np.where(rng.random(len(person)) < np.sqrt(ICC), own, classes)
    return classes, person


def adjusted(rates: Array, observed: Array) -> Array:
    """Shares ``p >= 0`` that sum to 1 with ``p @ rates`` nearest to ``observed``."""
    from scipy.optimize import nnls

    weight = 100.0  # of the sum against the classes
    shares, _ = nnls(np.vstack([rates.T, weight * np.ones(SIZE)]), np.append(observed, weight))
    return np.asarray(shares / shares.sum())


def emq(probabilities: Array, prior: Array) -> Array:
    """Shares by expectation maximisation from probabilities of a model trained on ``prior``."""
    shares = prior.copy()
    for _ in range(200):
        weighted = probabilities * (shares / prior)
        after = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        if np.abs(after - shares).max() < 1e-6:
            break
        shares = after
    return shares


def one_survey(
    reader: Reader, mix: Array, people: int, pictures: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Errors, whether the correction is shown, and which classes its interval covers."""
    classes, person = draw_people(mix, people, pictures, rng)
    probabilities, unlike = reader.read(classes, rng)
    confusion = reader.measured(rng)
    nothing = np.zeros(len(classes), dtype=np.int64)
    sample = Sample(probabilities, nothing, person, nothing.astype(bool), ("A",), people)
    hits = (sample.emotions[:, None] == np.arange(SIZE)).astype(np.float64)
    means = [weighted_mean(hits[:, k], sample, sample.member(1)) for k in range(SIZE)]
    plain = np.array([mean.value for mean in means])
    corrected = correct(plain * len(classes), confusion, rng, design_effect(means))
    shown = not unlike and reason_not_shown(plain, corrected, people) is None
    estimates = {
        "plain": plain,
        "corrected": corrected.shares,
        "shown": corrected.shares if shown else plain,
        "acc": adjusted(confusion.rates, plain),
    }
    if reader.probabilities is not None and reader.labels is not None:
        rows = [reader.probabilities[reader.labels == k].mean(axis=0) for k in range(SIZE)]
        estimates["pacc"] = adjusted(np.array(rows), probabilities.mean(axis=0))
        prior = np.bincount(reader.labels, minlength=SIZE) / len(reader.labels)
        estimates["emq"] = emq(probabilities, prior)
    bands = [corrected.interval([k]) for k in range(SIZE)]
    return {
        "errors": {name: float(np.abs(e - mix).mean()) for name, e in estimates.items()},
        "shown": shown,
        "flagged": bool(unlike),
        "covered": [low <= mix[k] <= high for k, (low, high) in enumerate(bands)],
    }


def measure(reader: Reader, surveys: int, seed: int) -> list[dict[str, Any]]:
    """One row for each mix and size, over ``surveys`` surveys of each."""
    rows = []
    for name, shares in MIXES.items():
        mix = np.array(shares)
        for people, pictures in SIZES:
            rng = np.random.default_rng([seed, people, pictures])
            found = [one_survey(reader, mix, people, pictures, rng) for _ in range(surveys)]
            errors = {
                key: round(float(np.mean([one["errors"][key] for one in found])), 4)
                for key in found[0]["errors"]
            }
            covered = np.mean([one["covered"] for one in found], axis=0)
            kept = [one["covered"] for one in found if not one["flagged"]]
            rows.append(
                {
                    "mix": name,
                    "size": str(people) if pictures == 1 else f"{people}x{pictures}",
                    "error": errors,
                    "shown_in": round(float(np.mean([one["shown"] for one in found])), 3),
                    "flagged_in": round(float(np.mean([one["flagged"] for one in found])), 3),
                    "coverage_kept": round(float(np.mean(kept, axis=0).min()), 3) if kept else None,
                    "coverage": [round(float(value), 3) for value in covered],
                    "coverage_largest": round(float(covered[int(mix.argmax())]), 3),
                    "coverage_least": round(float(covered.min()), 3),
                    "shown_against_plain": round(errors["shown"] / errors["plain"], 3),
                }
            )
    return rows


def reader_from_faces(
    card: ModelCard, folder: Path, data: Path, ferplus: Path | None, damage: str
) -> Reader:
    """The model's answers on FER2013's test folder; FER+ majorities as labels where given."""
    import cv2

    from webapp.vision.classifier import Classifier
    from webapp.vision.crops import to_batch

    votes: dict[str, dict[str, str]] = {}
    if ferplus is not None:
        with ferplus.open(encoding="utf-8") as stream:
            votes = {row["file"]: row for row in csv.DictReader(stream)}
    faces, labels = [], []
    for index, emotion in enumerate(EMOTIONS):
        for path in sorted((data / "test" / emotion).iterdir()):
            label = index if ferplus is None else majority(votes.get(f"test/{emotion}/{path.name}"))
            face = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if face is not None and label is not None:
                faces.append(face)
                labels.append(label)
    pictures = np.stack(faces).astype(np.uint8)
    classifier = Classifier.from_version(folder)

    def read(images: Greys) -> tuple[Array, Array]:
        parts = [
            classifier.probabilities(to_batch(list(images[i : i + 256]), card.input))
            for i in range(0, len(images), 256)
        ]
        return np.concatenate(parts).astype(np.float64), quality_of(images)

    probabilities, quality = read(pictures)
    counts = np.zeros((SIZE, SIZE))
    np.add.at(counts, (labels, probabilities.argmax(axis=1)), 1)
    change = DAMAGES[damage]
    damaged = None if change is None else read(change(pictures))
    return Reader(counts, probabilities, np.array(labels), quality, damaged)


def quality_of(images: Greys) -> Array:
    """What a survey keeps of each face's quality, ``[n, 5]``; NaN where it would be set aside."""
    from webapp.vision.quality import assess

    judged = [assess(image, float(image.shape[1])) for image in images]
    return np.array([[getattr(q, f) for f in QUALITY_FIGURES] for q in judged], dtype=np.float64)


def majority(votes: dict[str, str] | None) -> int | None:
    """The emotion that most voters named, or None where none leads."""
    if votes is None:
        return None
    counts = np.array([float(votes[name]) for name in VOTES])
    most = counts.max()
    if (counts == most).sum() > 1 or most <= max(float(votes[name]) for name in OTHER_VOTES):
        return None
    return int(counts.argmax())


@click.command(help=__doc__)
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="Version folder.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="FER2013 folder.")
@click.option("--ferplus", type=click.Path(exists=True, path_type=Path), help="FER+ votes (CSV).")
@click.option("--damage", type=click.Choice(list(DAMAGES)), default="none", show_default=True)
@click.option("--surveys", default=200, show_default=True, help="Of each mix and size.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "target", default="-", help="File for the report; - is standard output.")
def main(
    model: Path | None,
    data: Path | None,
    ferplus: Path | None,
    damage: str,
    surveys: int,
    seed: int,
    target: str,
) -> None:
    folder = model or Path("models") / Path("models/ACTIVE").read_text(encoding="utf-8").strip()
    card = ModelCard.load(folder)
    if data is not None:
        reader = reader_from_faces(card, folder, data, ferplus, damage)
    else:
        if damage != "none":
            raise click.ClickException("Expected --data with the faces to damage. Received none.")
        confusion = confusion_from_card(card.metrics, card.serving_head, card.mixture is not None)
        if confusion is None:
            raise click.ClickException(f"The card of {card.version} holds no confusion matrix.")
        reader = Reader(confusion.counts)
    rows = measure(reader, surveys, seed)
    report = {
        "model": card.version,
        "test_faces": int(reader.confusion.sum()),
        "accuracy": float(np.trace(reader.confusion) / reader.confusion.sum()),
        "damage": damage,
        "surveys": surveys,
        "seed": seed,
        "least_coverage": min(row["coverage_least"] for row in rows),
        "worst_against_plain": max(row["shown_against_plain"] for row in rows),
        "rows": rows,
    }
    write_report(report, target)


if __name__ == "__main__":
    main()
