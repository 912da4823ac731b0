"""Who sees a survey where a login is required: its owner, whom they invited, and administrators.

Whoever may not see a survey gets the answer of one that is not there. Where no login is required,
everybody sees all of them and nothing here has any effect.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Flask, request
from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from webapp.access import accounts
from webapp.access.audit import record
from webapp.access.auth import Principal, logged_in, principal
from webapp.database.access_tables import ADMIN, Account
from webapp.database.locks import lock
from webapp.database.store import Store
from webapp.database.survey_tables import Survey, SurveyShare
from webapp.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unauthorized
from webapp.survey.catalog import find_survey, no_such_survey
from webapp.web.open_database import database_of
from webapp.web.services import services, services_of

MAX_SHARES = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who was invited to a survey."""

    name: str
    since: datetime


def confined_to(who: Principal) -> int | None:
    """The account whose surveys are all that ``who`` sees; None for administrators."""
    return None if who.role == ADMIN else who.account_id


def viewer() -> int | None:
    """The account whose surveys are all that the present request sees; None: every survey.

    Raises :class:`Unauthorized` where a login is required and nobody is known.
    """
    if not services().settings.require_login:
        return None
    who = principal()
    if who is None:
        raise Unauthorized("Log in first.")
    return confined_to(who)


def owner_of_new() -> int | None:
    """Whose a survey is that the present request makes; None where no login is required."""
    who = principal() if services().settings.require_login else None
    return None if who is None else who.account_id


def visible_to(account_id: int) -> ColumnElement[bool]:
    """The condition that a survey is the account's own or shared with it."""
    shared = select(SurveyShare.survey_id).where(SurveyShare.account_id == account_id)
    return or_(Survey.owner_id == account_id, Survey.id.in_(shared))


def check_visible(session: Session, survey_id: str, account_id: int | None) -> Survey:
    """The survey, if that account may see it; None stands for whoever sees all.

    Raises :class:`NotFound`, the same whether it is another's or not there.
    """
    survey = find_survey(session, survey_id)
    if account_id is not None:
        seen = select(Survey.id).where(Survey.id == survey_id, visible_to(account_id))
        if session.scalar(seen) is None:
            raise no_such_survey(survey_id)
    return survey


def guests(session: Session, survey_id: str) -> Sequence[Guest]:
    """Who was invited to a survey, by name."""
    query = (
        select(Account.name, SurveyShare.created_at)
        .join(Account, Account.id == SurveyShare.account_id)
        .where(SurveyShare.survey_id == survey_id)
        .order_by(Account.name)
    )
    return [Guest(name, since) for name, since in session.execute(query)]


def owner_name(session: Session, survey: Survey) -> str | None:
    owner = None if survey.owner_id is None else session.get(Account, survey.owner_id)
    return None if owner is None else owner.name


def may_share(survey: Survey, account_id: int | None) -> bool:
    """Whether an account, or None for an administrator, says who else sees a survey."""
    closed = services().settings.require_login
    return closed and (account_id is None or survey.owner_id == account_id)


def _shareable(session: Session, survey_id: str, account_id: int | None) -> Survey:
    if not services().settings.require_login:
        raise Conflict("Everybody who reaches this server sees every survey: no login is required.")
    survey = check_visible(session, survey_id, account_id)
    if not may_share(survey, account_id):
        raise Forbidden("Only the survey's owner, or an administrator, says who else sees it.")
    return survey


def share(store: Store, survey_id: str, name: str, account_id: int | None) -> None:
    """Invite the account of that name; inviting it again changes nothing.

    Raises :class:`NotFound`, :class:`Forbidden`, :class:`InvalidRequest`, :class:`Conflict`.
    """
    try:
        with store.session() as session:
            lock(session, f"guests of {survey_id}")
            survey = _shareable(session, survey_id, account_id)
            guest = accounts.find(session, accounts.check_name(name))
            if guest is None:
                raise NotFound("There is no account of that name.", name=name)
            if guest.id == survey.owner_id:
                raise InvalidRequest(f"{guest.name} is the survey's owner.", field="name")
            if session.get(SurveyShare, (survey_id, guest.id)) is not None:
                return
            if len(guests(session, survey_id)) >= MAX_SHARES:
                raise Conflict(f"Expected at most {MAX_SHARES} people in one survey.")
            session.add(SurveyShare(survey_id=survey_id, account_id=guest.id))
    except IntegrityError:  # somebody else has invited them in this moment, or deleted the survey
        with store.session() as session:
            check_visible(session, survey_id, account_id)


def unshare(store: Store, survey_id: str, name: str, account_id: int | None) -> None:
    """Take an invitation back; guests may take back their own.

    Raises :class:`NotFound`, :class:`Forbidden`, :class:`Conflict`.
    """
    with store.session() as session:
        guest = accounts.find(session, accounts.check_name(name))
        if guest is None or guest.id != account_id:
            _shareable(session, survey_id, account_id)
        if guest is None or session.get(SurveyShare, (survey_id, guest.id)) is None:
            raise NotFound("The survey is not shared with an account of that name.")
        session.execute(
            delete(SurveyShare).where(
                SurveyShare.survey_id == survey_id, SurveyShare.account_id == guest.id
            )
        )


def note(action: str, survey: Survey, detail: dict[str, str] | None = None) -> None:
    """Add to the audit log who did what to a survey; without a login there is nobody to name.

    What was done is done: a log that cannot be written is no reason to answer with an error.
    """
    if not services().settings.require_login:
        return
    try:
        record(action, survey.name, {"survey": survey.id} | (detail or {}))
    except SQLAlchemyError:
        _log.exception("%s of the survey %s is not in the audit log.", action, survey.id)


def init_sharing(app: Flask) -> None:
    """Close every route that names a ``survey_id`` to whoever may not see that survey.

    It holds for routes that are added later, too. Who is not known is refused by the gate.
    """
    if not services_of(app).settings.require_login:
        return

    @app.before_request
    def refuse_strangers() -> None:
        survey_id = (request.view_args or {}).get("survey_id")
        who = None if survey_id is None else logged_in()
        if who is not None and (account_id := confined_to(who)) is not None:
            with database_of(app).open().session() as session:
                check_visible(session, str(survey_id), account_id)
