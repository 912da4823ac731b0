"""The exclusion ledger: every uploaded file in exactly one category, so that the sums add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, literal_column, select
from sqlalchemy.orm import Session

from webapp.database.survey_tables import Group, Job, Outcome, Upload
from webapp.files.kinds import ARCHIVE
from webapp.languages import N_

USED = "used"
NO_FACE = "no_face"
SEVERAL_FACES = "several_faces"
LOW_QUALITY = "low_quality"
UNREADABLE = "unreadable"
DUPLICATE = "duplicate"
PENDING = "pending"

LABELS: dict[str, str] = {
    USED: N_("Used"),
    NO_FACE: N_("No face found"),
    SEVERAL_FACES: N_("Several faces"),
    LOW_QUALITY: N_("Low quality"),
    UNREADABLE: N_("Unreadable"),
    DUPLICATE: N_("Duplicate"),
    PENDING: N_("Not analysed"),
}


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts of files: all of them, and for each group by name."""

    uploaded: int
    counts: dict[str, int]
    by_group: dict[str, dict[str, int]]

    @property
    def adds_up(self) -> bool:
        return sum(self.counts.values()) == self.uploaded

    def to_json(self) -> dict[str, Any]:
        return {
            "uploaded": self.uploaded,
            "counts": self.counts,
            "by_group": self.by_group,
            "labels": LABELS,
            "adds_up": self.adds_up,
        }

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> Ledger:
        """The ledger that :meth:`to_json` wrote."""
        return cls(payload["uploaded"], payload["counts"], payload["by_group"])


def category_column(job_outcome: Any = Outcome) -> Any:
    """SQL for the category of an upload that is outer-joined with its outcome."""

    def constant(name: str) -> Any:
        # in the statement's text: PostgreSQL takes two parameters for two different expressions
        # and then refuses to group by one what was selected by the other
        return literal_column(f"'{name}'")

    return case(
        (Upload.refused.is_not(None), constant(UNREADABLE)),
        (Upload.content_key.is_(None), constant(DUPLICATE)),
        else_=func.coalesce(job_outcome.category, constant(PENDING)),
    )


def ledger_of(session: Session, survey_id: str, job_id: int | None) -> Ledger:
    """The ledger of a job (or of what is uploaded so far, with everything usable pending).

    ``uploaded`` is counted apart from the categories, so that the comparison means something.
    """
    uploaded = uploaded_files(session, survey_id)
    rows = session.execute(
        select(Group.name, category_column(), func.count())
        .select_from(Upload)
        .join(Group, Group.id == Upload.group_id)
        .outerjoin(Outcome, (Outcome.upload_id == Upload.id) & (Outcome.job_id == (job_id or -1)))
        .where(Upload.survey_id == survey_id, Upload.kind != ARCHIVE)
        .group_by(Group.name, Group.position, category_column())
        .order_by(Group.position, Group.name)
    ).all()
    total: Counter[str] = Counter()
    by_group: dict[str, dict[str, int]] = {}
    for group, category, count in rows:
        total[category] += count
        by_group.setdefault(group, dict.fromkeys(LABELS, 0))[category] = count
    return Ledger(uploaded, {name: total.get(name, 0) for name in LABELS}, by_group)


def uploaded_files(session: Session, survey_id: str) -> int:
    """How many files the survey has to account for; ZIPs stand for their members."""
    counted = select(func.count()).where(Upload.survey_id == survey_id, Upload.kind != ARCHIVE)
    return session.scalar(counted) or 0


def settled_ledger(job: Job | None) -> Ledger | None:
    """The ledger as it was when the job was done, or None for a job that is not."""
    kept = None if job is None else (job.summary or {}).get("ledger")
    return None if kept is None else Ledger.from_json(kept)


def current_ledger(session: Session, survey_id: str, job: Job | None) -> Ledger:
    """The ledger of the newest job, from what was kept at its end where nothing came since.

    Files are only ever added, and what became of one in a finished job does not change, so that an
    equal number of files means an equal ledger.
    """
    kept = settled_ledger(job)
    if kept is not None and kept.uploaded == uploaded_files(session, survey_id):
        return kept
    return ledger_of(session, survey_id, None if job is None else job.id)
