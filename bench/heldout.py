"""Real faces for the programs that measure trust: what a model never trained on, by its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.dataset import LabelledFaces, ferplus_majority
from training.sources import prepare
from webapp.card import ModelCard
from webapp.registry import Registry

FRACTION = 0.1  # of each emotion; training's default, checked against the card


@dataclass(frozen=True)
class HeldOut:
    """Labelled faces with the emotion that most FER+ voters saw.

    ``majority``: int64 ``[n]``, index into ``EMOTIONS``, -1 where people agreed on none.
    """

    faces: LabelledFaces
    majority: npt.NDArray[np.int64]

    def of(self, emotion: int) -> npt.NDArray[np.int64]:
        """Rows whose majority is ``emotion``."""
        return np.flatnonzero(self.majority == emotion)


def active_folder(models: Path) -> Path:
    """The folder of the version that serves."""
    return Registry(models).active().folder


def validation_faces(data: Path, ferplus: Path, card: ModelCard) -> HeldOut:
    """The validation pictures that ``card``'s training held back from ``data``'s train folder.

    Thresholds and parameters are chosen on these. Raises ValueError where the split cannot be the
    card's: choosing on pictures that were trained on would flatter the model.
    """
    recorded = card.data.get("training", {})
    prepared = prepare(data, ferplus, FRACTION, int(recorded.get("split_seed", 1)))
    facts = prepared.facts
    for name in ("fingerprint", "validation"):
        if recorded.get(name) != facts[name]:
            raise ValueError(
                f"Expected the data that {card.version} was trained on: {name} of its card is "
                f"{recorded.get(name)!r}. Received {facts[name]!r}."
            )
    return HeldOut(prepared.validation, ferplus_majority(prepared.validation.votes))
