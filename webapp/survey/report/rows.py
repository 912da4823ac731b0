"""A report's faces and pictures as rows, for CSV and the workbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from webapp.domain import EMOTIONS

if TYPE_CHECKING:  # it loads SciPy, which the web process does not need at start
    from webapp.survey.report.records import Records

FACE_COLUMNS = (
    "face",
    "file",
    "group",
    "respondent",
    "t_ms",
    "x1",
    "y1",
    "x2",
    "y2",
    "detection",
    "emotion",
    "label",
    "confidence",
    *(f"p_{emotion}" for emotion in EMOTIONS),
)
PICTURE_COLUMNS = (
    "file",
    "group",
    "respondent",
    "kind",
    "bytes",
    "sha256",
    "category",
    "reason",
    "faces_found",
    "width",
    "height",
)


def face_rows(records: Records) -> Iterator[Sequence[Any]]:
    """One row for each used face, in the order of ``FACE_COLUMNS``; boxes in pixels."""
    for face in records.faces:
        yield (
            face.face,
            face.path,
            face.group,
            face.respondent,
            face.t_ms,
            *(round(value, 1) for value in face.box),
            round(face.detection, 4),
            face.emotion,
            face.label,
            round(face.confidence, 6),
            *(round(value, 6) for value in face.probabilities),
        )


def picture_rows(records: Records) -> Iterator[Sequence[Any]]:
    """One row for each uploaded file, in the order of ``PICTURE_COLUMNS``."""
    for file in records.files:
        yield (
            file.path,
            file.group,
            file.respondent,
            file.kind,
            file.size_bytes,
            file.sha256,
            file.category,
            file.reason,
            file.faces_found,
            file.width,
            file.height,
        )
