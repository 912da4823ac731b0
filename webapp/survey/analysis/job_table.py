"""Jobs in the database: started, claimed by one process, taken over after a crash, ended.

A process that works on a job renews its claim; a claim whose process is gone (on this host) or has
not been renewed for ``LEASE_S`` may be taken over. How long that is, is also measured by whoever
waits: a claim from the future, made before a clock was set back, would otherwise hold for as long.
Even two processes that believe to own one job count nothing twice: the outcomes' unique constraint
sees to that.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import IntegrityError

from webapp import __version__
from webapp.database.base import utcnow
from webapp.database.store import Store
from webapp.database.survey_tables import (
    ACTIVE_JOB_STATES,
    FaceRow,
    Job,
    Outcome,
    Survey,
    Upload,
)
from webapp.domain import EMOTIONS, QUALITY_FIGURES
from webapp.errors import Conflict, InvalidRequest, NotFound
from webapp.files.kinds import IMAGE, VIDEO
from webapp.survey.analysis.outcomes import Judgement
from webapp.survey.catalog import find_survey

LEASE_S = 30.0


def make_owner() -> str:
    """A name for this process: host, pid and a random part that a later pid cannot repeat."""
    return f"{socket.gethostname()}|{os.getpid()}|{secrets.token_hex(4)}"


def owner_is_gone(owner: str, me: str) -> bool:
    """Whether the process named ``owner`` certainly runs no more (seen from this host)."""
    host, pid, _ = owner.rsplit("|", 2)
    my_host, my_pid, _ = me.rsplit("|", 2)
    if host != my_host:
        return False
    if pid == my_pid:
        return owner != me
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def fair_owner(survey: Survey) -> str:
    """Whose turn an analysis of the survey takes: the owner's, or its own where there is none."""
    return f"survey {survey.id}" if survey.owner_id is None else f"owner {survey.owner_id}"


