"""A person goes through faces and labels them; how far model and person agree.

Faces come in two orders. "random" is a fixed random order of all faces, and the model's answer
stays hidden until the person has given theirs: only these may speak for the model. "uncertain"
starts where the model was least sure, to put labels right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, cast, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.database.store import Store
from webapp.database.survey_tables import FaceRow, Job, Outcome, Review, Upload
from webapp.domain import EMOTIONS
from webapp.errors import InvalidRequest, NotFound

QUEUES = ("random", "uncertain")
UNUSABLE = "unusable"
LABELS = (*EMOTIONS, UNUSABLE)
_MIX = 2_654_435_761  # Knuth's multiplicative hash: a fixed order that follows nothing
_MODULUS = 1 << 32


@dataclass(frozen=True, slots=True)
class Agreement:
    """Cohen's kappa of ``n`` labels with its 95 % interval; None where it is not defined."""

    n: int
    agreed: int
    kappa: float | None
    interval: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "agreed": self.agreed,
            "kappa": None if self.kappa is None else round(self.kappa, 3),
            "interval": None
            if self.interval is None
            else [round(value, 3) for value in self.interval],
        }


def cohens_kappa(table: np.ndarray[Any, Any]) -> Agreement:
    """Kappa of a square table of counts (rows: person, columns: model).

    Cohen, "A coefficient of agreement for nominal scales" (1960); the standard error is that of
    Fleiss, Cohen and Everitt (1969). Undefined when chance alone would agree always.
    """
    n = int(table.sum())
    agreed = int(np.trace(table))
    if n < 2:
        return Agreement(n, agreed, None, None)
    p = table / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, chance = float(np.trace(p)), float(rows @ columns)
    if chance >= 1 - 1e-12:
        return Agreement(n, agreed, None, None)
    kappa = (observed - chance) / (1 - chance)
    diagonal = np.diag(p)
    first = float((diagonal * (1 - (rows + columns) * (1 - kappa)) ** 2).sum())
    # Fleiss et al.: row marginal of j and column marginal of i for the cell (i, j)
    weights = (columns[:, None] + rows[None, :]) ** 2
    off = p * weights
    second = (1 - kappa) ** 2 * float(off.sum() - np.diag(off).sum())
    third = (kappa - chance * (1 - kappa)) ** 2
    error = math.sqrt(max(0.0, first + second - third) / n) / (1 - chance)
    low, high = max(-1.0, kappa - 1.96 * error), min(1.0, kappa + 1.96 * error)
    return Agreement(n, agreed, kappa, (low, high))


class Reviews:
    """Labels that people gave to the faces of a job."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def faces(self, job_id: int, queue: str, limit: int = 20) -> list[dict[str, Any]]:
        """The next faces of a queue without a label, pictures only. Raises InvalidRequest."""
        if queue not in QUEUES:
            raise InvalidRequest(f"Expected one of {QUEUES}. Received {queue!r}.", field="queue")
        order: Any = (
            (cast(FaceRow.id, BigInteger) * _MIX) % _MODULUS
            if queue == "random"
            else FaceRow.confidence
        )
        with self._store.session() as session:
            rows = session.execute(
                select(FaceRow, Upload.id, Upload.path)
                .join(Outcome, Outcome.id == FaceRow.outcome_id)
                .join(Upload, Upload.id == Outcome.upload_id)
                .outerjoin(Review, Review.face_id == FaceRow.id)
                .where(FaceRow.job_id == job_id, Upload.kind == "image", Review.id.is_(None))
                .order_by(order, FaceRow.id)
                .limit(min(limit, 100))
            ).all()
        return [
            {
                "face": face.id,
                "upload": upload,
                "path": path,
                "box": [round(v, 1) for v in (face.x1, face.y1, face.x2, face.y2)],
                "emotion": face.emotion,
                "confidence": round(face.confidence, 4),
            }
            for face, upload, path in rows
        ]

    def give(self, job_id: int, face_id: int, label: str, queue: str) -> None:
        """Record a label; a second one replaces the first. Raises NotFound or InvalidRequest."""
        if label not in LABELS or queue not in QUEUES:
            raise InvalidRequest(f"Expected a label out of {LABELS}.", field="label")
        with self._store.session() as session:
            face = session.get(FaceRow, face_id)
            if face is None or face.job_id != job_id:
                raise NotFound("There is no such face in this analysis.", face=face_id)
        try:
            with self._store.session() as session:
                session.execute(delete(Review).where(Review.face_id == face_id))
                session.add(Review(job_id=job_id, face_id=face_id, label=label, queue=queue))
        except IntegrityError:  # the same face labelled twice at one time: either may stay
            return

    def withdraw(self, job_id: int, face_id: int) -> None:
        """Take a label back, so that the face comes again."""
        with self._store.session() as session:
            session.execute(
                delete(Review).where(Review.face_id == face_id, Review.job_id == job_id)
            )

    def status(self, job_id: int) -> dict[str, Any]:
        """How many faces there are and are labelled (and as what), and the agreement on the random
        ones.
        """
        with self._store.session() as session:
            if session.get(Job, job_id) is None:
                raise NotFound("There is no such analysis.", job=job_id)
            total = session.scalar(select(func.count()).where(FaceRow.job_id == job_id)) or 0
            given = session.execute(
                select(Review.label, func.count())
                .where(Review.job_id == job_id)
                .group_by(Review.label)
            )
            by_label = dict.fromkeys(LABELS, 0) | {label: count for label, count in given}
            agreement = cohens_kappa(_table(session, job_id))
        return {
            "faces": total,
            "labelled": sum(by_label.values()),
            "by_label": by_label,
            "agreement": agreement.to_json(),
        }


def _table(session: Session, job_id: int) -> np.ndarray[Any, Any]:
    table = np.zeros((len(EMOTIONS), len(EMOTIONS)))
    rows = session.execute(
        select(Review.label, FaceRow.emotion, func.count())
        .join(FaceRow, FaceRow.id == Review.face_id)
        .where(Review.job_id == job_id, Review.queue == "random", Review.label != UNUSABLE)
        .group_by(Review.label, FaceRow.emotion)
    )
    for label, emotion, count in rows:
        table[EMOTIONS.index(label), EMOTIONS.index(emotion)] = count
    return table
