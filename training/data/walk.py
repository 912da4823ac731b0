"""Labelled pictures in folders, however deep and whatever they are called: one walk for all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from training.data.labels import are_numbered, emotion_of
from webapp.files.kinds import is_system_file

TRAINING: Final = "training"
VALIDATION: Final = "validation"
TEST: Final = "test"
_SETS: Final = {
    **dict.fromkeys(("train", "training", "train_set", "trainset"), TRAINING),
    **dict.fromkeys(("validation", "valid", "val", "dev", "publictest", "public_test"), VALIDATION),
    **dict.fromkeys(("test", "testing", "test_set", "privatetest", "private_test"), TEST),
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """One file: ``set_name`` is training, validation or test; ``label`` an emotion's index."""

    path: str
    set_name: str
    label: int


def set_of(name: str) -> str | None:
    """The set that a folder or a table's Usage names, or None."""
    return _SETS.get(name.strip().casefold().replace(" ", "_").replace("-", "_"))


def walk(paths: Iterable[str]) -> tuple[list[Labelled], list[str]]:
    """Sort relative paths (with ``/``) by the folders they lie in; and which lie in none.

    The nearest folder that names an emotion is the label, one that names a set the set. What
    operating systems left behind is in neither.
    """
    files = sorted(path for path in paths if not is_system_file(path))
    numbered = are_numbered({part for path in files for part in path.split("/")[:-1]})
    found, left_out = [], []
    for path in files:
        folders = path.split("/")[:-1][::-1]
        labels = (emotion_of(part, numbered=numbered) for part in folders)
        label = next((one for one in labels if one is not None), None)
        if label is None:
            left_out.append(path)
            continue
        sets = (set_of(part) for part in folders)
        found.append(Labelled(path, next((one for one in sets if one), TRAINING), label))
    found.sort(key=lambda one: one.label)
    return found, left_out
