"""Who sees a study where a login is required: its owner, and administrators.

To everybody else it is one that is not there. Where no login is required everybody sees all.
"""

from __future__ import annotations

import logging

from flask import Flask, request
from sqlalchemy import ColumnElement
from sqlalchemy.exc import SQLAlchemyError

from webapp.access.audit import record
from webapp.access.auth import logged_in
from webapp.database.study_tables import Study
from webapp.studies.catalog import find_study, no_such_study
from webapp.survey.sharing import confined_to, viewer
from webapp.web.open_database import database_of
from webapp.web.services import services, services_of

_log = logging.getLogger(__name__)


def visible() -> ColumnElement[bool] | None:
    """The condition that the present request may see a study; None: every one."""
    account_id = viewer()
    return None if account_id is None else Study.owner_id == account_id


def note(action: str, study: Study) -> None:
    """Add to the audit log who did what to a study; without a login there is nobody to name."""
    if not services().settings.require_login:
        return
    try:
        record(action, study.name, {"study": study.id})
    except SQLAlchemyError:  # what was done is done
        _log.exception("%s of the study %s is not in the audit log.", action, study.id)


def init_access(app: Flask) -> None:
    """Close every route that names a ``study_id`` to whoever may not see that study; those that
    are added later, too.
    """
    if not services_of(app).settings.require_login:
        return

    @app.before_request
    def refuse_strangers() -> None:
        study_id = (request.view_args or {}).get("study_id")
        who = None if study_id is None else logged_in()
        if who is not None and (account_id := confined_to(who)) is not None:
            with database_of(app).open().session() as session:
                if find_study(session, str(study_id)).owner_id != account_id:
                    raise no_such_study(str(study_id))
