"""Learning from published versions beside the labels (distillation, Hinton et al. 2015).

What a version answers for a training picture is mixed into that picture's targets. FER2013's
labels are wrong for about one face in three by the FER+ votes; a version that has seen them all
doubts those, and the network that learns from it follows its doubt. One version can teach its
successor; several teach it what they agree on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.data.dataset import LabelledFaces
from training.publishing.litert import softmax
from training.recipes.networks import HEADS
from webapp.errors import ModelInvalid

FloatArray = npt.NDArray[np.float32]
Taught = Mapping[str, FloatArray]


def taught(teachers: Sequence[Path], faces: LabelledFaces) -> dict[str, FloatArray] | None:
    """Mean probabilities of ``teachers`` (version folders) by head, float32 ``[n, 7]``.

    Without temperatures: the FER+ head was trained on shares of votes, and answers shares. None
    without teachers. Raises :class:`ModelInvalid` for a version without both heads.
    """
    from training.evaluation.scoring import open_version

    if not teachers:
        return None
    total: dict[str, FloatArray] = {}
    for folder in teachers:
        answers = open_version(folder).logits(faces.images)
        missing = [head for head in HEADS if head not in answers]
        if missing:
            raise ModelInvalid(f"{folder.name} cannot teach: it has no head {missing[0]!r}.")
        for head in HEADS:
            found = softmax(answers[head])
            total[head] = total[head] + found if head in total else found
    return {head: (values / len(teachers)).astype(np.float32) for head, values in total.items()}


def blend(targets: FloatArray, answers: FloatArray, share: float) -> FloatArray:
    """``targets`` [n, 7] with ``share`` of them replaced by a teacher's ``answers`` [n, 7]."""
    return np.asarray((1 - share) * targets + share * answers, dtype=np.float32)
