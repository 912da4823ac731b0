"""Studies as a whole: make, change, open, close, link, delete."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from webapp.database.access_tables import Account
from webapp.database.base import utcnow
from webapp.database.locks import lock
from webapp.database.store import Store
from webapp.database.study_tables import Study, StudyParticipant, StudyStimulus
from webapp.errors import Conflict, InvalidRequest, NotFound
from webapp.files.storage import Files
from webapp.languages import N_, gettext
from webapp.studies.codes import new_link, origin_of
from webapp.studies.questions import clean_questions
from webapp.survey.purposes import check_purpose

PRESENTATIONS: Final = ("fixed", "random", "latin")
MAX_FIXATION_MS: Final = 5000
MAX_NOTICE: Final = 20_000
MAX_PEOPLE: Final = 100_000
MAX_KEEP_DAYS: Final = 3650
MAX_RETURN_HOSTS: Final = 20
# only while it is a draft: what people see must not change under those who took part
DRAFT_FIELDS: Final = ("presentation", "fixation_ms", "questions")
_ID: Final = re.compile(r"[0-9a-f]{32}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}")


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the stimuli of studies lie below the instance folder."""

    root: Path

    def study(self, study_id: str) -> Path:
        return self.root / "studies" / study_id

    def stimulus(self, study_id: str, stimulus_id: str) -> Path:
        """The folder of one; its file is ``content`` in it."""
        return self.study(study_id) / "stimuli" / stimulus_id

    def content(self, study_id: str, stimulus_id: str) -> Path:
        return self.stimulus(study_id, stimulus_id) / "content"

    def copies(self) -> Path:
        """Where a node keeps its own copies of what lies in a shared store."""
        return self.root / "studies-copies"

    def copy(self, stimulus_id: str) -> Path:
        return self.copies() / stimulus_id

    def incoming(self) -> Path:
        return self.root / "studies-incoming"


@dataclass(frozen=True, slots=True)
class Progress:
    """How many people began, and what became of them; previews are not counted."""

    started: int
    finished: int
    left: int
    withdrawn: int

    def to_json(self) -> dict[str, int]:
        return {
            "begun": self.started + self.finished + self.left,
            "running": self.started,
            "finished": self.finished,
            "left": self.left,
            "withdrawn": self.withdrawn,
        }


def is_id(text: str) -> bool:
    """Whether a study or stimulus can be called so; nothing else is asked of the database."""
    return _ID.fullmatch(text) is not None


def no_such_study(study_id: str) -> NotFound:
    """Said alike of studies that are not there and of those that the asker may not see."""
    return NotFound("There is no such study; it may have been deleted.", study=study_id)


def find_study(session: Session, study_id: str) -> Study:
    """The study within a session. Raises :class:`NotFound`."""
    study = session.get(Study, study_id) if is_id(study_id) else None
    if study is None:
        raise no_such_study(study_id)
    return study


def lock_study(session: Session, study_id: str) -> Study:
    """The study as it is now; others that want to change it wait for the transaction's end.

    A person's rows are locked after their study's, so that nobody waits in a circle. Raises
    :class:`NotFound`.
    """
    if not is_id(study_id):
        raise no_such_study(study_id)
    step = update(Study).where(Study.id == study_id).values(begun=Study.begun)
    session.execute(step.execution_options(synchronize_session=False))
    session.expire_all()
    return find_study(session, study_id)


def lock_people(session: Session, *which: ColumnElement[bool]) -> list[str]:
    """The ids of some participants, who are locked in the order in which batches of many people
    lock them.
    """
    query = select(StudyParticipant.id).where(*which).order_by(StudyParticipant.id)
    return list(session.scalars(query.with_for_update()))


def stimuli_of(session: Session, study_id: str) -> list[StudyStimulus]:
    """The stimuli in their order."""
    query = select(StudyStimulus).where(StudyStimulus.study_id == study_id)
    return list(session.scalars(query.order_by(StudyStimulus.position, StudyStimulus.id)))


def _text(value: Any, name: str, words: str, most: int, least: int = 0) -> str:
    """``words`` say in a message which field is meant."""
    text = value.strip() if isinstance(value, str) else None
    if text is None or not least <= len(text) <= most:
        raise InvalidRequest(
            f"Expected {words} as text of {least} to {most} characters.", field=name
        )
    return text


