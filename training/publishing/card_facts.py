"""What a version's card says: calibration, figures, where the data came from, how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from training.data.dataset import LabelledFaces
from training.evaluation.calibration import UNCERTAIN_RULE, fit_temperature, fit_uncertain_below
from training.evaluation.metrics import score
from training.litert import FloatArray, softmax
from training.publishing.compact import MIRROR
from training.publishing.compiled import Compiled
from training.publishing.finished import FinishedRun
from training.publishing.members import Member, run_facts
from webapp.card import ModelCard, sha256_of
from webapp.errors import ModelInvalid

INTENDED_USE = (
    "Naming the facial expression that people would say a face shows, on faces seen from the "
    "front: demonstrations, research and surveys with the consent of those who are seen."
)
LIMITS = (
    "It reads facial movement, not what a person feels. Not for judging people at work, in "
    "school, in hiring, at borders or by police, and not for medical use. Disgust and fear are "
    "rare in FER2013 and read worst. Its pictures were collected from the web by search words; "
    "age, skin tone and culture are neither balanced nor labelled there, so how answers differ "
    "between groups of people is unknown. Small, dark, blurred, turned and covered faces are "
    "read worse."
)
LICENCE = "Trained on third-party pictures: check the terms of the data named here before use."


def calibrated(
    card: ModelCard, run: FinishedRun, logits: Mapping[str, FloatArray], source: str
) -> ModelCard:
    """The card with a temperature for each head, ``uncertain_below`` and validation figures.

    ``logits`` by head float32 ``[n, 7]`` are those of the run's validation pictures; ``source``
    says which files gave them. Each head is calibrated on its own label set.
    """
    if set(logits) != {head.name for head in card.heads}:
        raise ModelInvalid(
            f"Expected validation logits of the heads {[h.name for h in card.heads]}. "
            f"Received {list(logits)}."
        )
    found: dict[str, Any] = {"source": source, "pictures": len(run.labels)}
    heads = []
    for head in card.heads:
        truth = run.truth(head.name)
        known = truth >= 0
        if known.any():
            values = logits[head.name][known]
            # a head of kind probabilities comes as logarithms, which a temperature fits as well
            head = replace(head, temperature=round(fit_temperature(values, truth[known]), 4))
            plain = score(softmax(values), truth[known], resamples=1)
            found[head.name] = score(softmax(values, head.temperature), truth[known])
            found[head.name]["before_temperature"] = {k: plain[k] for k in ("loss", "ece")}
        heads.append(head)
    card = replace(card, heads=tuple(heads))
    serving = card.head()
    threshold = fit_uncertain_below(
        softmax(logits[serving.name], serving.temperature), run.truth(serving.name)
    )
    found["uncertain"] = asdict(threshold) | {"rule": UNCERTAIN_RULE}
    return replace(card, uncertain_below=threshold.below, metrics={"validation": found})


def data_facts(
    run: FinishedRun, test: LabelledFaces | None, ferplus: Path | None
) -> dict[str, Any]:
    """What was trained and measured on, by content: no path of any machine."""
    facts: dict[str, Any] = {"training": dict(run.facts["data"])}
    facts["ferplus_votes"] = bool(run.facts.get("ferplus"))
    if ferplus is not None:
        facts["ferplus_sha256"] = sha256_of(ferplus)
    if test is not None:
        facts["test"] = {
            "pictures": len(test),
            "fingerprint": test.fingerprint,
            "class_counts": test.class_counts,
            "unreadable": list(test.unreadable),
        }
    return facts


def training_facts(
    run: FinishedRun,
    compiled: Compiled,
    members: Sequence[Member] = (),
    soup: Sequence[Member] = (),
) -> dict[str, Any]:
    """Recipe, seed, versions, every epoch, and what publishing did to the network."""
    versions = dict(run.facts["versions"])
    for name in ("tensorflow", "keras", "ai-edge-litert"):
        try:
            versions[f"publish {name}"] = installed(name)
        except PackageNotFoundError:
            continue
    return run_facts(run) | {
        "versions": versions,
        "members": [member.facts for member in members],
        "soup": [ingredient.facts for ingredient in soup],
        "parameters_count": int(compiled.model.count_params()),
        "published": {
            "batch_norms_folded": True,
            "weights": _weights(compiled),
            "mirror_averaged": any(view == MIRROR for _, view in compiled.views),
            "views": [list(view) for view in compiled.views],
            "litert_difference": {
                "probabilities": compiled.agreement.probabilities,
                "logits": compiled.agreement.logits,
                "on": "golden.npz, largest absolute difference from Keras, computed in float32",
            },
            "int8_difference": {
                "probabilities": compiled.int8.probabilities,
                "logits": compiled.int8.logits,
                "on": "golden.npz, largest absolute difference of the published file from Keras",
            }
            if compiled.int8
            else None,
        },
    }


def _weights(compiled: Compiled) -> str:
    if compiled.int8:
        return "int8 by output channel, activations rounded to int8 as they come"
    return "float16 stored, float32 computed" if compiled.half_weights else "float32"
