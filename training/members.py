"""Networks that are published together, as an ensemble or as a soup.

In an ensemble their logits are averaged: networks that learned the same pictures on different ways
are wrong on different faces, so that their mean is right more often than any of them
(Lakshminarayanan et al. 2017). In a soup their weights are (Wortsman et al. 2022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.compact import average_weights, fold_batch_norms, one_view
from training.finished import FinishedRun, read_run
from training.lineage import check_same_split, version_facts
from training.scoring import load_keras
from webapp.card import CARD_FILE, KERAS_FILE, ModelCard
from webapp.errors import ModelInvalid


@dataclass(frozen=True)
class Member:
    """``facts`` say where the network comes from; ``run`` where it is a run and no version."""

    model: Any
    facts: dict[str, Any]
    run: FinishedRun | None


def open_member(folder: Path, run: FinishedRun) -> Member:
    """A finished run or a published version to publish with ``run``.

    Raises :class:`ModelInvalid` where it was trained on other pictures or another split: it may
    have seen what ``run`` holds back, and the card's validation figures would lie.
    """
    data = run.facts["data"]
    expected = (data.get("fingerprint"), data.get("split_seed"))
    if (folder / CARD_FILE).is_file():
        card = check_same_split(folder, str(expected[0]), int(expected[1] or 0))
        model = one_view(load_keras(folder / KERAS_FILE))
        return Member(model, version_facts(folder) | _learning(card), None)
    other = read_run(folder)
    found = (other.facts["data"].get("fingerprint"), other.facts["data"].get("split_seed"))
    if found != expected or other.names != run.names:
        raise ModelInvalid(
            f"{folder.name} was trained on other pictures or another split than "
            f"{run.folder.name}; together they would be measured on pictures that one has seen."
        )
    return Member(load_keras(other.model_file), run_facts(other), other)


def stir(model: Any, run: FinishedRun, ingredients: Sequence[Member]) -> Any:
    """``model`` of ``run`` with its norms folded in and its weights averaged with the others'.

    Raises :class:`ModelInvalid` where one of them is linked to ``run`` by no network that they
    went on from: the mean of unrelated weights is nothing.
    """
    related = _origins(run_facts(run))
    unknown = list(ingredients)
    while found := [one for one in unknown if related & _origins(one.facts)]:
        related = related.union(*(_origins(one.facts) for one in found))
        unknown = [one for one in unknown if not any(one is other for other in found)]
    if unknown:
        other = unknown[0]
        name = other.run.folder.name if other.run else other.facts["version"]
        raise ModelInvalid(
            f"{name} did not go on from the same network as {run.folder.name}: weights of "
            "unrelated networks have no mean. Average their logits instead (--with)."
        )
    return average_weights(
        [fold_batch_norms(one) for one in (model, *(i.model for i in ingredients))]
    )


def _origins(facts: Mapping[str, Any]) -> frozenset[str]:
    """The published files that a network is, or went on from, by SHA-256."""
    started = facts.get("started_from") or {}
    found = (facts.get("model_sha256"), started.get("model_sha256"))
    return frozenset(str(digest) for digest in found if digest)


def run_facts(run: FinishedRun) -> dict[str, Any]:
    """How a run's network was made."""
    return {
        "recipe": run.facts["recipe"],
        "parameters": run.facts["parameters"],
        "seed": run.facts["seed"],
        "engine": run.facts.get("engine", "keras"),
        "started_from": run.facts.get("started_from"),
        "teachers": run.facts.get("teachers"),
        "epochs": len(run.history),
        "history": run.history,
        "run_model_sha256": run.model_sha256,
    }


def _learning(card: ModelCard) -> dict[str, Any]:
    keys = ("recipe", "seed", "engine", "started_from", "teachers", "epochs")
    return {key: card.training.get(key) for key in keys}