def _whole(value: Any, name: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidRequest(
            f"Expected {name} as a whole number from {low} to {high}. Received {str(value)[:40]}.",
            field=name,
        )
    return value


def _one_of(value: Any, name: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InvalidRequest(f"Expected {name} out of {', '.join(choices)}.", field=name)
    return str(value)


def _return_hosts(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_RETURN_HOSTS:
        raise InvalidRequest(
            f"Expected at most {MAX_RETURN_HOSTS} return addresses.", field="return_hosts"
        )
    made = []
    for one in value:
        origin = origin_of(one.strip()) if isinstance(one, str) else None
        if origin is None:
            raise InvalidRequest(
                "Expected each return address as https://host of the panel.", field="return_hosts"
            )
        made.append(origin)
    return list(dict.fromkeys(made))


def _end(value: Any) -> datetime | None:
    if value in (None, ""):
        return None
    if not isinstance(value, datetime):
        raise InvalidRequest("Expected ends_at as a date.", field="ends_at")
    if not utcnow() < value <= utcnow() + timedelta(days=MAX_KEEP_DAYS):
        raise InvalidRequest(
            "Expected an end in the future, at most ten years away.", field="ends_at"
        )
    return value


def _language(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 20 or not _LANGUAGE.fullmatch(value):
        raise InvalidRequest(
            "Expected the notice's language as a tag such as en or de-CH.", field="notice_language"
        )
    return value


_CLEAN: Final = {
    "name": lambda v: _text(v, "name", N_("the name"), 200, 1),
    "presentation": lambda v: _one_of(v, "presentation", PRESENTATIONS),
    "fixation_ms": lambda v: _whole(v, "fixation_ms", 0, MAX_FIXATION_MS),
    "notice_text": lambda v: _text(v, "notice_text", N_("the notice"), MAX_NOTICE),
    "notice_language": _language,
    "contact": lambda v: _text(v, "contact", N_("who is responsible"), 500),
    "target": lambda v: None if v is None else _whole(v, "target", 1, MAX_PEOPLE),
    "ends_at": _end,
    "keep_days": lambda v: _whole(v, "keep_days", 1, MAX_KEEP_DAYS),
    "return_hosts": _return_hosts,
    "questions": clean_questions,
}
FIELDS: Final = (*_CLEAN, "purpose", "purpose_text")


def _apply(study: Study, fields: dict[str, Any]) -> None:
    """Set checked fields; the notice's version counts up with what people agree to."""
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise InvalidRequest(f"A study has no field {unknown[0][:40]!r}.", field=unknown[0][:40])
    notice = (study.notice_text, study.notice_language, study.contact, study.keep_days)
    for name, value in fields.items():
        if name in _CLEAN:
            setattr(study, name, _CLEAN[name](value))
    if "purpose" in fields or "purpose_text" in fields:
        purpose = fields.get("purpose", study.purpose)
        words = fields.get("purpose_text", study.purpose_text) or ""
        if not isinstance(purpose, str) or not isinstance(words, str):
            raise InvalidRequest("Expected purpose and purpose_text as text.", field="purpose")
        check_purpose(purpose, words)
        study.purpose, study.purpose_text = purpose, words.strip()
    if notice != (study.notice_text, study.notice_language, study.contact, study.keep_days):
        study.notice_version += 1


class Catalog:
    """The studies of one store and where their stimuli lie."""

    def __init__(self, store: Store, instance: Path, files: Files) -> None:
        self.store = store
        self.folders = Folders(instance)
        self.files = files

    def create(self, fields: dict[str, Any], owner_id: int | None, most: int) -> Study:
        """Make a draft. Raises :class:`InvalidRequest`, :class:`Forbidden` for its purpose, and
        :class:`Conflict` beyond ``most`` studies of an owner.
        """
        study = Study(
            id=secrets.token_hex(16),
            owner_id=owner_id,
            state="draft",
            created_at=utcnow(),
            purpose="",
            purpose_text="",
            presentation="fixed",
            fixation_ms=0,
            notice_text="",
            notice_language="en",
            notice_version=0,
            contact="",
            keep_days=365,
            return_hosts=[],
            questions=clean_questions(None),
            completion_secret=secrets.token_urlsafe(24),
            begun=0,
            withdrawn=0,
        )
        _apply(study, {"name": None, "purpose": None} | fields)
        study.notice_version = 1
        with self.store.session() as session:
            lock(session, f"studies of {owner_id}")
            query = select(func.count()).where(Study.owner_id.is_not_distinct_from(owner_id))
            count = session.scalar(query) or 0
            if count >= most:
                raise Conflict(
                    f"There are {count} studies already, and {most} is the most. "
                    "Delete some first.",
                    limit=most,
                )
            session.add(study)
        return study

    def get(self, study_id: str) -> Study:
        """The study. Raises :class:`NotFound`."""
        with self.store.session() as session:
            return find_study(session, study_id)

    def rows(self, visible: ColumnElement[bool] | None = None, limit: int = 500) -> list[
        tuple[Study, str | None]
    ]:  # fmt: skip
        """The newest studies with their owners' names."""
        query = select(Study, Account.name).outerjoin(Account, Account.id == Study.owner_id)
        if visible is not None:
            query = query.where(visible)
        with self.store.session() as session:
            found = session.execute(query.order_by(Study.created_at.desc()).limit(limit))
            return [(study, owner) for study, owner in found]

    def change(self, study_id: str, fields: dict[str, Any]) -> Study:
        """Set fields. Raises :class:`InvalidRequest`, and :class:`Conflict` for what only a draft
        may change.
        """
        with self.store.session() as session:
            study = lock_study(session, study_id)
            fixed = [name for name in DRAFT_FIELDS if name in fields]
            if study.state != "draft" and fixed:
                raise Conflict(
                    f"{fixed[0]} can be changed in a draft only; people have this study's link.",
                    field=fixed[0],
                )
            _apply(study, fields)
            if study.state == "open":
                _check_complete(session, study)
            return study

    def open(self, study_id: str) -> Study:
        """Let people take part; makes a link where there is none. Raises :class:`Conflict` where
        something is missing.
        """
        with self.store.session() as session:
            study = lock_study(session, study_id)
            _check_complete(session, study)
            study.state, study.closed_at = "open", None
            study.opened_at = study.opened_at or utcnow()
            study.link = study.link or new_link()
            return study

    def close(self, study_id: str) -> Study:
        """Take nobody more; who has begun may finish. Raises :class:`Conflict` for a draft."""
        with self.store.session() as session:
            study = lock_study(session, study_id)
            if study.state == "draft":
                raise Conflict("This study was never opened.")
            study.state, study.closed_at = "closed", utcnow()
            return study

    def set_link(self, study_id: str, link: str | None) -> Study:
        """Replace the link, or revoke it with None."""
        with self.store.session() as session:
            study = lock_study(session, study_id)
            study.link = link
            return study

    def delete(self, study_id: str) -> None:
        """Remove the study, everybody's scores and the stimuli. Raises :class:`NotFound`."""
        with self.store.session() as session:
            study = lock_study(session, study_id)
            lock_people(session, StudyParticipant.study_id == study_id)
            session.delete(study)
        self.files.remove_tree(self.folders.study(study_id))

    def progress(self, study_ids: list[str]) -> dict[str, Progress]:
        """Of each study; those of no participant too."""
        counts: dict[tuple[str, str], int] = {}
        with self.store.session() as session:
            query = (
                select(StudyParticipant.study_id, StudyParticipant.state, func.count())
                .where(
                    StudyParticipant.study_id.in_(study_ids), StudyParticipant.preview.is_(False)
                )
                .group_by(StudyParticipant.study_id, StudyParticipant.state)
            )
            counts = {(study, state): n for study, state, n in session.execute(query)}
            rows = select(Study.id, Study.withdrawn).where(Study.id.in_(study_ids))
            withdrawn = {study: n for study, n in session.execute(rows)}
        return {
            study: Progress(
                counts.get((study, "started"), 0),
                counts.get((study, "finished"), 0),
                counts.get((study, "left"), 0),
                withdrawn.get(study, 0),
            )
            for study in study_ids
        }


def _check_complete(session: Session, study: Study) -> None:
    """Raise :class:`Conflict` with everything that a study lacks before people may see it."""
    lacks = []
    if not stimuli_of(session, study.id):
        lacks.append(N_("at least one picture or video"))
    if not study.notice_text:
        lacks.append(N_("the notice that people agree to"))
    if not study.contact:
        lacks.append(N_("whom people can write to"))
    if study.ends_at is not None and study.ends_at <= utcnow():
        lacks.append(N_("an end that has not passed"))
    if lacks:
        told = ", ".join(map(gettext, lacks))
        raise Conflict(f"Before it can be open this study needs {told}.", lacks=lacks)
