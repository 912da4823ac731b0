"""Networks that are published together: their logits are averaged (an ensemble).

Networks that learned the same pictures on different ways are wrong on different faces, so that
their mean is right more often than any of them (Lakshminarayanan et al. 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.compact import one_view
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
