"""Versions that another training builds on: to go on from, or to learn from."""

from __future__ import annotations

from pathlib import Path

from webapp.card import KERAS_FILE, ModelCard, sha256_of
from webapp.errors import ModelInvalid


def check_same_split(
    folder: Path, fingerprint: str, split_seed: int, fold: str | None = None
) -> ModelCard:
    """The card of a version that was trained with the same pictures held back, or more of them.

    ``fold`` is the part of the validation split that is held back here; None: all of it.
    Raises :class:`ModelInvalid` where it was split otherwise: its training may then have seen
    what this one validates on.
    """
    card = ModelCard.load(folder)
    seen = card.data.get("training", {})
    if seen.get("folds"):
        raise ModelInvalid(
            f"{folder.name} was cross-fitted: its networks together have learnt every picture, "
            "those that are held back here too. Use the version that they went on from."
        )
    if seen.get("fold") not in (None, fold):
        raise ModelInvalid(
            f"{folder.name} held back only fold {seen['fold']}: it has learnt pictures that are "
            f"held back here ({f'fold {fold}' if fold else 'the whole split'})."
        )
    if (seen.get("fingerprint"), seen.get("split_seed")) != (fingerprint, split_seed):
        raise ModelInvalid(
            f"{folder.name} was trained on other pictures or another split (seed "
            f"{seen.get('split_seed')}): it may have seen what is held back for validation here. "
            "Use a version of the same --data and --split-seed."
        )
    return card


def version_facts(folder: Path) -> dict[str, str]:
    """A version by name and content, for a run's record."""
    return {"version": folder.name, "model_sha256": sha256_of(folder / KERAS_FILE)}
