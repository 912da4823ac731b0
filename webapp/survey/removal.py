"""Removes rows in small steps, and what uploads and reports that were cut off left behind.

A statement that deletes 10,000 rows keeps the whole process waiting while it runs. Here rows go a
few hundred at a time, and other requests run in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, update

from webapp.database.base import utcnow
from webapp.database.store import Store
from webapp.database.survey_tables import (
    ACTIVE_JOB_STATES,
    FaceRow,
    Job,
    Outcome,
    Review,
    Survey,
    Upload,
)
from webapp.files.storage import remove_tree

ROWS_AT_ONCE = 500


@contextmanager
def told_if_gone(check: Callable[[], object]) -> Iterator[None]:
    """Where the folder that the block writes to was removed: what ``check`` raises, which knows
    what became of the survey.
    """
    try:
        yield
    except FileNotFoundError:
        check()
        raise


def delete_rows(store: Store, survey_id: str) -> None:
    """Delete a survey's rows, the survey itself last.

    Its jobs end first, so that a runner that works on one loses its claim; what it may still have
    written meanwhile goes with the survey's own row, by cascade.
    """
    with store.session() as session:
        session.execute(
            update(Job)
            .where(Job.survey_id == survey_id, Job.state.in_(ACTIVE_JOB_STATES))
            .values(state="cancelled", live_key=None, owner=None, ended_at=utcnow())
        )
        jobs = list(session.scalars(select(Job.id).where(Job.survey_id == survey_id)))
    for table, belongs in (
        (Review, Review.job_id.in_(jobs)),
        (FaceRow, FaceRow.job_id.in_(jobs)),
        (Outcome, Outcome.job_id.in_(jobs)),
        (Upload, Upload.survey_id == survey_id),
    ):
        _delete_some_by_some(store, table, belongs)
    with store.session() as session:
        session.execute(delete(Survey).where(Survey.id == survey_id))


def _delete_some_by_some(store: Store, table: Any, belongs: Any) -> None:
    while True:
        with store.session() as session:
            ids = list(session.scalars(select(table.id).where(belongs).limit(ROWS_AT_ONCE)))
            if ids:
                session.execute(delete(table).where(table.id.in_(ids)))
        if len(ids) < ROWS_AT_ONCE:
            return
        time.sleep(0)


def remove_leftovers(root: Path, older_than_s: float) -> int:
    """Delete what no process works on any more below ``root/surveys``; how many things it was.

    Files that were being received, parts of large uploads that nobody went on with, and reports
    that were being written when a process was killed. ``older_than_s`` is in seconds since 1970.
    """
    removed = 0
    surveys = root / "surveys"
    for pattern in ("*/incoming/parts/*", "*/incoming/*", "*/jobs/*.*"):
        for path in surveys.glob(pattern):
            if path.name == "parts" or _last_touched(path) >= older_than_s:
                continue
            if (path / "receipt.json").exists():
                continue  # small, and says that its file need not be sent again
            if path.is_dir():
                remove_tree(path)
            else:
                path.unlink(missing_ok=True)
            removed += 1
    return removed


def _last_touched(path: Path) -> float:
    try:
        inside = path.iterdir() if path.is_dir() else ()
        return max([float(one.stat().st_mtime) for one in (path, *inside)])
    except FileNotFoundError:
        return float("inf")
