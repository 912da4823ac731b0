"""What the database holds of an analysis: each picture has to be there once."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select

from webapp.database.store import Store
from webapp.database.survey_tables import FaceRow, Outcome


class Counted(NamedTuple):
    """Outcomes of a job, different pictures among them, and faces."""

    outcomes: int
    different_pictures: int
    faces: int


def counted(store: Store, job: int) -> Counted:
    """Count what ``job`` left in the database, and close ``store``."""
    try:
        with store.session() as session:
            outcomes, different = session.execute(
                select(func.count(), func.count(Outcome.upload_id.distinct())).where(
                    Outcome.job_id == job
                )
            ).one()
            faces = session.scalar(select(func.count()).where(FaceRow.job_id == job)) or 0
    finally:
        store.close()
    return Counted(outcomes, different, faces)
