"""Real faces for the programs that measure trust: what a model never trained on, by its card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
import numpy.typing as npt

from training.data.dataset import DatasetError, Fold, LabelledFaces, ferplus_majority
from training.data.sources import prepare
from webapp.card import ModelCard
from webapp.errors import MienError
from webapp.models.registry import Registry

Command = TypeVar("Command", bound=Callable[..., Any])
FRACTION = 0.1  # of each emotion; training's default, checked against the card


class Program(click.Command):
    """A command that says in one line what is wrong with the data or the model it was given."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (DatasetError, MienError) as error:
            raise click.ClickException(str(error)) from error


def labelled_faces(*, required: bool) -> Callable[[Command], Command]:
    """Adds ``--data``, ``--ferplus`` and ``--models`` to a command."""
    options = (
        click.option(
            "--data",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            required=required,
            help="Labelled faces, as training read them.",
        ),
        click.option(
            "--ferplus",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="FER+ votes (CSV); else ferplus.csv beside --data.",
        ),
        click.option(
            "--models",
            type=click.Path(path_type=Path),
            default=Path("models"),
            show_default=True,
            help="Folder of the versions; the active one is measured.",
        ),
    )

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@dataclass(frozen=True)
class HeldOut:
    """Labelled faces with the emotion that most FER+ voters saw.

    ``majority``: int64 ``[n]``, index into ``EMOTIONS``, -1 where people agreed on none. ``kind``
    is ``validation``, on which something may be chosen, or ``test``.
    """

    faces: LabelledFaces
    majority: npt.NDArray[np.int64]
    kind: str = "validation"

    def of(self, emotion: int) -> npt.NDArray[np.int64]:
        """Rows whose majority is ``emotion``."""
        return np.flatnonzero(self.majority == emotion)


def active_folder(models: Path) -> Path:
    """The folder of the version that serves."""
    return Registry(models).active().folder


def unseen_faces(data: Path, ferplus: Path | None, card: ModelCard) -> HeldOut:
    """The pictures of ``data`` that ``card``'s training never saw, with the votes of ``ferplus``
    or of ``ferplus.csv`` beside ``data``.

    Those of ``train`` that it held back; a cross-fitted version has held back none, and gets
    those of ``test``, on which nothing may be chosen. Raises DatasetError where the split cannot be
    the card's: measuring on pictures that were trained on would flatter the model.
    """
    recorded = card.data.get("training", {})
    fold = Fold.parse(str(recorded["fold"])) if recorded.get("fold") else None
    votes = ferplus or data.parent / "ferplus.csv"
    prepared = prepare(data, votes, FRACTION, int(recorded.get("split_seed", 1)), fold)
    facts = prepared.facts
    for name in ("fingerprint", "validation"):
        if recorded.get(name) != facts[name]:
            raise DatasetError(
                f"Expected the data that {card.version} was trained on: {name} of its card is "
                f"{recorded.get(name)!r}. Received {facts[name]!r}."
            )
    if not recorded.get("folds"):
        return HeldOut(prepared.validation, ferplus_majority(prepared.validation.votes))
    if prepared.test is None:
        raise DatasetError(
            f"{card.version} was cross-fitted: of {data} it has seen all but a folder test. "
            "Expected such a folder. Received none."
        )
    return tested_faces(prepared.test)


def tested_faces(faces: LabelledFaces) -> HeldOut:
    """Faces of a test folder."""
    return HeldOut(faces, ferplus_majority(faces.votes), "test")
