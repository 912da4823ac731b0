"""``python -m training.mix --model VERSION --data DIR --ferplus CSV``: what of two heads to serve.

Prints, for weights of the FER2013 head in a product with the FER+ head and strengths of the logit
adjustment (Menon et al. 2021), how right the validation pictures are read by both labels. The
pictures must be those that ``--model`` held back (``--split-seed``, ``--validation``). With
``--into VERSION`` one mixture is written into that version's card: temperature and the confidence
below which the app says "uncertain" are fitted on the same pictures, and the test pictures are
scored with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from training.data.archive import opened
from training.data.dataset import DatasetError, LabelledFaces, ferplus_majority
from training.data.lineage import check_same_split
from training.data.sources import Prepared, prepare
from training.evaluation.answers import answer, figures
from training.evaluation.calibration import fit_temperature, fit_uncertain_below
from training.evaluation.metrics import score
from training.evaluation.scoring import Scorer, open_model, open_version
from training.litert import quieten
from webapp.card import Mixture, ModelCard
from webapp.domain import EMOTIONS
from webapp.errors import MienError, ModelInvalid
from webapp.files.text import forgiving_console
from webapp.models.registry import Registry
from webapp.vision.classifier import served

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
STRENGTHS = (0.0, 0.25, 0.35, 0.45, 0.5)
Logits = Mapping[str, npt.NDArray[np.float32]]


def mixture(weight: float, strength: float, prior: npt.NDArray[np.float64]) -> Mixture:
    """``weight`` of FER2013's head, the rest of FER+'s, less ``strength`` of the log prior."""
    centred = -strength * (np.log(prior) - np.log(prior).mean())
    weights = {"ferplus": round(1 - weight, 4), "fer2013": weight}
    return Mixture(
        {name: value for name, value in weights.items() if value},
        adjustment=tuple(round(float(v), 4) for v in centred),
    )


def check_held_back(folder: Path, pictures: Prepared) -> None:
    """Raise :class:`ModelInvalid` unless the version held these validation pictures back."""
    facts = pictures.facts
    seen = check_same_split(folder, facts["fingerprint"], facts["split_seed"]).data["training"]
    if seen.get("validation") != facts["validation"]:
        raise ModelInvalid(
            f"{folder.name} held {seen.get('validation')} pictures back, and here "
            f"{facts['validation']} are. Give its --validation."
        )


def prior_of(faces: LabelledFaces) -> npt.NDArray[np.float64]:
    """How frequent each emotion is by FER+ majority, float64 ``[7]``."""
    majority = ferplus_majority(faces.votes)
    counts = np.bincount(majority[majority >= 0], minlength=len(EMOTIONS))
    if not counts.all():
        raise DatasetError("Expected FER+ votes with every emotion among the training pictures.")
    return np.asarray(counts / counts.sum(), np.float64)


def read_right(card: ModelCard, logits: Logits, faces: LabelledFaces) -> dict[str, dict[str, Any]]:
    """Accuracy, macro F1 and recall of each emotion, by FER+ majority and by FER2013 label."""
    from sklearn.metrics import f1_score, recall_score

    answers, majority = served(card, logits).argmax(axis=1), ferplus_majority(faces.votes)
    found = {}
    for name, truth in (("ferplus", majority), ("fer2013", faces.labels)):
        known = truth >= 0
        options = {"labels": range(len(EMOTIONS)), "average": None, "zero_division": 0.0}
        recalls = recall_score(truth[known], answers[known], **options)
        f1 = f1_score(truth[known], answers[known], **options)
        found[name] = {
            "accuracy": round(float((answers == truth)[known].mean()), 4),
            "f1_macro": round(float(np.mean(f1)), 4),
            "recall": dict(zip(EMOTIONS, np.round(recalls, 4).tolist(), strict=True)),
        }
    return found


def fitted(
    card: ModelCard, chosen: Mixture, logits: Logits, faces: LabelledFaces
) -> tuple[Mixture, float, dict[str, Any]]:
    """``chosen`` with its temperature, "uncertain" below, and what it does on these pictures."""
    majority = ferplus_majority(faces.votes)
    known = majority >= 0
    # served() gives probabilities: their logarithms are the logits up to a constant
    mixed = np.log(served(replace(card, mixture=chosen), logits))
    chosen = replace(chosen, temperature=round(fit_temperature(mixed[known], majority[known]), 4))
    probabilities = served(replace(card, mixture=chosen), logits)
    threshold = fit_uncertain_below(probabilities, majority)
    return (
        chosen,
        threshold.below,
        {
            "chosen_on": f"the validation pictures of {card.version}, which held them back",
            "ferplus": score(probabilities[known], majority[known]),
            "fer2013": score(probabilities, faces.labels),
            "uncertain": {
                "below": threshold.below,
                "share_uncertain": threshold.share_uncertain,
                "accuracy_of_rest": threshold.accuracy_of_rest,
            },
        },
    )


def write(
    folder: Path, held_back: Scorer, logits: Logits, data: Prepared, chosen: Mixture
) -> dict[str, Any]:
    """Put ``chosen`` into the card of the version in ``folder``; what its test pictures say."""
    if data.test is None:
        raise DatasetError("Expected test pictures to score the mixture. Received none.")
    chosen, below, validation = fitted(held_back.card, chosen, logits, data.validation)
    card = replace(ModelCard.load(folder), mixture=chosen, uncertain_below=below)
    serving: dict[str, Any] = figures(answer(open_version(folder, card), data.test))["serving"]
    metrics = {part: dict(values) for part, values in card.metrics.items()}
    metrics.setdefault("validation", {})["mixture"] = validation
    metrics.setdefault("test", {})["serving"] = serving
    replace(card, metrics=metrics).save(folder)
    return serving


@click.command(help=__doc__)
@click.option("--model", required=True, help="The version that held the pictures back.")
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--ferplus", type=click.Path(path_type=Path), required=True)
@click.option("--split-seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--validation", default=0.1, show_default=True, help="Share that was held back.")
@click.option("--models-dir", type=click.Path(path_type=Path), default="models", show_default=True)
@click.option("--into", help="Write one mixture into this version's card.")
@click.option("--weight", default=0.0, show_default=True, help="Of FER2013's head, with --into.")
@click.option("--strength", default=0.0, show_default=True, help="Of the adjustment, with --into.")
def main(
    model: str, data: Path, ferplus: Path, split_seed: int, validation: float, models_dir: Path,
    into: str | None, weight: float, strength: float,
) -> None:  # fmt: skip
    forgiving_console()
    quieten()
    try:
        with opened(data) as source:
            pictures = prepare(source, ferplus, validation, split_seed)
        check_held_back(Registry(models_dir).get(model).folder, pictures)
        prior = prior_of(pictures.training)
        scorer = open_model(model, models_dir)
        logits = scorer.logits(pictures.validation.images)
        if into is not None:
            folder = Registry(models_dir).get(into).folder
            chosen = mixture(weight, strength, prior)
            serving = write(folder, scorer, logits, pictures, chosen)
            click.echo(json.dumps(serving, indent=1))
            return
        for each in WEIGHTS:
            for at in STRENGTHS:
                card = replace(scorer.card, mixture=mixture(each, at, prior))
                row: dict[str, Any] = {"weight": each, "strength": at}
                row |= read_right(card, logits, pictures.validation)
                click.echo(json.dumps(row))
    except (DatasetError, MienError, OSError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
