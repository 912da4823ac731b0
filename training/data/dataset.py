"""Labelled faces in memory: loading, FER+ votes, exact copies and splits.

A picture is 48x48 grey uint8 (``webapp.vision`` feeds the network the same size). A folder holds
one folder per emotion of :data:`webapp.domain.EMOTIONS`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.labels import why_not_numbered
from training.data.walk import Labelled, walk
from webapp.domain import EMOTIONS
from webapp.errors import MienError
from webapp.files.below import files_below
from webapp.files.tables import open_table
from webapp.files.text import printable, same_name
from webapp.vision.frame import decode

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
    """FER+ votes by file name (without folders): float32 [10]. Raises :class:`DatasetError`.

    The official ``fer2013new.csv`` counts as well: its rows are those of ``fer2013.csv`` in the
    same order, so that row 42 of Usage Training is ``Training_00042.png``.
    """
    found: dict[str, NDArray[np.float32]] = {}
    try:
        with open_table(path) as table:
            official = {"usage", "image name"} <= set(table.columns)
            names = {column.lower() for column in FERPLUS_COLUMNS}
            missing = names | ({"usage"} if official else {"file"})
            if missing := missing - set(table.columns):
                raise DatasetError(f"{path.name}: columns {sorted(missing)} are missing.")
            for number, (_, row) in enumerate(table):
                votes = np.array(
                    [float(row[column.lower()] or 0) for column in FERPLUS_COLUMNS], np.float32
                )
                if official:
                    found[f"{row['usage']}_{number:05d}.png"] = votes
                    found[row["image name"]] = votes
                else:
                    found[same_name(row["file"]).rpartition("/")[2]] = votes
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: FER+ votes cannot be read: {error}") from error
    found.pop("", None)
    return found


def grey_face(data: bytes) -> NDArray[np.uint8]:
    """One picture of any format as grey uint8 [48, 48]. Raises :class:`DatasetError`."""
    try:
        image = decode(data).grey
    except MienError as error:
        raise DatasetError(error.message) from error
    return to_side(image)


def to_side(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey uint8 [h, w] as [48, 48]."""
    if image.shape == (SIDE, SIDE):
        return image
    method = cv2.INTER_AREA if min(image.shape) > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=method), dtype=np.uint8)


def load_folder(
    folder: Path, ferplus: Path | None = None, only: str | None = None
) -> LabelledFaces:
    """Every picture below ``folder`` whose folder names an emotion; of the set ``only`` where
    there is one.

    Raises :class:`DatasetError` where an emotion is missing.
    """
    if not folder.is_dir():
        raise DatasetError(f"Expected a folder of labelled faces. {folder} is not a folder.")
    found, left_out = walk(paths_below(folder))
    found = [file for file in found if file.set_name == only] or found
    votes_of = read_ferplus(ferplus) if ferplus else {}
    return load_files(folder, found, votes_of, left_out)


def paths_below(folder: Path) -> list[str]:
    """Paths relative to ``folder`` of all files in it, with ``/``."""
    return [path.relative_to(folder).as_posix() for path in files_below(folder)]


def load_files(
    folder: Path,
    files: Sequence[Labelled],
    votes_of: Mapping[str, NDArray[np.float32]],
    left_out: Sequence[str] = (),
    of_set: str = "",
) -> LabelledFaces:
    """The pictures of ``files`` below ``folder``; those that cannot be read are listed.

    Raises :class:`DatasetError` where an emotion has none; it names the set ``of_set``.
    """
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    names: list[str] = []
    unreadable = [printable(path) for path in left_out]
    with click.progressbar(files, label="Reading pictures", file=sys.stderr) as shown:
        for file in shown:
            try:
                images.append(grey_face((folder / file.path).read_bytes()))
            except (DatasetError, OSError):
                unreadable.append(printable(file.path))
                continue
            labels.append(file.label)
            names.append(printable(file.path.rpartition("/")[2]))
    empty = [name for number, name in enumerate(EMOTIONS) if number not in set(labels)]
    if empty:
        folders = {part for path in left_out for part in path.split("/")[:-1]}
        given = sorted({EMOTIONS[file.label] for file in files})
        broken = [name for name in empty if name in given]
        why = f"{', '.join(broken)} holds no readable picture. " if broken else ""
        gone = [name for name in empty if name not in given]
        why += f"no picture of {', '.join(gone)}. " if gone else ""
        where = f"{printable(str(folder))}{f' for the {of_set} set' if of_set else ''}"
        raise DatasetError(
            f"Expected one folder per emotion in {where}, called "
            f"{', '.join(EMOTIONS)} or alike (Anger, fearful, 0 to 6): {why}"
            f"{why_not_numbered(folders)}"
            f"Left out: {', '.join(unreadable[:5]) or 'nothing'}."
        )
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
        part = "any of them for validation" if fold is None else f"fold {fold} of them"
        raise DatasetError(
            f"Expected at least two pictures of an emotion. Received {len(faces)} pictures, too "
            f"few to hold back {part}."
        )
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
