"""Labelled faces in memory: loading, FER+ votes, exact copies and splits.

A picture is 48x48 grey uint8 (``webapp.vision`` feeds the network the same size). A folder holds
one folder per emotion of :data:`webapp.domain.EMOTIONS`.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from webapp.domain import EMOTIONS

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
SIDE = 48

# FER+ (Barsoum et al. 2016) column -> our emotion; the other columns are no emotion of ours.
FERPLUS_COLUMNS: tuple[str, ...] = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
_FERPLUS_OF_EMOTION = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_FERPLUS_INDEX = tuple(FERPLUS_COLUMNS.index(name) for name in _FERPLUS_OF_EMOTION)


class DatasetError(ValueError):
    """The data cannot be used; the message says what was expected and what was found."""


@dataclass(frozen=True)
class LabelledFaces:
    """Faces with FER2013-style labels and, where known, FER+ votes.

    ``images``: uint8 [n, 48, 48]; ``labels``: int64 [n], index into ``EMOTIONS``; ``names``: file
    names; ``votes``: float32 [n, 10] in the order of ``FERPLUS_COLUMNS``, zeros where unknown;
    ``unreadable``: files that were skipped.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    votes: NDArray[np.float32]
    unreadable: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> LabelledFaces:
        """The rows of ``index`` (int64 [m]) in that order."""
        return LabelledFaces(
            self.images[index],
            self.labels[index],
            tuple(self.names[i] for i in index),
            self.votes[index],
        )

    @property
    def class_counts(self) -> dict[str, int]:
        counts = np.bincount(self.labels, minlength=len(EMOTIONS))
        return dict(zip(EMOTIONS, counts.tolist(), strict=True))

    @property
    def content_hashes(self) -> list[str]:
        """Hex SHA-256 of each picture's pixels; equal for exact copies whatever the file."""
        return [hashlib.sha256(image.tobytes()).hexdigest() for image in self.images]

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 over names, labels and pixels: names the data a model was trained on."""
        digest = hashlib.sha256()
        for name, label, image in sorted(
            zip(self.names, self.labels.tolist(), self.images, strict=True), key=lambda row: row[0]
        ):
            digest.update(f"{name}\0{label}\0".encode())
            digest.update(image.tobytes())
        return digest.hexdigest()


def soft_ferplus(votes: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """FER+ votes [n, 10] -> (distribution over ``EMOTIONS`` [n, 7], weight [n] in [0, 1]).

    The weight is the share of votes that went to one of the seven emotions; a picture without
    such votes has a uniform distribution and weight 0.
    """
    seven = votes[:, _FERPLUS_INDEX]
    mine = seven.sum(axis=1)
    everything = np.maximum(votes.sum(axis=1), 1.0)
    uniform = np.full_like(seven, 1.0 / len(EMOTIONS))
    shares = np.where(mine[:, None] > 0, seven / np.maximum(mine, 1.0)[:, None], uniform)
    return shares.astype(np.float32), (mine / everything).astype(np.float32)


def ferplus_majority(votes: NDArray[np.float32]) -> NDArray[np.int64]:
    """The emotion index that most voters chose [n], or -1.

    -1 where two columns tie for the most votes, or where contempt, unknown or "not a face" won.
    """
    best = votes.max(axis=1)
    unique = (votes == best[:, None]).sum(axis=1) == 1
    column_to_emotion = np.full(len(FERPLUS_COLUMNS), -1, dtype=np.int64)
    column_to_emotion[list(_FERPLUS_INDEX)] = np.arange(len(EMOTIONS))
    winner = column_to_emotion[votes.argmax(axis=1)]
    return np.where(unique & (best > 0), winner, -1)


def read_ferplus(path: Path) -> dict[str, NDArray[np.float32]]:
    """FER+ votes by file name (without folders): float32 [10]. Raises :class:`DatasetError`."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            missing = {"file", *FERPLUS_COLUMNS} - set(reader.fieldnames or ())
            if missing:
                raise DatasetError(f"{path.name}: columns {sorted(missing)} are missing.")
            return {
                Path(row["file"]).name: np.array(
                    [float(row[column]) for column in FERPLUS_COLUMNS], dtype=np.float32
                )
                for row in reader
            }
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: FER+ votes cannot be read: {error}") from error


def read_face(path: Path) -> NDArray[np.uint8] | None:
    """One picture as grey uint8 [48, 48], or None when it cannot be read."""
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError:
        return None
    image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if image is None:
        return None
    if image.shape != (SIDE, SIDE):
        shrinking = min(image.shape) > SIDE
        image = cv2.resize(
            image, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
        )
    return np.asarray(image, dtype=np.uint8)


