"""Surveys as a whole: create, list, delete, and the sweep that keeps the retention promise."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from webapp.database.access_tables import Account
from webapp.database.base import utcnow
from webapp.database.locks import lock
from webapp.database.store import Store
from webapp.database.survey_tables import ACTIVE_JOB_STATES, Group, Job, Survey, Upload
from webapp.domain import EMOTIONS
from webapp.errors import Conflict, InvalidRequest, NotFound
from webapp.files.kinds import ARCHIVE
from webapp.files.storage import Files, LocalFiles, remove_tree
from webapp.survey.ledger import settled_ledger
from webapp.survey.purposes import check_purpose
from webapp.survey.removal import delete_rows, remove_leftovers
from webapp.survey.respondents import RULES, compile_pattern

SEVERAL_FACES = ("exclude", "largest")
MAX_KEEP_DAYS = 3650
MAX_GROUPS = 50
MAX_TAGS, MAX_TAG = 10, 30
PRIMARY_OUTCOMES = ("valence", *EMOTIONS)  # what a survey may mainly be asked
_ID = re.compile(r"[0-9A-Za-z_-]{1,32}")  # nothing else is asked of the database


@dataclass(frozen=True, slots=True)
class NewSurvey:
    """What the form asks; without ``groups`` the first files' folders name them.

    ``keep_until`` None deletes pictures right after their analysis.
    """

    name: str
    purpose: str
    consent: bool
    groups: Sequence[str] = ()
    purpose_text: str = ""
    keep_until: datetime | None = None
    several_faces: str = "exclude"
    respondent_rule: str = "none"
    respondent_pattern: str = ""
    video_fps: float = 2.0
    primary_outcome: str = ""
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a survey's files lie below the instance folder."""

    root: Path

    def survey(self, survey_id: str) -> Path:
        return self.root / "surveys" / survey_id

    def pictures(self, survey_id: str) -> Path:
        return self.survey(survey_id) / "files"

    def picture(self, survey_id: str, sha256: str) -> Path:
        return self.pictures(survey_id) / sha256[:2] / sha256

    def incoming(self, survey_id: str) -> Path:
        return self.survey(survey_id) / "incoming"

    def deletion_mark(self, survey_id: str) -> Path:
        return self.survey(survey_id) / "to-be-deleted"

    def job(self, survey_id: str, job_id: int) -> Path:
        return self.survey(survey_id) / "jobs" / str(job_id)

    def frames(self, survey_id: str, job_id: int) -> Path:
        """Stills taken out of videos; deleted together with the pictures."""
        return self.survey(survey_id) / "frames" / str(job_id)


@dataclass(frozen=True, slots=True)
class SurveyRow:
    """One line of the list."""

    survey: Survey
    files: int
    job: Job | None = None
    owner: str | None = None


def _validated(new: NewSurvey) -> NewSurvey:
    name = new.name.strip()
    if not 1 <= len(name) <= 200:
        raise InvalidRequest("Give the survey a name of 1 to 200 characters.", field="name")
    check_purpose(new.purpose, new.purpose_text)
    if not new.consent:
        raise InvalidRequest(
            "Confirm that everybody in the pictures agreed to have them analysed this way.",
            field="consent",
        )
    groups = list(dict.fromkeys(group.strip() for group in new.groups if group.strip()))
    if any(len(group) > 200 for group in groups) or len(groups) > MAX_GROUPS:
        raise InvalidRequest(
            f"Expected at most {MAX_GROUPS} groups with names of at most 200 characters.",
            field="groups",
        )
    if new.keep_until is not None and not (
        utcnow() < new.keep_until <= utcnow() + timedelta(days=MAX_KEEP_DAYS)
    ):
        raise InvalidRequest(
            "Expected a date in the future, at most ten years away.", field="keep_until"
        )
    if new.several_faces not in SEVERAL_FACES:
        raise InvalidRequest(f"Expected one of {SEVERAL_FACES}.", field="several_faces")
    if new.respondent_rule not in RULES:
        raise InvalidRequest(f"Expected one of {RULES}.", field="respondent_rule")
    if new.respondent_rule == "pattern":
        compile_pattern(new.respondent_pattern)
    if not 0.1 <= new.video_fps <= 30:
        raise InvalidRequest("Expected 0.1 to 30 samples a second.", field="video_fps")
    if new.primary_outcome not in ("", *PRIMARY_OUTCOMES):
        raise InvalidRequest(
            f"Expected no primary outcome or one of {PRIMARY_OUTCOMES}. "
            f"Received {new.primary_outcome!r}.",
            field="primary_outcome",
        )
    return replace(
        new,
        name=name,
        consent=True,
        groups=groups,
        purpose_text=new.purpose_text.strip(),
        tags=clean_tags(new.tags),
    )


