"""The pictures that publishing measures on, and whether a run's record is of its own network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.data.dataset import LabelledFaces
from training.data.sources import read_source
from training.evaluation.scoring import input_spec_of
from training.litert import keras_logits, softmax
from training.publishing.finished import FinishedRun, validation_pictures
from webapp.errors import ModelInvalid
from webapp.vision.crops import to_batch

_SAME_MODEL = 1e-2


@dataclass(frozen=True)
class MeasuredOn:
    """What runs held back is found among ``given``; ``fingerprint`` is of all training pictures."""

    given: LabelledFaces
    fingerprint: str
    test: LabelledFaces | None

    def held_by(self, run: FinishedRun) -> LabelledFaces:
        """The run's validation pictures. Raises :class:`ModelInvalid` where they are not here."""
        return validation_pictures(run, self.given, self.fingerprint)


def read_data(data: Path, ferplus: Path | None) -> MeasuredOn:
    """Read what training read. Raises DatasetError."""
    source = read_source(data, ferplus)
    given = source.training if source.validation is None else source.validation
    return MeasuredOn(given, source.training.fingerprint, source.test)


def check_same_model(run: FinishedRun, model: Any, pictures: LabelledFaces) -> None:
    """Refuse validation logits that another checkpoint gave."""
    sample = to_batch(list(pictures.images[:256]), input_spec_of(model))
    for name, logits in keras_logits(model, sample).items():
        recorded = run.logits.get(name)
        if recorded is None:
            raise ModelInvalid(f"The run's validation logits lack the head {name!r}.")
        difference = float(np.abs(softmax(logits) - softmax(recorded[: len(logits)])).max())
        if not difference <= _SAME_MODEL:
            raise ModelInvalid(
                f"The run's validation logits are of another checkpoint: head {name!r} differs "
                f"by {difference:.3g} in probability. Train or save the run again."
            )
