"""The labels that reviewers gave, counted against the model's."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.database.survey_tables import FaceRow, Outcome, Review, Upload
from webapp.domain import EMOTIONS

UNUSABLE: Final = "unusable"


def person_tables(session: Session, job_id: int) -> npt.NDArray[np.float64]:
    """``[people, 7, 7]`` counts of labels given in random order: the reviewer's word, the model's.

    People are respondents, or files where none is known.
    """
    rows = session.execute(
        select(Review.label, FaceRow.emotion, Upload.respondent, Upload.id)
        .join(FaceRow, FaceRow.id == Review.face_id)
        .join(Outcome, Outcome.id == FaceRow.outcome_id)
        .join(Upload, Upload.id == Outcome.upload_id)
        .where(Review.job_id == job_id, Review.queue == "random", Review.label != UNUSABLE)
    )
    size = len(EMOTIONS)
    tables: dict[tuple[str | None, int], npt.NDArray[np.float64]] = defaultdict(
        lambda: np.zeros((size, size))
    )
    for label, emotion, respondent, upload in rows:
        person = (respondent, 0) if respondent else (None, upload)
        tables[person][EMOTIONS.index(label), EMOTIONS.index(emotion)] += 1
    return np.array(list(tables.values())).reshape(-1, size, size)


def random_labels(session: Session, job_id: int) -> npt.NDArray[np.float64]:
    """``[7, 7]``: :func:`person_tables` of all people together."""
    return np.asarray(person_tables(session, job_id).sum(axis=0))