def clean_tags(tags: Sequence[str]) -> list[str]:
    """Tags without blanks around them, each once. Raises :class:`InvalidRequest`."""
    kept = list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if len(kept) > MAX_TAGS or any(len(tag) > MAX_TAG or "," in tag for tag in kept):
        raise InvalidRequest(
            f"Expected at most {MAX_TAGS} tags of at most {MAX_TAG} characters without commas.",
            field="tags",
        )
    return kept


def _check_room(session: Session, owner_id: int | None, most: int) -> None:
    lock(session, f"surveys of {owner_id}")
    query = select(func.count()).where(Survey.owner_id.is_not_distinct_from(owner_id))
    count = session.scalar(query) or 0
    if count >= most:
        raise Conflict(
            f"There are {count} surveys already, and {most} is the most. Delete some first.",
            limit=most,
        )


class Catalog:
    """The surveys of one store and their folders; ``files`` by default are this machine's."""

    def __init__(self, store: Store, instance: Path, files: Files | None = None) -> None:
        self.store = store
        self.folders = Folders(instance)
        self.files: Files = files or LocalFiles()

    def create(
        self, new: NewSurvey, owner_id: int | None = None, most: int | None = None
    ) -> Survey:
        """Make a survey. Raises :class:`InvalidRequest`, or :class:`Forbidden` for its purpose.

        ``most`` surveys an owner may have, or all nobody's together; one more is a
        :class:`Conflict`.
        """
        new = _validated(new)
        survey = Survey(
            id=secrets.token_hex(16),
            name=new.name,
            purpose=new.purpose,
            purpose_text=new.purpose_text,
            consent_at=utcnow(),
            keep_until=new.keep_until,
            several_faces=new.several_faces,
            respondent_rule=new.respondent_rule,
            respondent_pattern=new.respondent_pattern,
            video_fps=new.video_fps,
            primary_outcome=new.primary_outcome,
            tags=",".join(new.tags),
            created_at=utcnow(),
            owner_id=owner_id,
        )
        with self.store.session() as session:
            if most is not None:
                _check_room(session, owner_id, most)
            session.add(survey)
            session.flush()
            for position, name in enumerate(new.groups):
                session.add(Group(survey_id=survey.id, name=name, position=position))
        return survey

    def get(self, survey_id: str) -> Survey:
        """The survey. Raises :class:`NotFound`."""
        with self.store.session() as session:
            return find_survey(session, survey_id)

    def groups(self, survey_id: str) -> list[Group]:
        with self.store.session() as session:
            query = select(Group).where(Group.survey_id == survey_id)
            return list(session.scalars(query.order_by(Group.position, Group.name)))

    def ensure_group(self, survey_id: str, name: str) -> int:
        """The id of the group of that name, made if there is none (folder names make groups)."""
        name = name.replace("\x00", "").strip()[:200] or "All pictures"
        query = select(Group.id).where(Group.survey_id == survey_id, Group.name == name)
        with self.store.session() as session:
            found = session.scalar(query)
        if found is not None:
            return found
        try:
            with self.store.session() as session:
                lock(session, f"groups of {survey_id}")
                found = session.scalar(query)
                if found is not None:  # another request made it in between
                    return found
                here = select(func.count()).select_from(Group).where(Group.survey_id == survey_id)
                if (session.scalar(here) or 0) >= MAX_GROUPS:
                    raise InvalidRequest(
                        f"Expected at most {MAX_GROUPS} groups in one survey.", field="group"
                    )
                # after those that were named, by name: files arrive in any order
                group = Group(survey_id=survey_id, name=name, position=MAX_GROUPS)
                session.add(group)
                session.flush()
                return group.id
        except IntegrityError:
            raise no_such_survey(survey_id) from None

    def rows(self, limit: int = 200, visible: ColumnElement[bool] | None = None) -> list[SurveyRow]:
        """The newest surveys, or of those that are ``visible``, with their number of files and
        latest job.
        """
        with self.store.session() as session:
            query = select(Survey, Account.name).outerjoin(Account, Account.id == Survey.owner_id)
            if visible is not None:
                query = query.where(visible)
            found = session.execute(query.order_by(Survey.created_at.desc()).limit(limit)).all()
            surveys = [survey for survey, _ in found]
            ids = [survey.id for survey in surveys]
            jobs: dict[str, Job] = {}
            for job in session.scalars(select(Job).where(Job.survey_id.in_(ids)).order_by(Job.id)):
                jobs[job.survey_id] = job
            # No file comes or goes once the pictures are deleted: the last analysis counted them.
            settled = {
                survey.id: ledger.uploaded
                for survey in surveys
                if survey.pictures_deleted_at is not None
                and (ledger := settled_ledger(jobs.get(survey.id))) is not None
            }
            counts: dict[str, int] = {
                survey_id: count
                for survey_id, count in session.execute(
                    select(Upload.survey_id, func.count())
                    .where(
                        Upload.survey_id.in_([one for one in ids if one not in settled]),
                        Upload.kind != ARCHIVE,
                    )
                    .group_by(Upload.survey_id)
                )
            } | settled
        return [SurveyRow(s, counts.get(s.id, 0), jobs.get(s.id), owner) for s, owner in found]

    def delete(self, survey_id: str) -> None:
        """Remove rows, pictures, stills and reports at once. Raises :class:`NotFound`.

        A mark in the survey's folder says that it is to go: a deletion that a crash interrupts is
        finished by the next sweep. Rows go first, so that a running job finds nothing to write to;
        a folder left without rows is an orphan, which the sweep removes as well.
        """
        with self.store.session() as session:
            find_survey(session, survey_id)
        mark = self.folders.deletion_mark(survey_id)
        with suppress(OSError):  # somebody else deletes it at this moment, or the disk is full
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        try:
            delete_rows(self.store, survey_id)
        except OperationalError as error:
            if "disk is full" not in str(error):
                raise
            self.files.remove_tree(self.folders.pictures(survey_id))  # which makes room
            delete_rows(self.store, survey_id)
        self.files.remove_tree(self.folders.survey(survey_id))

    def set_tags(self, survey_id: str, tags: Sequence[str]) -> list[str]:
        """Replace the tags; returns them. Raises :class:`NotFound`, :class:`InvalidRequest`."""
        kept = clean_tags(tags)
        with self.store.session() as session:
            find_survey(session, survey_id).tags = ",".join(kept)
        return kept

    def delete_pictures(self, survey_id: str) -> None:
        """Delete the pictures and stills of a survey and keep its numbers."""
        with self.store.session() as session:
            session.execute(
                update(Survey)
                .where(Survey.id == survey_id, Survey.pictures_deleted_at.is_(None))
                .values(pictures_deleted_at=utcnow())
            )
        self.files.remove_tree(self.folders.pictures(survey_id))
        remove_tree(self.folders.incoming(survey_id))
        self.files.remove_tree(self.folders.survey(survey_id) / "frames")

    def sweep(self, now: datetime, unanalysed_days: int, part_hours: int = 48) -> list[str]:
        """Delete pictures past their date, of forgotten surveys, orphan folders, and what uploads
        left that nobody went on with for ``part_hours``.

        Returns the ids of surveys whose pictures went. A survey with an active job is left alone.
        """
        with self.store.session() as session:
            active = set(
                session.scalars(select(Job.survey_id).where(Job.state.in_(ACTIVE_JOB_STATES)))
            )
            done = set(session.scalars(select(Job.survey_id).where(Job.state == "done")))
            surveys = list(session.scalars(select(Survey)))
        for survey in surveys:
            if self.folders.deletion_mark(survey.id).exists():
                with suppress(NotFound):
                    self.delete(survey.id)
                surveys = [other for other in surveys if other is not survey]
        forgotten = now - timedelta(days=unanalysed_days)
        swept = []
        for survey in surveys:
            if survey.id in active or survey.pictures_deleted_at is not None:
                continue
            if survey.keep_until is not None:
                expired = survey.keep_until <= now
            else:
                expired = survey.id in done or survey.created_at <= forgotten
            if expired:
                self.delete_pictures(survey.id)
                swept.append(survey.id)
        self._remove_orphans({survey.id for survey in surveys})
        remove_leftovers(self.folders.root, (now - timedelta(hours=part_hours)).timestamp())
        return swept

    def _remove_orphans(self, known: Iterable[str]) -> None:
        root = self.folders.root / "surveys"
        known = set(known)
        for name in self.files.folders(root):
            if name in known:
                continue
            with self.store.session() as session:  # it may have been created a moment ago
                if session.get(Survey, name) is None:
                    self.files.remove_tree(root / name)


def find_survey(session: Session, survey_id: str) -> Survey:
    """The survey within a session. Raises :class:`NotFound`."""
    survey = session.get(Survey, survey_id) if _ID.fullmatch(survey_id) else None
    if survey is None:
        raise no_such_survey(survey_id)
    return survey


def no_such_survey(survey_id: str) -> NotFound:
    """Said alike of surveys that are not there and of those that the asker may not see."""
    return NotFound("There is no such survey; it may have been deleted.", survey=survey_id)
