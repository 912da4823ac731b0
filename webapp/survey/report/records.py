"""What a job found, read from the database once, as arrays and rows for report and exports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
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
from webapp.domain import UNCERTAIN
from webapp.files.kinds import ARCHIVE, VIDEO
from webapp.survey.catalog import find_survey
from webapp.survey.ledger import Ledger, category_column, ledger_of
from webapp.survey.report.statistics import Sample, encode_clusters


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
    probabilities: tuple[float, ...]

    @property
    def cluster(self) -> str:
        """The respondent, or the file where none is known."""
        return f"r:{self.respondent}" if self.respondent else f"u:{self.upload}"


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


@dataclass(frozen=True, slots=True)
class Records:
    """A finished job as read from the database."""

    survey: Survey
    job: Job
    groups: tuple[str, ...]
    faces: tuple[FaceRecord, ...]
    files: tuple[FileRecord, ...]
    ledger: Ledger

    @property
    def videos(self) -> bool:
        return any(face.kind == VIDEO for face in self.faces)

    @property
    def respondents_known(self) -> bool:
        """Whether at least half of the used faces have a respondent."""
        named = sum(face.respondent is not None for face in self.faces)
        return bool(self.faces) and 2 * named >= len(self.faces)

    def sample(self) -> Sample:
        """The used faces as arrays."""
        index = {name: number for number, name in enumerate(self.groups)}
        clusters, count = encode_clusters([face.cluster for face in self.faces])
        probabilities = np.array([face.probabilities for face in self.faces], dtype=np.float64)
        return Sample(
            probabilities.reshape(len(self.faces), -1 if self.faces else 7),
            np.array([index[face.group] for face in self.faces], dtype=np.int64),
            clusters,
            np.array([face.label == UNCERTAIN for face in self.faces], dtype=bool),
            self.groups,
            count,
        )


def read_records(session: Session, job_id: int) -> Records:
    """Everything of one job. Raises :class:`NotFound` where its survey is gone."""
    job = session.get_one(Job, job_id)
    survey = find_survey(session, job.survey_id)
    groups = session.scalars(
        select(Group.name).where(Group.survey_id == survey.id).order_by(Group.position, Group.id)
    )
    return Records(
        survey,
        job,
        tuple(groups),
        tuple(_faces(session, job)),
        tuple(_files(session, job)),
        ledger_of(session, survey.id, job.id),
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
    x1, y1, x2, y2, detection, emotion, label, confidence, *probabilities = rest
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
        tuple(probabilities),
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
        reason, refused, found, width, height = values[8:]
        known = dict(zip(_KNOWN, values[:8], strict=True))
        files.append(
            FileRecord(
                reason=refused or reason,
                faces_found=found or 0,
                width=width,
                height=height,
                **known,
            )
        )
    return files


_KNOWN = ("upload", "path", "group", "kind", "respondent", "size_bytes", "sha256", "category")
