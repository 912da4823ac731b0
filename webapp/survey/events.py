"""The ``/surveys`` namespace: a page asks to watch a survey and receives its progress.

Client to server
    ``watch({"survey": id})`` -> the progress now (or ``{"state": null}``), or an error
Server to client
    ``progress`` (:class:`webapp.survey.analysis.progress.Progress`), at most a few times a second
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import socketio
from flask import Flask

from webapp.access.gate import admission
from webapp.errors import InvalidRequest, MienError
from webapp.survey.analysis.progress import Progress
from webapp.survey.service import LazySurveys, Surveys

NAMESPACE = "/surveys"


class SurveyNamespace(socketio.Namespace):  # type: ignore[misc]
    """One room for each survey; its id cannot be guessed, so knowing it is the right to watch."""

    def __init__(self, lazy: LazySurveys, admit: Callable[[dict[str, Any], object], None]) -> None:
        super().__init__(NAMESPACE)
        self._admit = admit
        self._lazy = lazy
        lazy.on_open.append(self._listen)

    def _listen(self, opened: Surveys) -> None:
        opened.listeners.append(self.notify)

    def notify(self, progress: Progress) -> None:
        self.emit("progress", progress.to_json(), room=progress.survey)

    def on_connect(self, _sid: str, environ: dict[str, Any], auth: object = None) -> None:
        """Nothing is said before a survey is named."""
        try:
            self._admit(environ, auth)
        except MienError as error:
            refusal = socketio.exceptions.ConnectionRefusedError(error.message, error.to_json())
            raise refusal from error

    def on_disconnect(self, *_: Any) -> None:
        """Rooms are left by the library."""

    def on_watch(self, sid: str, request: Any = None, *_: Any) -> dict[str, Any]:
        survey = request.get("survey") if isinstance(request, dict) else None
        if not isinstance(survey, str) or len(survey) > 64:
            return InvalidRequest("Expected {survey: id}.").to_json()
        try:
            opened = self._lazy.open()
            opened.catalog.get(survey)
            self.enter_room(sid, survey)
            progress = opened.progress(survey)
        except MienError as error:
            return error.to_json()
        return {"state": None} if progress is None else progress.to_json()


def init_events(app: Flask, lazy: LazySurveys) -> None:
    """Add the namespace to the application's Socket.IO server."""
    admit = admission(app, "surveys:read")
    app.extensions["socketio"].server.register_namespace(SurveyNamespace(lazy, admit))
