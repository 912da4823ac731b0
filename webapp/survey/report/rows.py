"""A report's faces and pictures as rows, for CSV and the workbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from webapp.domain import EMOTIONS

if TYPE_CHECKING:  # it loads SciPy, which the web process does not need at start
    from webapp.survey.report.records import Records

_FACE = ("group", "respondent", "t_ms")  # columns that are called as a record's fields are
_READ = ("emotion", "label")
_PICTURE = ("category", "reason", "faces_found", "width", "height")
FACE_COLUMNS = (
    *("face", "file", *_FACE, "x1", "y1", "x2", "y2", "detection", *_READ, "confidence"),
    *(f"p_{emotion}" for emotion in EMOTIONS),
)
PICTURE_COLUMNS = ("file", "group", "respondent", "kind", "bytes", "sha256", *_PICTURE)


def face_rows(records: Records) -> Iterator[Sequence[Any]]:
    """One row for each used face, in the order of ``FACE_COLUMNS``; boxes in pixels."""
    place, read = attrgetter("face", "path", *_FACE), attrgetter(*_READ)
    for face in records.faces:
        box = (round(value, 1) for value in face.box)
        chances = (round(value, 6) for value in (face.confidence, *face.probabilities))
        yield (*place(face), *box, round(face.detection, 4), *read(face), *chances)


def picture_rows(records: Records) -> Iterator[Sequence[Any]]:
    """One row for each uploaded file, in the order of ``PICTURE_COLUMNS``."""
    values = attrgetter("path", "group", "respondent", "kind", "size_bytes", "sha256", *_PICTURE)
    return map(values, records.files)
