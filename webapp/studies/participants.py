"""People who take part: they agree and begin, go on after a pause, answer, finish, or withdraw.

The link is the right to begin, the code that beginning gives is the right to go on, and the
withdrawal code deletes everything of one person at any time.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from webapp.database.base import utcnow
from webapp.database.store import Store
from webapp.database.study_tables import Study, StudyBatch, StudyParticipant, StudyStimulus
from webapp.errors import Conflict, Gone, InvalidRequest, NotFound, Unauthorized
from webapp.settings import Settings
from webapp.studies import codes
from webapp.studies.catalog import find_study, lock_people, lock_study, stimuli_of
from webapp.studies.orders import order_of
from webapp.studies.questions import PLACES, clean_answers, missing

DEVICES: Final = ("desktop", "phone")
SHOWN: Final = ("ended", "skipped")
RUNNING: Final = timedelta(minutes=30)  # who was seen so lately still holds a place of the target
MAX_COLUMNS, MAX_COLUMN, MAX_VALUE = 20, 40, 200
MAX_CHECK: Final = 2000


@dataclass(frozen=True, slots=True)
class Begin:
    """What somebody sends to begin; ``return_url`` is kept only where the study allows it."""

    notice_version: int
    consent: bool
    device: str = "desktop"
    pid: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    return_url: str | None = None
    preview: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """A participation as it begins: the codes are told this once and are stored as hashes."""

    study: Study
    participant: StudyParticipant
    stimuli: list[StudyStimulus]
    code: str
    withdrawal_code: str


def notice_hash(study: Study) -> str:
    """SHA-256 of what somebody agrees to: the text, whom to write to, and how long it is kept."""
    told = [study.notice_text, study.contact, study.keep_days, study.notice_language]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()


def no_such_code() -> Unauthorized:
    """Nobody has this code, or what it was for is gone."""
    return Unauthorized("This code is not valid; the participation may have been deleted.")


def clean_columns(given: Any) -> dict[str, str]:
    """Values of the link's query. Raises :class:`InvalidRequest`."""
    if given is None:
        return {}
    if not isinstance(given, dict) or len(given) > MAX_COLUMNS:
        raise InvalidRequest(f"Expected at most {MAX_COLUMNS} columns.", field="columns")
    for name, value in given.items():
        if not isinstance(value, str) or not 1 <= len(name) <= MAX_COLUMN or len(value) > MAX_VALUE:
            raise InvalidRequest(
                f"Expected columns with names of at most {MAX_COLUMN} and text of at most "
                f"{MAX_VALUE} characters.",
                field="columns",
            )
    return {name: value for name, value in given.items() if value}


