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

import csv
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import (
    FERPLUS_COLUMNS,
    SIDE,
    DatasetError,
    Fold,
    LabelledFaces,
    load_folder,
    read_ferplus,
    stratified_split,
    without_copies_of,
)
from webapp.domain import EMOTIONS

_VALIDATION_NAMES = ("validation", "valid", "val")
_CSV_COLUMNS = {"emotion", "pixels", "Usage"}
_CSV_USAGES = ("Training", "PublicTest", "PrivateTest")


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
    nested = data / "train"
    if not nested.is_dir():
        return Source(load_folder(data, ferplus))
    validation = next((data / n for n in _VALIDATION_NAMES if (data / n).is_dir()), None)
    test = data / "test"
    return Source(
        load_folder(nested, ferplus),
        load_folder(validation, ferplus) if validation else None,
        load_folder(test, ferplus) if test.is_dir() else None,
    )


def read_csv(path: Path, ferplus: Path | None = None) -> Source:
    """Read ``fer2013.csv``: columns emotion (0 to 6), pixels (2304 grey values), Usage.

    A row is named like the pictures made from it, ``Training_00042.png``, so that FER+ votes
    are found. Rows that cannot be read are listed and skipped.
    """
    votes_of = read_ferplus(ferplus) if ferplus else {}
    nothing = np.zeros(len(FERPLUS_COLUMNS), np.float32)
    rows: dict[str, list[tuple[NDArray[np.uint8], int, str]]] = {u: [] for u in _CSV_USAGES}
    unreadable: list[str] = []
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            missing = _CSV_COLUMNS - set(reader.fieldnames or ())
            if missing:
                raise DatasetError(
                    f"{path.name}: expected the columns of fer2013.csv, "
                    f"{', '.join(sorted(_CSV_COLUMNS))}. Missing: {', '.join(sorted(missing))}."
                )
            for number, row in enumerate(reader):
                face = _csv_face(row)
                if face is None:
                    unreadable.append(f"{path.name} row {number}")
                    continue
                usage = row["Usage"]
                rows[usage].append((*face, f"{usage}_{number:05d}.png"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
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

    training = gathered("Training")
    if training is None:
        raise DatasetError(f"{path.name} holds no readable row of Usage Training.")
    empty = [name for name, count in training.class_counts.items() if not count]
    if empty:
        raise DatasetError(f"{path.name} holds no Training row of {', '.join(empty)}.")
    return Source(
        replace(training, unreadable=tuple(unreadable)),
        gathered("PublicTest"),
        gathered("PrivateTest"),
    )


def _csv_face(row: dict[str, str]) -> tuple[NDArray[np.uint8], int] | None:
    try:
        label = int(row["emotion"])
        pixels = np.array(row["pixels"].split(), dtype=np.int64)
    except (ValueError, AttributeError, TypeError):
        return None
    usable = (
        row.get("Usage") in _CSV_USAGES
        and 0 <= label < len(EMOTIONS)
        and pixels.size == SIDE * SIDE
        and pixels.min() >= 0
        and pixels.max() <= 255
    )
    return (pixels.reshape(SIDE, SIDE).astype(np.uint8), label) if usable else None


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
        "unreadable": list(source.training.unreadable),
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
