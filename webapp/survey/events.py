"""The ``/surveys`` namespace: a page asks to watch a survey and receives its progress.

Client to server
    ``watch({"survey": id})`` -> the progress now (or ``{"state": null}``), or an error
Server to client
    ``progress`` (:class:`webapp.survey.analysis.progress.Progress`), at most a few times a second
"""

from __future__ import annotations

from typing import Any

import socketio
from flask import Flask
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from webapp.access.auth import Principal
from webapp.access.connections import GuardedNamespace, connections_of
from webapp.access.gate import Admission, admission
from webapp.errors import InvalidRequest, MienError, NotFound, Unauthorized
from webapp.survey.analysis.progress import Progress
from webapp.survey.service import LazySurveys, Surveys
from webapp.survey.sharing import check_visible, confined_to
from webapp.web.http_errors import trouble_of
from webapp.web.services import services_of

NAMESPACE = "/surveys"


class SurveyNamespace(GuardedNamespace):
    """One room for each survey, which only whoever may see it enters.

    Where no login is required, knowing its id, which cannot be guessed, is the right to watch.
    """

    def __init__(self, app: Flask, lazy: LazySurveys, admit: Admission) -> None:
        super().__init__(NAMESPACE)
        self._app = app
        self._admit = admit
        self._lazy = lazy
        self._who: dict[str, Principal] = {}  # empty where no login is required
        lazy.on_open.append(self._listen)

    def _listen(self, opened: Surveys) -> None:
        opened.listeners.append(self.notify)

    def notify(self, progress: Progress) -> None:
        self.emit("progress", progress.to_json(), room=progress.survey)

    def on_connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        """Nothing is said before a survey is named."""
        try:
            who = self._admit(self, sid, environ, auth)
        except MienError as error:
            refusal = socketio.exceptions.ConnectionRefusedError(error.message, error.to_json())
            raise refusal from error
        if who is not None:
            self._who[sid] = who

    def on_disconnect(self, sid: str, *_: Any) -> None:
        """Rooms are left by the library."""
        self._who.pop(sid, None)

    def recheck(self, sid: str) -> None:
        """Leave the rooms of surveys that are not shared with this client any more."""
        for survey in set(self.rooms(sid)) - {sid}:
            try:
                self._check(sid, survey)
            except (NotFound, Unauthorized):
                self.leave_room(sid, survey)

    def _check(self, sid: str, survey: str) -> None:
        """Raises :class:`NotFound` for a survey that this client may not see."""
        account_id = None
        if services_of(self._app).settings.require_login:
            who = self._who.get(sid)
            if who is None or not connections_of(self._app).living({who}):
                raise Unauthorized("Your login or token has ended. Log in again.")
            account_id = confined_to(who)
        with self._lazy.open().store.session() as session:
            check_visible(session, survey, account_id)

    def on_watch(self, sid: str, request: Any = None, *_: Any) -> dict[str, Any]:
        survey = request.get("survey") if isinstance(request, dict) else None
        if not isinstance(survey, str) or len(survey) > 64:
            return InvalidRequest("Expected {survey: id}.").to_json()
        try:
            self._check(sid, survey)
            self.enter_room(sid, survey)
            progress = self._lazy.open().progress(survey)
        except MienError as error:
            return error.to_json()
        except (DBAPIError, NoConnectionFree, OSError) as error:
            return trouble_of(error).to_json()
        return {"state": None} if progress is None else progress.to_json()


def init_events(app: Flask, lazy: LazySurveys) -> None:
    """Add the namespace to the application's Socket.IO server."""
    admit = admission(app, "surveys:read")
    app.extensions["socketio"].server.register_namespace(SurveyNamespace(app, lazy, admit))