class Participants:
    """Everybody who takes part in the studies of one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def open_study(self, link: str) -> Study:
        """The study behind a link, if somebody may begin it now.

        Raises :class:`NotFound` for an unknown or revoked link and :class:`Gone` for a study that
        is closed, over or full.
        """
        with self._store.session() as session:
            study = self._by_link(session, link)
            self._check_open(session, study)
            return study

    @staticmethod
    def _by_link(session: Session, link: str) -> Study:
        known = 20 <= len(link) <= 64 and link.isascii() and link.isprintable()
        study = session.scalar(select(Study).where(Study.link == link)) if known else None
        if study is None:
            raise NotFound("This link leads to no study; it may have been withdrawn.")
        return study

    def _check_open(self, session: Session, study: Study) -> None:
        if study.state != "open":
            raise Gone("This study is closed. Thank you for your interest.", reason="closed")
        if study.ends_at is not None and study.ends_at <= utcnow():
            raise Gone("This study has ended. Thank you for your interest.", reason="ended")
        most = min(study.target or 10**9, self._settings.study_max_participants)
        taken = session.scalar(
            select(func.count()).where(
                StudyParticipant.study_id == study.id,
                StudyParticipant.preview.is_(False),
                or_(
                    StudyParticipant.state == "finished",
                    and_(
                        StudyParticipant.state == "started",
                        StudyParticipant.seen_at > utcnow() - RUNNING,
                    ),
                ),
            )
        )
        if (taken or 0) >= most:
            raise Gone("Enough people have taken part. Thank you for your interest.", reason="full")

    def begin(self, link: str, given: Begin) -> Begun:
        """Begin behind a link. Raises :class:`NotFound`, :class:`Gone`, :class:`InvalidRequest`,
        and :class:`Conflict` where the notice has changed since it was read.
        """
        with self._store.session() as session:
            study = self._by_link(session, link)
            if not given.preview:
                lock_study(session, study.id)  # places are counted under it
                study = self._by_link(session, link)
                study.begun += 1
            self._check_open(session, study)
            return self._begin(session, study, given)

    def preview(self, study_id: str) -> Begun:
        """A run of the researcher's own, of a study in any state; it enters no report."""
        with self._store.session() as session:
            study = find_study(session, study_id)
            given = Begin(study.notice_version, True, preview=True)
            return self._begin(session, study, given)

    def _begin(self, session: Session, study: Study, given: Begin) -> Begun:
        if not given.consent:
            raise InvalidRequest("Taking part needs your consent.", field="consent")
        if given.notice_version != study.notice_version:
            raise Conflict(
                "The notice has changed. Load the page again and read it.",
                notice_version=study.notice_version,
            )
        if given.device not in DEVICES:
            raise InvalidRequest(f"Expected device out of {DEVICES}.", field="device")
        stimuli = stimuli_of(session, study.id)
        if not stimuli:
            raise Conflict("This study shows nothing yet.")
        number = -1 - secrets.randbelow(2**31 - 2) if given.preview else study.begun
        code, withdrawal = codes.new_code(), codes.new_withdrawal_code()
        asked = codes.origin_of(given.return_url) if given.return_url else None
        allowed = asked is not None and asked in study.return_hosts
        participant = StudyParticipant(
            id=secrets.token_hex(16),
            study_id=study.id,
            number=number,
            code_sha256=codes.hash_of(code),
            withdrawal_sha256=codes.withdrawal_hash(withdrawal),
            pid=given.pid,
            columns=given.columns,
            order=order_of(study.presentation, [one.id for one in stimuli], max(0, number - 1)),
            shown={},
            state="started",
            consent_at=utcnow(),
            notice_version=study.notice_version,
            notice_sha256=notice_hash(study),
            device=given.device,
            checks={},
            answers={},
            return_url=given.return_url if allowed else None,
            preview=given.preview,
            last_seq=0,
            samples=0,
        )
        session.add(participant)
        return Begun(study, participant, stimuli, code, withdrawal)

    def of_code(self, session: Session, code: str) -> tuple[StudyParticipant, Study]:
        """Whose code it is. Raises :class:`Unauthorized`."""
        row = None
        if 20 <= len(code) <= 100 and code.isascii():
            query = (
                select(StudyParticipant, Study)
                .join(Study, Study.id == StudyParticipant.study_id)
                .where(StudyParticipant.code_sha256 == codes.hash_of(code))
            )
            row = session.execute(query).first()
        if row is None:
            raise no_such_code()
        return row[0], row[1]

    @contextmanager
    def _locked(self, code: str) -> Iterator[tuple[Session, StudyParticipant, Study]]:
        """A transaction in which nobody else changes this participation: what two requests at
        once change, on whatever node, is changed one after the other.
        """
        with self._store.session() as session:
            step = update(StudyParticipant).where(
                StudyParticipant.code_sha256 == codes.hash_of(code)
            )
            session.execute(step.values(last_seq=StudyParticipant.last_seq))
            yield session, *self.of_code(session, code)

    @contextmanager
    def acting(self, code: str) -> Iterator[tuple[Session, StudyParticipant, Study]]:
        """A transaction in which somebody goes on. Raises :class:`Unauthorized` and, after the
        end, :class:`Conflict`.
        """
        with self._locked(code) as (session, participant, study):
            if participant.state != "started":
                raise Conflict("This participation has ended.", state=participant.state)
            participant.seen_at = utcnow()
            yield session, participant, study

    def answer(self, code: str, answers: Any) -> None:
        """Keep answers beside those given before. Raises :class:`InvalidRequest`."""
        with self.acting(code) as (_, participant, study):
            fits = clean_answers(answers, study.questions)
            participant.answers = {
                name: value
                for name, value in {**participant.answers, **fits}.items()
                if value is not None
            }

    def check(self, code: str, found: Any) -> None:
        """Keep what the check of the camera found: a small flat object."""
        flat = isinstance(found, dict) and all(
            isinstance(value, (str, int, float, bool, type(None))) for value in found.values()
        )
        if not flat or len(json.dumps(found)) > MAX_CHECK:
            raise InvalidRequest(
                f"Expected a flat object of at most {MAX_CHECK} characters.", field="check"
            )
        with self.acting(code) as (_, participant, _study):
            participant.checks = found

    def shown(self, code: str, stimulus_id: str, how: Any) -> None:
        """A stimulus has ended, or was skipped; said again, the first word counts."""
        if how not in SHOWN:
            raise InvalidRequest(f"Expected how out of {SHOWN}.", field="how")
        with self.acting(code) as (_, participant, _study):
            if stimulus_id not in participant.order:
                raise NotFound("There is no such stimulus in this study.")
            if stimulus_id not in participant.shown:
                participant.shown = {**participant.shown, stimulus_id: how}

    def finish(self, code: str) -> tuple[str | None, str | None]:
        """End; ``(return address, completion code)``, the same when asked again.

        Raises :class:`Conflict` with what is still to be shown or answered.
        """
        with self._locked(code) as (_, participant, study):
            if participant.state == "left":
                raise Conflict("This participation has ended.", state="left")
            if participant.state == "started":
                left = [one for one in participant.order if one not in participant.shown]
                open_questions = [
                    one for place in PLACES
                    for one in missing(study.questions, place, participant.answers)
                ]  # fmt: skip
                if left or open_questions:
                    raise Conflict(
                        "Something is still to be shown or answered.",
                        stimuli=left,
                        questions=open_questions,
                    )
                participant.state = "finished"
                participant.finished_at = participant.seen_at = utcnow()
            if participant.preview:
                return None, None
            who = participant.pid or participant.id
            completion = codes.completion_code(study.completion_secret, who)
            address = participant.return_url
            if address is not None:
                address = codes.with_query(address, pid=who, code=completion)
            return address, completion

    def leave(self, code: str) -> None:
        """End before the end; what was read until now stays until it is withdrawn."""
        with self.acting(code) as (_, participant, _study):
            participant.state = "left"

    def withdraw(self, withdrawal_code: str) -> None:
        """Delete everything of one person. Raises :class:`NotFound`."""
        hashed = codes.withdrawal_hash(withdrawal_code)
        with self._store.session() as session:
            query = select(StudyParticipant).where(StudyParticipant.withdrawal_sha256 == hashed)
            participant = session.scalar(query)
            study = lock_study(session, participant.study_id) if participant else None
            participant = session.scalar(query)  # two requests may have come at once
            if participant is None or study is None:
                raise NotFound("Nothing is stored under this code; it may be deleted already.")
            if not participant.preview:
                study.withdrawn += 1
            _delete(session, [participant.id])
        forget(self._store)

    def sweep(self, now: datetime) -> int:
        """Delete what is past its study's days, and old previews; mark who has left. How many
        people were deleted.
        """
        idle = now - timedelta(hours=self._settings.study_resume_hours)
        row = StudyParticipant
        silent = and_(row.state == "started", row.seen_at < idle)
        with self._store.session() as session:
            studies = list(session.execute(select(Study.id, Study.keep_days)))
        gone = 0
        for study_id, days in studies:
            expired = or_(
                row.created_at < now - timedelta(days=days),
                and_(row.preview.is_(True), row.seen_at < idle),
            )
            gone += self._sweep_study(study_id, silent, expired)
        forget(self._store)  # of what a reader held back until now, too
        return gone

    def _sweep_study(
        self, study_id: str, silent: ColumnElement[bool], expired: ColumnElement[bool]
    ) -> int:
        here = StudyParticipant.study_id == study_id
        with self._store.session() as session:
            if not session.scalar(select(exists().where(here, or_(silent, expired)))):
                return 0
            try:
                lock_study(session, study_id)
            except NotFound:  # it was deleted meanwhile
                return 0
            lock_people(session, here, or_(silent, expired))
            left = update(StudyParticipant).where(here, silent).values(state="left")
            session.execute(left.execution_options(synchronize_session=False))
            ids = lock_people(session, here, expired)
            _delete(session, ids)
        return len(ids)


def _delete(session: Session, ids: list[str]) -> None:
    for start in range(0, len(ids), 200):
        some = ids[start : start + 200]
        session.execute(delete(StudyBatch).where(StudyBatch.participant_id.in_(some)))
        session.execute(delete(StudyParticipant).where(StudyParticipant.id.in_(some)))


def forget(store: Store) -> None:
    """Take what was deleted out of SQLite's journal too; other databases have ways of their own.

    A reader that is at work keeps the journal until the next sweep tries again.
    """
    if store.engine.dialect.name == "sqlite":
        with store.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