class JobQueue:
    """Everything that is read from and written to the ``jobs`` and ``outcomes`` tables."""

    def __init__(
        self,
        store: Store,
        owner: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.owner = owner or make_owner()
        self._clock = clock
        # the claims of others: as they were last seen to change, and when that was by our clock
        self._seen: dict[int, tuple[str | None, datetime | None, float]] = {}
        self._given_back: dict[int, float] = {}  # when, by our clock

    def start(self, survey_id: str, model: dict[str, Any]) -> Job:
        """Queue an analysis under the model described by ``model`` (at least ``version``).

        Raises :class:`NotFound`, :class:`Conflict` when one is active or the pictures are gone,
        and :class:`InvalidRequest` when there is nothing to analyse.
        """
        try:
            with self.store.session() as session:
                survey = find_survey(session, survey_id)
                if survey.pictures_deleted_at is not None:
                    raise Conflict("The pictures of this survey are deleted; nothing to analyse.")
                total = session.scalar(select(func.count()).where(*_usable(survey_id))) or 0
                if total == 0:
                    raise InvalidRequest("Upload at least one picture or video before analysing.")
                job = Job(
                    survey_id=survey_id,
                    live_key=survey_id,
                    state="queued",
                    model_version=str(model["version"]),
                    model=model,
                    software=__version__,
                    total=total,
                    created_at=utcnow(),
                )
                session.add(job)
            return job
        except IntegrityError:
            raise Conflict("An analysis of this survey is queued or running already.") from None

    def report_again(self, job_id: int) -> None:
        """Queue a finished job for its report alone, which then knows the labels given since.

        Raises :class:`NotFound`, and :class:`Conflict` where the job is not done or the survey is
        being analysed.
        """
        try:
            with self.store.session() as session:
                job = session.get(Job, job_id)
                if job is None:
                    raise NotFound("There is no such analysis.", job=job_id)
                if job.state != "done":
                    raise Conflict("This analysis has no report yet.", job=job_id)
                job.state, job.live_key, job.owner = "reporting", job.survey_id, None
        except IntegrityError:
            raise Conflict("An analysis of this survey is queued or running already.") from None

    def claim(self, active: Mapping[int, str] = MappingProxyType({})) -> Job | None:
        """Take the first of :meth:`waiting` that is still free; None where there is none."""
        for job in self.waiting(active):
            same = Job.owner.is_(None) if job.owner is None else Job.owner == job.owner
            with self.store.session() as session:
                taken = session.execute(
                    update(Job)
                    .where(Job.id == job.id, Job.state == job.state, same)
                    .values(
                        owner=self.owner,
                        heartbeat_at=utcnow(),
                        state="reporting" if job.state == "reporting" else "running",
                        started_at=job.started_at or utcnow(),
                    )
                )
                if taken.rowcount:  # type: ignore[attr-defined]
                    return session.get_one(Job, job.id, populate_existing=True)
        return None

    def waiting(self, active: Mapping[int, str] = MappingProxyType({})) -> list[Job]:
        """The jobs that nobody works on or whose process is gone, in fair order.

        ``active`` are the jobs that this process works on, each with :func:`fair_owner` of its
        survey: whoever has fewest of them comes first, then who waits longest. A claim of ours
        that is not among them is of a job that was dropped while the database was away, and is
        free at once.
        """
        with self.store.session() as session:
            query = select(Job, Survey).join(Survey, Survey.id == Job.survey_id)
            found = session.execute(query.where(Job.state.in_(ACTIVE_JOB_STATES)))
            rows = [(job, survey) for job, survey in found]
        there = {job.id for job, _ in rows}
        self._seen = {key: seen for key, seen in self._seen.items() if key in there}
        self._given_back = {key: at for key, at in self._given_back.items() if key in there}
        busy = Counter(active.values())

        def rank(row: tuple[Job, Survey]) -> tuple[int, float, int]:
            job, survey = row
            return busy[fair_owner(survey)], self._given_back.get(job.id, 0.0), job.id

        free = [row for row in rows if row[0].id not in active and self._free(row[0])]
        return [job for job, _ in sorted(free, key=rank)]

    def _free(self, job: Job) -> bool:
        if job.owner is None or job.heartbeat_at is None or job.owner == self.owner:
            return True
        if job.heartbeat_at < utcnow() - timedelta(seconds=LEASE_S):
            return True
        if owner_is_gone(job.owner, self.owner):
            return True
        now, claim = self._clock(), (job.owner, job.heartbeat_at)
        *seen, since = self._seen.get(job.id, (None, None, now))
        if claim != tuple(seen):
            since = now
        self._seen[job.id] = (*claim, since)
        return now - since > LEASE_S

    def renew(self, job_id: int, busy_s: float = 0.0) -> str:
        """Renew the claim: "ok", "cancel" when a person asked, "lost" when it is not ours."""
        with self.store.session() as session:
            renewed = session.execute(
                update(Job)
                .where(
                    Job.id == job_id,
                    Job.owner == self.owner,
                    Job.state.in_(ACTIVE_JOB_STATES),
                )
                .values(heartbeat_at=utcnow(), busy_s=Job.busy_s + busy_s)
            )
            if not renewed.rowcount:  # type: ignore[attr-defined]
                return "lost"
            return "cancel" if session.get_one(Job, job_id).cancel_requested else "ok"

    def release(self, job_id: int) -> None:
        """Give a job back unfinished, for others or for a later turn of ours."""
        with self.store.session() as session:
            session.execute(
                update(Job)
                .where(Job.id == job_id, Job.owner == self.owner)
                .values(owner=None, heartbeat_at=None)
            )
        self._given_back[job_id] = self._clock()

    def set_state(self, job_id: int, state: str, **values: Any) -> bool:
        """Move a job that is ours on; an ended one frees its survey. False when it is not ours."""
        if state not in ACTIVE_JOB_STATES:
            values |= {"live_key": None, "ended_at": utcnow()}
        with self.store.session() as session:
            moved = session.execute(
                update(Job)
                .where(Job.id == job_id, Job.owner == self.owner)
                .values(state=state, **values)
            )
            return bool(moved.rowcount)  # type: ignore[attr-defined]

    def cancel(self, job_id: int) -> None:
        """Ask for the end of a job; a queued one ends here. Raises NotFound or Conflict."""
        with self.store.session() as session:
            job = session.get(Job, job_id)
            if job is None:
                raise NotFound("There is no such analysis.", job=job_id)
            if job.state not in ACTIVE_JOB_STATES:
                raise Conflict(f"The analysis has ended already ({job.state}).")
            job.cancel_requested = 1
            session.flush()
            # unless it is claimed in this moment: who works on it ends it then
            ended = {"state": "cancelled", "live_key": None, "ended_at": utcnow()}
            still = (Job.id == job_id, Job.state == "queued")
            session.execute(update(Job).where(*still).values(**ended))

    def pending(self, job: Job, among: Sequence[int] | None = None) -> list[tuple[int, str, str]]:
        """``(upload_id, kind, sha256)`` of every file, or of those ``among`` the given, that has
        no outcome in this job yet.
        """
        with self.store.session() as session:
            done = select(Outcome.upload_id).where(Outcome.job_id == job.id)
            query = select(Upload.id, Upload.kind, Upload.sha256).where(
                *_usable(job.survey_id), Upload.id.not_in(done)
            )
            if among is not None:
                query = query.where(Upload.id.in_(among))
            rows = session.execute(query.order_by(Upload.id))
            return [(upload_id, kind, sha) for upload_id, kind, sha in rows]

    def done_among(self, job_id: int, uploads: Sequence[int]) -> set[int]:
        """Which of the given uploads have their outcome in this job."""
        with self.store.session() as session:
            query = select(Outcome.upload_id).where(
                Outcome.job_id == job_id, Outcome.upload_id.in_(uploads)
            )
            return set(session.scalars(query))

    def working(self, job_id: int) -> Job | None:
        """The job while outcomes are wanted; None once it ended, was cancelled or deleted."""
        with self.store.session() as session:
            job = session.get(Job, job_id)
            return job if job is not None and job.state == "running" and _wanted(job) else None

    def give_up(self, job_id: int, reason: str) -> None:
        """A worker says that it cannot do its part; who owns the job ends it with the reason."""
        with self.store.session() as session:
            session.execute(
                update(Job).where(Job.id == job_id, Job.state == "running").values(error=reason)
            )

    def given_up(self, job_id: int) -> str | None:
        """The reason that a worker gave."""
        with self.store.session() as session:
            return session.scalar(select(Job.error).where(Job.id == job_id))

    def done_count(self, job_id: int) -> int:
        with self.store.session() as session:
            return session.scalar(select(func.count()).where(Outcome.job_id == job_id)) or 0

    def counts(self, job_id: int) -> dict[str, int]:
        """Outcomes of a job by category."""
        with self.store.session() as session:
            rows = session.execute(
                select(Outcome.category, func.count())
                .where(Outcome.job_id == job_id)
                .group_by(Outcome.category)
            )
            return {category: count for category, count in rows}

    def write(
        self, job_id: int, batch: Sequence[tuple[int, Judgement]], *, wanted_only: bool = False
    ) -> None:
        """Store outcomes with their faces in one transaction, each upload once.

        When another process has written some of them, the others are stored one by one. An upload
        or job that was deleted meanwhile is passed over. ``wanted_only`` is for who does not own
        the job: nothing is stored once it ended or was cancelled, so its counts stay as reported.
        """
        if not batch:
            return
        try:
            with self.store.session() as session:
                if wanted_only:
                    job = session.get(Job, job_id, with_for_update={"read": True})
                    if job is None or job.state != "running" or not _wanted(job):
                        return
                rows = [_outcome(job_id, upload_id, judged) for upload_id, judged in batch]
                session.add_all(rows)
                session.flush()
                for row, (_, judged) in zip(rows, batch, strict=True):
                    session.add_all(_faces(job_id, row.id, judged))
        except IntegrityError:
            if len(batch) > 1:
                for one in batch:
                    self.write(job_id, [one], wanted_only=wanted_only)


def _wanted(job: Job) -> bool:
    return not job.cancel_requested


def _usable(survey_id: str) -> tuple[Any, ...]:
    return (
        Upload.survey_id == survey_id,
        Upload.content_key.is_not(None),
        Upload.refused.is_(None),
        or_(Upload.kind == IMAGE, Upload.kind == VIDEO),
    )


def _outcome(job_id: int, upload_id: int, judged: Judgement) -> Outcome:
    same = ("category", "reason", "faces_found", "width", "height", "duration_ms")
    values = {name: getattr(judged, name) for name in same}
    return Outcome(job_id=job_id, upload_id=upload_id, **values)


def _faces(job_id: int, outcome_id: int, judged: Judgement) -> list[FaceRow]:
    rows = []
    places: dict[int, int] = {}
    for used in judged.faces:
        place = places.get(used.t_ms, 0)
        places[used.t_ms] = place + 1
        box, face = used.face.box, used.face
        rows.append(
            FaceRow(
                job_id=job_id,
                outcome_id=outcome_id,
                t_ms=used.t_ms,
                place=place,
                x1=box.x1,
                y1=box.y1,
                x2=box.x2,
                y2=box.y2,
                detection=face.detection,
                emotion=face.scores.top[0],
                label=face.label,
                confidence=face.confidence,
                **{name: getattr(face.quality, name) for name in QUALITY_FIGURES},
                **{
                    f"p_{name}": value
                    for name, value in zip(EMOTIONS, face.scores.values, strict=True)
                },
            )
        )
    return rows
