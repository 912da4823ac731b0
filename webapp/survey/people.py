"""Who is in which file: named by a CSV, read from paths by a rule, or guessed for confirmation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.database.store import Store
from webapp.database.survey_tables import ACTIVE_JOB_STATES, Group, Job, Survey, Upload
from webapp.errors import Conflict, InvalidRequest
from webapp.files.kinds import IMAGE, VIDEO
from webapp.survey.catalog import find_survey
from webapp.survey.guess import Guess, guess_respondents
from webapp.survey.intake.receipts import Mapped
from webapp.survey.respondents import (
    RULES,
    Respondent,
    compile_pattern,
    endings_of,
    respondent_of,
)
from webapp.web.turns import beside_the_loop, taking_turns


class People:
    """The respondents of the surveys of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def map(self, survey_id: str, mapping: Mapping[str, Respondent]) -> Mapped:
        """Set the respondent of the files that a CSV names, by path, its end or the bare name.

        A name in the CSV may also begin further up than the path that was sent.

        Raises :class:`NotFound`, :class:`Conflict` while the survey is being analysed.
        """
        with self._store.session() as session:
            _idle(session, survey_id)
            matched, used = 0, set()
            longer = beside_the_loop(_by_ending, mapping)
            for row in _uploads(session, survey_id):
                endings = endings_of(row.path)
                found = next((name for name in endings if name in mapping), longer.get(endings[0]))
                if found is not None:
                    row.respondent = mapping[found].name
                    row.attributes = dict(mapping[found].attributes) or None
                    used.add(found)
                    matched += 1
            return Mapped(matched, tuple(name for name in mapping if name not in used))

    def set_rule(self, survey_id: str, rule: str, pattern: str = "") -> int:
        """Read respondents from the paths by another rule; returns how many files have one.

        Files that a CSV named keep their respondent. Raises :class:`InvalidRequest`,
        :class:`NotFound`, :class:`Conflict` while the survey is being analysed.
        """
        if rule not in RULES:
            raise InvalidRequest(f"Expected one of {RULES}. Received {rule!r}.", field="rule")
        if rule == "pattern":
            compile_pattern(pattern)
        with self._store.session() as session:
            survey = _idle(session, survey_id)
            before = survey.respondent_rule, survey.respondent_pattern
            survey.respondent_rule, survey.respondent_pattern = rule, pattern[:200]
            named = 0
            for row in _uploads(session, survey_id):
                if row.respondent in (None, respondent_of(row.path, *before)):
                    row.respondent = respondent_of(row.path, rule, pattern)
                named += row.respondent is not None
            return named

    def guess(self, survey_id: str) -> Guess | None:
        """Who is in the files as far as paths show; None where it is known already."""
        with self._store.session() as session:
            survey = find_survey(session, survey_id)
            return guess_of(session, survey)


def _by_ending(mapping: Mapping[str, Respondent]) -> dict[str, str]:
    """Names of a table, which begin on somebody's disk, by what they alone end in."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for name in mapping:
        for ending in endings_of(name)[1:]:
            if found.setdefault(ending, name) != name:
                twice.add(ending)
    return {ending: name for ending, name in found.items() if ending not in twice}


def guess_of(session: Session, survey: Survey) -> Guess | None:
    """As :meth:`People.guess`, within a session."""
    if survey.respondent_rule != "none":
        return None
    rows = session.execute(
        select(Upload.path, Upload.respondent).where(
            Upload.survey_id == survey.id, Upload.kind.in_((IMAGE, VIDEO))
        )
    ).all()
    if any(respondent for _, respondent in rows):
        return None
    groups = session.scalars(select(Group.name).where(Group.survey_id == survey.id)).all()
    return beside_the_loop(guess_respondents, [path for path, _ in rows], groups)


def _uploads(session: Session, survey_id: str) -> Iterator[Upload]:
    """The files of a survey; other requests are served between them, for there may be 50,000."""
    query = select(Upload).where(Upload.survey_id == survey_id).order_by(Upload.id)
    return taking_turns(session.scalars(query.execution_options(yield_per=200)))


def _idle(session: Session, survey_id: str) -> Survey:
    survey = find_survey(session, survey_id)
    active = select(Job.id).where(Job.survey_id == survey_id, Job.state.in_(ACTIVE_JOB_STATES))
    if session.scalar(active) is not None:
        raise Conflict("The survey is being analysed; wait for the end or cancel it.")
    return survey