def load_folder(folder: Path, ferplus: Path | None = None) -> LabelledFaces:
    """Read ``folder/<emotion>/*``. Raises :class:`DatasetError` where an emotion is missing."""
    if not folder.is_dir():
        raise DatasetError(f"Expected a folder of labelled faces. {folder} is not a folder.")
    present = {child.name.lower(): child for child in folder.iterdir() if child.is_dir()}
    missing = [name for name in EMOTIONS if name not in present]
    if missing:
        raise DatasetError(
            f"Expected one folder per emotion in {folder}: {', '.join(missing)} missing. "
            f"Found {', '.join(sorted(present)) or 'no folders'}."
        )
    votes_of = read_ferplus(ferplus) if ferplus else {}
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    names: list[str] = []
    unreadable: list[str] = []
    for label, emotion in enumerate(EMOTIONS):
        before = len(labels)
        for path in sorted(present[emotion].iterdir()):
            if path.suffix.lower() not in PICTURE_SUFFIXES:
                continue
            image = read_face(path)
            if image is None:
                unreadable.append(f"{emotion}/{path.name}")
                continue
            images.append(image)
            labels.append(label)
            names.append(path.name)
        if len(labels) == before:
            raise DatasetError(f"The folder {present[emotion]} holds no readable picture.")
    nothing = np.zeros(len(FERPLUS_COLUMNS), dtype=np.float32)
    return LabelledFaces(
        np.stack(images),
        np.asarray(labels, dtype=np.int64),
        tuple(names),
        np.stack([votes_of.get(name, nothing) for name in names]),
        tuple(unreadable),
    )


def without_copies_of(faces: LabelledFaces, held_out: LabelledFaces) -> LabelledFaces:
    """``faces`` less every exact copy of a picture in ``held_out``."""
    known = set(held_out.content_hashes)
    keep = [i for i, content in enumerate(faces.content_hashes) if content not in known]
    return faces.take(np.asarray(keep, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Fold:
    """The part ``number`` (from 1) of ``of`` parts of the validation pictures.

    Runs that hold back one part each and train on the others are cross-fitted: together they
    learn from every picture, and each validation picture is still read by a network that never
    saw it.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not (2 <= self.of <= 20 and 1 <= self.number <= self.of):
            raise DatasetError(
                f"Expected a fold like 1/2: a part from 1 to 20 parts at most. Received {self}."
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Fold:
        """``"1/2"`` as a fold. Raises :class:`DatasetError`."""
        number, slash, of = text.partition("/")
        if not (slash and number.isdecimal() and of.isdecimal()):
            raise DatasetError(f"Expected a fold like 1/2. Received {text!r}.")
        return cls(int(number), int(of))


def stratified_split(
    faces: LabelledFaces, fraction: float, seed: int, fold: Fold | None = None
) -> tuple[LabelledFaces, LabelledFaces]:
    """``(training, validation)``; validation holds ``fraction`` of each emotion.

    With a ``fold`` it holds only that part of these pictures, and training the other parts.
    Exact copies of a picture stay on one side: a copy of a validation picture is dropped from
    training.
    """
    if not 0 < fraction < 1:
        raise DatasetError(f"Expected a validation fraction in (0, 1). Received {fraction}.")
    generator = np.random.default_rng(seed)
    chosen: list[int] = []
    for label in range(len(EMOTIONS)):
        rows = np.flatnonzero(faces.labels == label)
        count = max(1, round(len(rows) * fraction)) if len(rows) > 1 else 0
        held = generator.permutation(rows)[:count]
        chosen.extend((held if fold is None else held[fold.number - 1 :: fold.of]).tolist())
    if not chosen:
        raise DatasetError(f"There are too few pictures to hold back fold {fold} of them.")
    validation = faces.take(np.sort(np.asarray(chosen, dtype=np.int64)))
    rest = np.setdiff1d(np.arange(len(faces)), np.asarray(chosen, dtype=np.int64))
    return without_copies_of(faces.take(rest), validation), validation


def class_weights(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """``max(count) / count`` for each emotion [7], 0 where there is no picture."""
    counts = np.bincount(labels, minlength=len(EMOTIONS)).astype(np.float32)
    weights = counts.max() / np.maximum(counts, 1)
    return np.where(counts > 0, weights, 0).astype(np.float32)


def one_hot(labels: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 [n, 7] from emotion indices [n]."""
    return np.eye(len(EMOTIONS), dtype=np.float32)[np.asarray(labels, dtype=np.int64)]
