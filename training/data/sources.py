"""Where labelled faces come from: a folder, a Kaggle layout, or ``fer2013.csv`` itself.

=============================  =====================================================
given                          read as
=============================  =====================================================
``DIR/<emotion>/*``            training; validation is split off
``DIR/train``, ``DIR/test``    training and test; validation is split off
``DIR/train``, ``validation``  training and validation
``fer2013.csv``                Training, PublicTest (validation) and PrivateTest (test)
=============================  =====================================================
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import (
    FERPLUS_COLUMNS,
    DatasetError,
    Fold,
    LabelledFaces,
    load_files,
    load_folder,
    paths_below,
    read_ferplus,
    stratified_split,
    to_side,
    without_copies_of,
)
from training.data.labels import emotion_of, why_not_numbered
from training.data.walk import TEST, TRAINING, VALIDATION, set_of, walk
from webapp.files.below import files_below
from webapp.files.kinds import HEAD_BYTES, UNKNOWN, is_system_file, kind_of, other_archive
from webapp.files.tables import Table, TableError, open_table
from webapp.files.text import printable

# what tables call the two columns that are needed
_LABEL_COLUMNS = ("emotion", "label", "expression", "class")
_PIXEL_COLUMNS = ("pixels", "pixel")
SMALLEST_SIDE = 8
LARGEST_SIDE = 512
_CSV_USAGES = {TRAINING: "Training", VALIDATION: "PublicTest", TEST: "PrivateTest"}


@dataclass(frozen=True)
class Source:
    """The sets as they were given; ``training`` holds everything where nothing else is."""

    training: LabelledFaces
    validation: LabelledFaces | None = None
    test: LabelledFaces | None = None


@dataclass(frozen=True)
class Prepared:
    """Ready to train on: no picture of ``training`` is an exact copy of one in the others.

    ``facts`` goes into the run's record.
    """

    training: LabelledFaces
    validation: LabelledFaces
    test: LabelledFaces | None
    facts: dict[str, Any]


def read_source(data: Path, ferplus: Path | None = None) -> Source:
    """Read whatever ``data`` is. Raises DatasetError saying what was expected."""
    if data.is_file():
        return read_csv(data, ferplus)
    table = _table_in(data)
    if table is not None:
        return read_csv(table, ferplus)
    if not data.is_dir():
        raise DatasetError(f"Expected a folder of labelled faces. {data} is not a folder.")
    found, left_out = walk(paths_below(data))
    votes_of = read_ferplus(ferplus) if ferplus else {}

    def of(name: str) -> LabelledFaces | None:
        files = [file for file in found if file.set_name == name]
        return load_files(data, files, votes_of, of_set=name) if files else None

    training = [file for file in found if file.set_name == TRAINING]
    source = Source(load_files(data, training, votes_of, left_out), of(VALIDATION), of(TEST))
    return _with_votes(source, ferplus)


def read_evaluation(data: Path, ferplus: Path | None = None) -> LabelledFaces:
    """The pictures to measure on: the test set where there is one beside others, else all.

    Raises DatasetError.
    """
    table = data if data.is_file() else _table_in(data)
    if table is not None:
        source = read_csv(table, ferplus)
        return source.training if source.test is None else source.test
    faces = load_folder(data, ferplus, only=TEST)
    return _with_votes(Source(faces), ferplus).training


def _table_in(folder: Path) -> Path | None:
    """``fer2013.csv`` in a folder (as Kaggle packs it), where no folder names an emotion."""
    if not folder.is_dir():
        return None
    tables = []
    for path in files_below(folder):
        if any(emotion_of(part) is not None for part in path.relative_to(folder).parts[:-1]):
            return None
        if path.suffix.lower() == ".csv" and not is_system_file(path.name):
            with contextlib.suppress(TableError), open_table(path) as table:
                if _columns(table) is not None:
                    tables.append(path)
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        raise DatasetError(f"Expected one table of faces in {folder.name}. Found {names}; name it.")
    return tables[0] if tables else None


def _with_votes(source: Source, ferplus: Path | None) -> Source:
    """The source, where FER+ votes were given and any of its pictures has some."""
    sets = [one for one in (source.training, source.validation, source.test) if one is not None]
    if ferplus is not None and not any(one.votes.any() for one in sets):
        raise DatasetError(
            f"0 of {sum(map(len, sets))} pictures have votes in {ferplus.name}: its names are not "
            f"those of the pictures (the first is {source.training.names[0]}). Leave out "
            "--ferplus, or give the votes for these pictures."
        )
    return source


def read_csv(path: Path, ferplus: Path | None = None) -> Source:
    """Read ``fer2013.csv`` and its kin: columns emotion, pixels (2304 grey values) and Usage.

    ``emotion`` is a number from 0 to 6 or a name; without Usage every row is for training. A row is
    named like the pictures made from it, ``Training_00042.png``, so that FER+ votes are found.
    Rows that cannot be read are listed and skipped.
    """
    votes_of = read_ferplus(ferplus) if ferplus else {}
    nothing = np.zeros(len(FERPLUS_COLUMNS), np.float32)
    rows: dict[str, list[tuple[NDArray[np.uint8], int, str]]] = {u: [] for u in _CSV_USAGES}
    unreadable: list[str] = []
    labels: set[str] = set()
    try:
        with open_table(path) as table:
            columns = _columns(table)
            if columns is None:
                raise DatasetError(_no_faces(path, table))
            for number, (_, row) in enumerate(table):
                labels.add(row[columns[0]].removesuffix(".0"))
                face = _csv_face(row[columns[0]], row[columns[1]])
                usage = set_of(row.get("usage", TRAINING))
                if face is None or usage is None:
                    unreadable.append(f"{path.name} row {number}")
                    continue
                rows[usage].append((*face, f"{_CSV_USAGES[usage]}_{number:05d}.png"))
    except (OSError, TableError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error

    def gathered(usage: str) -> LabelledFaces | None:
        found = rows[usage]
        if not found:
            return None
        names = tuple(name for _, _, name in found)
        return LabelledFaces(
            np.stack([image for image, _, _ in found]),
            np.array([label for _, label, _ in found], np.int64),
            names,
            np.stack([votes_of.get(name, nothing) for name in names]),
        )

    other = why_not_numbered(labels) if "7" in labels else ""
    if other:
        raise DatasetError(f"{path.name}: {other}".rstrip())
    training = gathered(TRAINING)
    if training is None:
        raise DatasetError(
            f"{path.name} holds no readable row of Usage Training: expected an emotion (0 to 6 or "
            f"a name) and grey values from 0 to 255 of a square picture. Left out: "
            f"{', '.join(unreadable[:5]) or 'nothing'}."
        )
    empty = [name for name, count in training.class_counts.items() if not count]
    if empty:
        raise DatasetError(f"{path.name} holds no Training row of {', '.join(empty)}.")
    training = replace(training, unreadable=tuple(unreadable))
    return _with_votes(Source(training, gathered(VALIDATION), gathered(TEST)), ferplus)


def _columns(table: Table) -> tuple[str, str] | None:
    """The columns of the labels and of the pixels, or None where it is no table of faces."""
    label = next((name for name in _LABEL_COLUMNS if name in table.columns), None)
    pixels = next((name for name in _PIXEL_COLUMNS if name in table.columns), None)
    return None if label is None or pixels is None else (label, pixels)


def _no_faces(path: Path, table: Table) -> str:
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    name = printable(path.name)
    if kind_of(head) != UNKNOWN or b"\0" in head[24:]:
        why = other_archive(head) or f"{name} is something else"
        return f"Expected a folder, a ZIP or tar, or a table of faces (CSV). {why}."
    return (
        f"{name}: expected the columns of fer2013.csv, emotion, pixels and Usage, "
        f"named in its first line. That line names {table.named}."
    )


def _csv_face(label: str, pixels: str) -> tuple[NDArray[np.uint8], int] | None:
    """One row; its grey values apart by spaces or commas, in brackets or not."""
    emotion = emotion_of(label.removesuffix(".0"), numbered=True)
    try:
        values = np.array(pixels.strip("[]").replace(",", " ").split(), dtype=np.float64)
    except ValueError:
        return None
    side = math.isqrt(values.size)
    if (
        emotion is None
        or side * side != values.size
        or not SMALLEST_SIDE <= side <= LARGEST_SIDE
        or not 0 <= values.min() <= values.max() <= 255
    ):
        return None
    if values.max() <= 1 and (values % 1).any():
        values = values * 255  # shares of white
    return to_side(np.rint(values).reshape(side, side).astype(np.uint8)), emotion


def prepare(
    data: Path, ferplus: Path | None, fraction: float, seed: int, fold: Fold | None = None
) -> Prepared:
    """Training and validation pictures of ``data``, with what is known of them.

    Training pictures that are exact copies of a test or validation picture are dropped. The test
    pictures are used for nothing else. ``fraction`` of each emotion is split off to validate on
    where ``data`` brings no validation set; with a ``fold``, only that part of it is held back.
    """
    source = read_source(data, ferplus)
    if fold is not None and source.validation is not None:
        raise DatasetError(
            f"{data} brings a validation set of its own: it is held back as a whole. Leave out "
            f"the fold {fold}."
        )
    facts: dict[str, Any] = {
        "pictures": len(source.training),
        "fingerprint": source.training.fingerprint,
        "class_counts": source.training.class_counts,
        "unreadable": [
            name
            for one in (source.training, source.validation, source.test)
            if one is not None
            for name in one.unreadable
        ],
        "copies_of_test_dropped": 0,
    }
    faces = source.training
    if source.test is not None:
        kept = without_copies_of(faces, source.test)
        facts["copies_of_test_dropped"] = len(faces) - len(kept)
        faces = kept
    if source.validation is None:
        training, held = stratified_split(faces, fraction, seed, fold)
    else:
        held = source.validation
        if source.test is not None:
            held = without_copies_of(held, source.test)
        training = without_copies_of(faces, held)
        facts["validation_fingerprint"] = source.validation.fingerprint
        facts["copies_of_validation_dropped"] = len(faces) - len(training)
    facts |= {"training": len(training), "validation": len(held), "split_seed": seed}
    if fold is not None:
        facts["fold"] = str(fold)
    gone = [name for name, count in training.class_counts.items() if not count]
    if gone:
        raise DatasetError(
            f"Nothing is left to train on for {', '.join(gone)}: "
            "its pictures went to validation or are copies of test pictures."
        )
    return Prepared(training, held, source.test, facts)
