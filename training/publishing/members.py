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

from training.data.dataset import Fold
from training.data.lineage import check_same_split, version_facts
from training.evaluation.keras2 import load_keras
from training.publishing.compact import average_weights, fold_batch_norms, one_view
from training.publishing.finished import FinishedRun, read_run
from webapp.card import CARD_FILE, KERAS_FILE, ModelCard
from webapp.errors import ModelInvalid


@dataclass(frozen=True)
class Member:
    """``facts`` say where the network comes from; ``run`` where it is a run and no version.

    ``fold`` is the part of the validation pictures that it holds back; None: all of them.
    """

    model: Any
    facts: dict[str, Any]
    run: FinishedRun | None
    fold: Fold | None = None

    @property
    def name(self) -> str:
        return self.run.folder.name if self.run else str(self.facts["version"])


def open_run(run: FinishedRun) -> Member:
    """A finished run with its network."""
    return Member(load_keras(run.model_file), run_facts(run), run, _fold(run.facts["data"]))


def open_member(folder: Path, run: FinishedRun, other_folds: bool = False) -> Member:
    """A finished run or a published version to publish with ``run``.

    With ``other_folds`` a run may hold back another part of the same split. Raises
    :class:`ModelInvalid` where it was trained on other pictures or another split: it may have
    seen what ``run`` holds back, and the card's validation figures would lie.
    """
    data = run.facts["data"]
    expected = (data.get("fingerprint"), data.get("split_seed"))
    fold = _fold(data)
    if (folder / CARD_FILE).is_file():
        card = check_same_split(
            folder, str(expected[0]), int(expected[1] or 0), str(fold) if fold else None
        )
        model = one_view(load_keras(folder / KERAS_FILE))
        kept = _fold(card.data["training"])
        return Member(model, version_facts(folder) | _learning(card), None, kept)
    other = open_run(read_run(folder))
    if other.run is None:
        raise TypeError("Expected a run.")
    facts = other.run.facts["data"]
    same = (facts.get("fingerprint"), facts.get("split_seed")) == expected
    if other.fold == fold:
        same = same and other.run.names == run.names
    elif other.fold is not None:
        same = same and other_folds and fold is not None and other.fold.of == fold.of
    if not same:
        raise ModelInvalid(
            f"{folder.name} was trained on other pictures or another split than "
            f"{run.folder.name}; together they would be measured on pictures that one has seen."
        )
    return other


def _fold(data: Mapping[str, Any]) -> Fold | None:
    return Fold.parse(str(data["fold"])) if data.get("fold") else None


def average_members(first: Member, ingredients: Sequence[Member]) -> Any:
    """The network of ``first`` with its norms folded in, its weights averaged with the others'.

    Raises :class:`ModelInvalid` where one of them is linked to ``first`` by no network that they
    went on from: the mean of unrelated weights is nothing.
    """
    related = _origins(first.facts)
    unknown = list(ingredients)
    while found := [one for one in unknown if related & _origins(one.facts)]:
        related = related.union(*(_origins(one.facts) for one in found))
        unknown = [one for one in unknown if not any(one is other for other in found)]
    if unknown:
        raise ModelInvalid(
            f"{unknown[0].name} did not go on from the same network as {first.name}: weights of "
            "unrelated networks have no mean. Average their logits instead (--with)."
        )
    return average_weights([fold_batch_norms(one.model) for one in (first, *ingredients)])


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
        "fold": run.facts["data"].get("fold"),
        "engine": run.facts.get("engine", "keras"),
        "started_from": run.facts.get("started_from"),
        "teachers": run.facts.get("teachers"),
        "epochs": len(run.history),
        "run_model_sha256": run.model_sha256,
    }


def _learning(card: ModelCard) -> dict[str, Any]:
    keys = ("recipe", "seed", "engine", "started_from", "teachers", "epochs")
    return {key: card.training.get(key) for key in keys}
