"""What a job found, read from the database once, as arrays and rows for report and exports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.database.survey_tables import (
    PROBABILITY_COLUMNS,
    FaceRow,
    Group,
    Job,
    Outcome,
    Survey,
    Upload,
)
from webapp.domain import QUALITY_FIGURES, UNCERTAIN
from webapp.files.kinds import ARCHIVE, VIDEO
from webapp.survey.catalog import find_survey
from webapp.survey.guess import Guess
from webapp.survey.labels import random_labels
from webapp.survey.ledger import Ledger, category_column, ledger_of
from webapp.survey.people import guess_of
from webapp.survey.report.statistics import Sample, encode_clusters, respondent_weights
from webapp.survey.respondents import respondent_of


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """One used face with the file it is in; ``probabilities`` in the order of ``EMOTIONS``."""

    face: int
    upload: int
    path: str
    group: str
    kind: str
    respondent: str | None
    t_ms: int
    box: tuple[float, float, float, float]
    detection: float
    emotion: str
    label: str
    confidence: float
    quality: tuple[float | None, ...]  # in the order of QUALITY_FIGURES
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One uploaded file with its place in the ledger."""

    upload: int
    path: str
    group: str
    kind: str
    respondent: str | None
    size_bytes: int
    sha256: str
    category: str
    reason: str | None
    faces_found: int
    width: int | None
    height: int | None
    attributes: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Records:
    """A finished job as read from the database.

    ``guess`` says who may be in which file where nobody said it; ``labels`` ``[7, 7]`` counts the
    faces that a person labelled in random order, rows the person's word, columns the model's.
    """

    survey: Survey
    job: Job
    groups: tuple[str, ...]
    faces: tuple[FaceRecord, ...]
    files: tuple[FileRecord, ...]
    ledger: Ledger
    guess: Guess | None = None
    labels: npt.NDArray[np.float64] | None = None

    @property
    def videos(self) -> bool:
        return any(face.kind == VIDEO for face in self.faces)

    @property
    def people(self) -> str:
        """How it is known who is in which file: ``named``, ``guessed`` or ``unknown``.

        At least half of the used faces must have a respondent for ``named``.
        """
        named = sum(face.respondent is not None for face in self.faces)
        if self.faces and 2 * named >= len(self.faces):
            return "named"
        return "unknown" if self.guess is None else "guessed"

    def cluster_of(self, record: FaceRecord | FileRecord) -> str:
        """Who is seen: the respondent, the one guessed, or the file where none is known."""
        who = record.respondent
        if who is None and self.guess is not None:
            who = respondent_of(record.path, self.guess.rule, self.guess.pattern)
        return f"r:{who}" if who else f"u:{record.upload}"

    @property
    def by_respondent(self) -> bool:
        """Whether each respondent counts once: with videos, where some give many more faces."""
        return self.videos

    def sample(self) -> Sample:
        """The used faces as arrays."""
        index = {name: number for number, name in enumerate(self.groups)}
        clusters, count = encode_clusters([self.cluster_of(face) for face in self.faces])
        groups = np.array([index[face.group] for face in self.faces], dtype=np.int64)
        probabilities = np.array([face.probabilities for face in self.faces], dtype=np.float64)
        return Sample(
            probabilities.reshape(len(self.faces), -1 if self.faces else 7),
            groups,
            clusters,
            np.array([face.label == UNCERTAIN for face in self.faces], dtype=bool),
            self.groups,
            count,
            respondent_weights(groups, clusters) if self.by_respondent else None,
        )


def read_records(session: Session, job_id: int) -> Records:
    """Everything of one job. Raises :class:`NotFound` where its survey is gone."""
    job = session.get_one(Job, job_id)
    survey = find_survey(session, job.survey_id)
    groups = session.scalars(
        select(Group.name).where(Group.survey_id == survey.id).order_by(Group.position, Group.name)
    )
    return Records(
        survey,
        job,
        tuple(groups),
        tuple(_faces(session, job)),
        tuple(_files(session, job)),
        ledger_of(session, survey.id, job.id),
        guess_of(session, survey),
        random_labels(session, job.id),
    )


def _faces(session: Session, job: Job) -> list[FaceRecord]:
    columns: list[Any] = [
        FaceRow.id,
        Upload.id,
        Upload.path,
        Group.name,
        Upload.kind,
        Upload.respondent,
        FaceRow.t_ms,
        FaceRow.x1,
        FaceRow.y1,
        FaceRow.x2,
        FaceRow.y2,
        FaceRow.detection,
        FaceRow.emotion,
        FaceRow.label,
        FaceRow.confidence,
        *(getattr(FaceRow, name) for name in QUALITY_FIGURES),
        *PROBABILITY_COLUMNS,
    ]
    rows = session.execute(
        select(*columns)
        .select_from(FaceRow)
        .join(Outcome, Outcome.id == FaceRow.outcome_id)
        .join(Upload, Upload.id == Outcome.upload_id)
        .join(Group, Group.id == Upload.group_id)
        .where(FaceRow.job_id == job.id)
        .order_by(Upload.id, FaceRow.t_ms, FaceRow.place)
    )
    return [_face(tuple(row)) for row in rows]


def _face(row: tuple[Any, ...]) -> FaceRecord:
    face, upload, path, group, kind, respondent, t_ms, *rest = row
    x1, y1, x2, y2, detection, emotion, label, confidence, *values = rest
    kept = len(QUALITY_FIGURES)
    return FaceRecord(
        face,
        upload,
        path,
        group,
        kind,
        respondent,
        t_ms,
        (x1, y1, x2, y2),
        detection,
        emotion,
        label,
        confidence,
        tuple(values[:kept]),
        tuple(values[kept:]),
    )


def _files(session: Session, job: Job) -> list[FileRecord]:
    rows = session.execute(
        select(
            Upload.id,
            Upload.path,
            Group.name,
            Upload.kind,
            Upload.respondent,
            Upload.size_bytes,
            Upload.sha256,
            category_column(),
            Outcome.reason,
            Upload.refused,
            Outcome.faces_found,
            Outcome.width,
            Outcome.height,
            Upload.attributes,
        )
        .select_from(Upload)
        .join(Group, Group.id == Upload.group_id)
        .outerjoin(Outcome, (Outcome.upload_id == Upload.id) & (Outcome.job_id == job.id))
        .where(Upload.survey_id == job.survey_id, Upload.kind != ARCHIVE)
        .order_by(Upload.id)
    )
    files = []
    for row in rows:
        values: tuple[Any, ...] = tuple(row)
        reason, refused, found, width, height, attributes = values[8:]
        known = dict(zip(_KNOWN, values[:8], strict=True))
        files.append(
            FileRecord(
                reason=refused or reason,
                faces_found=found or 0,
                width=width,
                height=height,
                attributes=attributes,
                **known,
            )
        )
    return files


_KNOWN = ("upload", "path", "group", "kind", "respondent", "size_bytes", "sha256", "category")
