"""A finished run as publishing sees it, and everything that would make its card a lie."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.dataset import LabelledFaces, ferplus_majority
from training.runs import RUN_FILE, VALIDATION_FILE, read_history, read_json
from webapp.card import KERAS_FILE, sha256_of
from webapp.domain import EMOTIONS
from webapp.errors import ModelInvalid

METRICS_FILE = "metrics.json"
_LABELS_SWAPPED = 0.1

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FinishedRun:
    """``logits`` by head float32 ``[n, 7]``, ``labels`` int64 ``[n]``, ``votes`` float32
    ``[n, 10]`` and ``names`` are those of the validation pictures.
    """

    folder: Path
    facts: Mapping[str, Any]
    history: list[dict[str, Any]]
    model_sha256: str
    names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    votes: FloatArray
    logits: Mapping[str, FloatArray]

    @property
    def model_file(self) -> Path:
        return self.folder / KERAS_FILE

    @property
    def majority(self) -> npt.NDArray[np.int64]:
        """FER+ majority of each validation picture, -1 where there is none."""
        return ferplus_majority(self.votes)

    def truth(self, head: str) -> npt.NDArray[np.int64]:
        """What a head should answer: the FER+ majority (-1: none) or the FER2013 label."""
        return self.majority if head == "ferplus" else self.labels


def read_run(folder: Path) -> FinishedRun:
    """Read a run that training finished. Raises :class:`ModelInvalid` saying what is missing."""
    if not folder.is_dir():
        raise ModelInvalid(f"Expected a run's folder. {folder} is not a folder.")
    if not (folder / RUN_FILE).is_file():
        raise ModelInvalid(
            f"Expected the folder that training.train wrote (--out). {folder.name} lacks "
            f"{RUN_FILE}."
        )
    for name in (KERAS_FILE, VALIDATION_FILE):
        if not (folder / name).is_file():
            raise ModelInvalid(
                f"The run {folder.name} lacks {name}: it did not finish. "
                "Go on with training.train --resume."
            )
    facts = read_json(folder / RUN_FILE)
    for key in ("recipe", "seed", "parameters", "data", "versions"):
        if key not in facts:
            raise ModelInvalid(f"{RUN_FILE} of {folder.name} lacks {key!r}.")
    _check_emotions(facts, RUN_FILE)
    history = read_history(folder)
    epochs = facts["parameters"].get("epochs")
    if epochs is not None and len(history) != epochs:
        raise ModelInvalid(
            f"The run {folder.name} was asked for {epochs} epochs. Its history holds "
            f"{len(history)}: it did not finish. Go on with training.train --resume."
        )
    digest = sha256_of(folder / KERAS_FILE)
    recorded = facts.get("model_sha256")
    if recorded is not None and recorded != digest:
        raise ModelInvalid(
            f"{KERAS_FILE} of {folder.name} is not the one this run trained: expected SHA-256 "
            f"{recorded}. Received {digest}."
        )
    arrays = _validation_arrays(folder / VALIDATION_FILE)
    run = FinishedRun(folder, facts, history, digest, *arrays)
    check_label_order(run)
    return run


def _validation_arrays(path: Path) -> tuple[Any, Any, Any, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        names = tuple(str(name) for name in arrays["names"])
        labels = arrays["labels"].astype(np.int64)
        votes = arrays["votes"].astype(np.float32)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ModelInvalid(f"{path.name} cannot be read: {error}") from error
    prefix = "logits_"
    logits = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
    fits = all(a.shape == (len(labels), len(EMOTIONS)) for a in logits.values())
    if not logits or not fits or not len(labels) == len(names) == len(votes):
        raise ModelInvalid(f"{path.name}: its arrays do not belong together.")
    return names, labels, votes, logits


def _check_emotions(payload: Mapping[str, Any], name: str) -> None:
    emotions = payload.get("emotions")
    if emotions is not None and tuple(emotions) != EMOTIONS:
        raise ModelInvalid(
            f"{name}: expected the labels in the order {', '.join(EMOTIONS)}. "
            f"Received {', '.join(map(str, emotions))}."
        )


def check_label_order(run: FinishedRun) -> None:
    """Refuse a run whose answers fit the labels clearly better in another order.

    The best one-to-one renaming of the answers is found from the confusion matrix; when it is
    right on 10 points more pictures than the names as they are, the order is wrong.
    """
    from scipy.optimize import linear_sum_assignment

    for head, logits in run.logits.items():
        truth = run.truth(head)
        known = truth >= 0
        if known.sum() < 10 * len(EMOTIONS):
            continue  # too few to tell an order from chance
        predicted = logits.argmax(axis=1)[known]
        confusion = np.zeros((len(EMOTIONS), len(EMOTIONS)), np.int64)
        np.add.at(confusion, (truth[known], predicted), 1)
        rows, columns = linear_sum_assignment(-confusion)
        as_named = np.trace(confusion) / known.sum()
        renamed = confusion[rows, columns].sum() / known.sum()
        if renamed > as_named + _LABELS_SWAPPED:
            order = ", ".join(EMOTIONS[column] for column in columns)
            raise ModelInvalid(
                f"Head {head!r} answers in another order of labels: as named it is right on "
                f"{as_named:.1%} of the validation pictures, and on {renamed:.1%} if what it "
                f"calls {order} were {', '.join(EMOTIONS)}."
            )


def check_metrics(path: Path, run: FinishedRun) -> dict[str, Any]:
    """A metrics file of training.evaluate that belongs to this run's model, as a dict.

    Raises :class:`ModelInvalid` for another model's or another order of labels.
    """
    metrics = read_json(path)
    _check_emotions(metrics, path.name)
    model = metrics.get("model")
    received = model.get("sha256") if isinstance(model, dict) else None
    if received != run.model_sha256:
        raise ModelInvalid(
            f"{path.name} was measured on another model: expected SHA-256 {run.model_sha256}. "
            f"Received {received}. Measure this run with training.evaluate --model "
            f"{run.folder.name}."
        )
    if "accuracy" not in metrics or "n" not in metrics:
        raise ModelInvalid(f"{path.name} is no report of training.evaluate.")
    return metrics


def validation_pictures(run: FinishedRun, faces: LabelledFaces, fingerprint: str) -> LabelledFaces:
    """The run's validation pictures, found among ``faces``, in the run's order.

    ``fingerprint`` is that of all training pictures. Raises :class:`ModelInvalid` when these are
    not the data of the run.
    """
    expected = run.facts["data"].get("fingerprint")
    if expected != fingerprint:
        raise ModelInvalid(
            f"These are not the pictures of this run: expected fingerprint {expected}. "
            f"Received {fingerprint}."
        )
    labels = faces.labels.tolist()
    rows = {key: row for row, key in enumerate(zip(labels, faces.names, strict=True))}
    wanted = list(zip(run.labels.tolist(), run.names, strict=True))
    lost = [name for key in wanted if key not in rows for name in key[1:]]
    if lost:
        raise ModelInvalid(f"{len(lost)} validation pictures are not there, first {lost[0]}.")
    return faces.take(np.array([rows[key] for key in wanted], np.int64))
