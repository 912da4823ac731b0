"""A person goes through faces and labels them; how far model and person agree.

Faces come in two orders. "random" is a fixed random order of all faces, and the model's answer
stays hidden until the person has given theirs: only these may speak for the model. "uncertain"
starts where the model was least sure, to put labels right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from webapp.database.store import Store
from webapp.database.survey_tables import FaceRow, Job, Outcome, Review, Upload
from webapp.domain import EMOTIONS
from webapp.errors import InvalidRequest, NotFound
from webapp.survey.agreement import agreement
from webapp.survey.labels import UNUSABLE, person_tables

QUEUES = ("random", "uncertain")
LABELS = (*EMOTIONS, UNUSABLE)


class Reviews:
    """Labels that people gave to the faces of a job."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def faces(self, job_id: int, queue: str, limit: int = 20) -> list[dict[str, Any]]:
        """The next faces of a queue without a label, pictures only. Raises InvalidRequest."""
        if queue not in QUEUES:
            raise InvalidRequest(f"Expected one of {QUEUES}. Received {queue!r}.", field="queue")
        limit = min(limit, 100)
        with self._store.session() as session:
            waiting = (
                select(FaceRow.id)
                .join(Outcome, Outcome.id == FaceRow.outcome_id)
                .join(Upload, Upload.id == Outcome.upload_id)
                .outerjoin(Review, Review.face_id == FaceRow.id)
                .where(FaceRow.job_id == job_id, Upload.kind == "image", Review.id.is_(None))
            )
            if queue == "random":
                chosen = shuffled(np.array(session.scalars(waiting).all(), np.int64), job_id)[
                    :limit
                ]
            else:
                ordered = waiting.order_by(FaceRow.confidence, FaceRow.id).limit(limit)
                chosen = np.array(session.scalars(ordered).all(), np.int64)
            found = {
                row[0].id: row
                for row in session.execute(
                    select(FaceRow, Upload.id, Upload.path)
                    .join(Outcome, Outcome.id == FaceRow.outcome_id)
                    .join(Upload, Upload.id == Outcome.upload_id)
                    .where(FaceRow.id.in_(chosen.tolist()))
                )
            }
        rows = [found[face] for face in chosen.tolist() if face in found]
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
            found = agreement(person_tables(session, job_id))
        return {
            "faces": total,
            "labelled": sum(by_label.values()),
            "by_label": by_label,
            "agreement": found.to_json(),
        }


def shuffled(faces: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """The ids in a random order that depends on ``seed`` and each id alone.

    So what is left keeps its order when some are labelled. The mixing is SplitMix64's (Steele, Lea
    and Flood, "Fast splittable pseudorandom number generators", 2014).
    """
    mixed = faces.astype(np.uint64) + np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return faces[np.lexsort((faces, mixed))]
