"""Learning from published versions beside the labels (distillation, Hinton et al. 2015).

What a version answers for a training picture is mixed into that picture's targets. FER2013's
labels are wrong for about one face in three by the FER+ votes; a version that has seen them all
doubts those, and the network that learns from it follows its doubt. One version can teach its
successor; several teach it what they agree on.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.dataset import LabelledFaces
from training.data.lineage import check_same_split, version_facts
from training.litert import softmax
from training.recipes.networks import HEADS
from webapp.card import sha256_of
from webapp.errors import ModelInvalid
from webapp.files.atomic import replacing

FloatArray = npt.NDArray[np.float32]
Taught = Mapping[str, FloatArray]


def taught(teachers: Sequence[Path], faces: LabelledFaces) -> dict[str, FloatArray] | None:
    """Mean probabilities of ``teachers`` by head, float32 ``[n, 7]``.

    A teacher is a version's folder, or a file of :func:`write_answers`.

    Without temperatures: the FER+ head was trained on shares of votes, and answers shares. None
    without teachers. Raises :class:`ModelInvalid` for a version without both heads.
    """
    from training.evaluation.scoring import open_version

    if not teachers:
        return None
    total: dict[str, FloatArray] = {}
    for folder in teachers:
        if folder.is_file():
            answers = read_answers(folder, faces)
        else:
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


def write_answers(
    path: Path, faces: LabelledFaces, logits: Taught, facts: Mapping[str, Any]
) -> None:
    """Keep what a network answers for ``faces``, to be a teacher where the network is not.

    ``logits`` float32 ``[n, 7]`` by head are kept as float16 (to a thousandth of their size);
    ``facts`` are those of its training data: fingerprint, split seed and fold.
    """
    kept = {key: facts.get(key) for key in ("fingerprint", "split_seed", "fold")}
    arrays: dict[str, Any] = {f"logits_{head}": v.astype(np.float16) for head, v in logits.items()}
    with replacing(path) as stream:
        np.savez_compressed(
            stream,
            names=np.array(faces.names),
            labels=faces.labels.astype(np.int8),
            data=np.array(json.dumps(kept)),
            **arrays,
        )


def read_answers(path: Path, faces: LabelledFaces) -> dict[str, FloatArray]:
    """Logits of :func:`write_answers` for ``faces``, float32 ``[n, 7]`` by head.

    Raises :class:`ModelInvalid` where the file is none, or lacks one of the pictures.
    """
    found = _opened(path)
    rows = {key: row for row, key in enumerate(zip(found["names"], found["labels"], strict=True))}
    try:
        index = [rows[key] for key in zip(faces.names, faces.labels, strict=True)]
    except KeyError as error:
        raise ModelInvalid(f"{path.name} has no answer for the picture {error}.") from error
    return {
        key.removeprefix("logits_"): found[key][index].astype(np.float32)
        for key in found
        if key.startswith("logits_")
    }


def _opened(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = dict(stored)
            found["data"] = json.loads(str(found["data"]))
            found["names"], found["labels"] = found["names"].tolist(), found["labels"].tolist()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ModelInvalid(
            f"{path.name} cannot teach: expected a version's folder or a file of "
            f"training.teach. Received another ({type(error).__name__})."
        ) from error
    return found


def check_teacher(path: Path, fingerprint: str, split_seed: int, fold: str | None) -> None:
    """Raises :class:`ModelInvalid` as ``lineage.check_same_split``, for a file of answers too."""
    if not path.is_file():
        check_same_split(path, fingerprint, split_seed, fold)
        return
    data = _opened(path)["data"]
    if data["fold"] not in (None, fold) or (data["fingerprint"], data["split_seed"]) != (
        fingerprint,
        split_seed,
    ):
        raise ModelInvalid(
            f"{path.name} comes from other pictures or another split: its network may have seen "
            "what is held back for validation here."
        )


def teacher_facts(path: Path) -> dict[str, str]:
    """A teacher by name and content, for a run's record."""
    if path.is_file():
        return {"answers": path.name, "sha256": sha256_of(path)}
    return version_facts(path)
