"""``GET /api/v1/mood/<code>``: a shared mood as Server-Sent Events, or once as JSON.

Each listener is one open answer. It waits on an event, so under eventlet it costs a greenlet and
holds up nobody; a heartbeat keeps proxies from cutting it and tells us when the peer has gone.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from webapp.access.auth import principal
from webapp.access.connections import Open, connections_of
from webapp.api import openapi
from webapp.api.schemas import schema
from webapp.errors import NotFound
from webapp.mood.board import MoodBoard, Share
from webapp.web.extensions import limiter
from webapp.web.headers import allowed_origins
from webapp.web.services import services

EXTENSION = "mien.mood"
RETRY_MS = 3000  # how long a client waits before it connects again
blueprint = Blueprint("mood", __name__, url_prefix="/api/v1/mood")

OPERATION = {
    "operationId": "moodStream",
    "tags": ["mood"],
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The last event's id, sent by clients that connect again: the state "
            "is repeated only where it has changed since.",
            "schema": {"type": "string"},
        }
    ],
    "responses": {
        "200": {
            "description": "Events `mood` with a Mood as data, and one `end` before the stream "
            "closes. With `Accept: application/json` the mood as it is now.",
            "content": {
                "text/event-stream": {"schema": {"type": "string"}},
                "application/json": {"schema": schema("Mood")},
            },
        },
        **openapi.errors(404, 429, 503),
    },
}


class EventListener:
    """One open stream: remembers only that there is something new."""

    def __init__(self) -> None:
        self._news = threading.Event()
        self.left = False
        self._logged_out = False

    def log_out(self) -> None:
        """End the stream: the login or token that opened it has ended."""
        self._logged_out = True
        self._news.set()

    def changed(self, share: Share) -> None:
        self._news.set()

    def ended(self, share: Share, reason: str) -> None:
        self._news.set()

    def events(self, share: Share, seen: int | None, heartbeat_s: float) -> Iterator[str]:
        """The stream's text from after event ``seen`` until the share ends."""
        yield f"retry: {RETRY_MS}\n\n"
        while True:
            self._news.clear()
            # the end first: whoever turned sharing off is not read a moment longer
            reason, number, mood = share.ended, share.number, share.mood
            if self._logged_out:
                reason = "logged_out"
            if reason is not None:
                yield _event("end", {"reason": reason})
                return
            if mood is not None and number != seen:
                seen = number
                yield _event("mood", mood, number)
            elif not self._news.wait(heartbeat_s):
                yield ": heartbeat\n\n"


def _event(name: str, data: dict[str, Any], number: int | None = None) -> str:
    identity = "" if number is None else f"id: {number}\n"
    return f"{identity}event: {name}\ndata: {json.dumps(data)}\n\n"


def board() -> MoodBoard:
    """The board of the application that handles the present request."""
    found: MoodBoard = current_app.extensions[EXTENSION]
    return found


def _limit() -> str:
    return f"{services().settings.mood_rate_per_minute} per minute"


@blueprint.get("/<code>")
@limiter.limit(_limit)
@openapi.operation(OPERATION)
def stream(code: str) -> ResponseReturnValue:
    """The settled mood that the person at the camera shares under a code."""
    wants = request.accept_mimetypes.best_match(["text/event-stream", "application/json"])
    if wants == "application/json":
        mood = board().find(code).mood
        if mood is None:
            raise NotFound("This mood has not settled yet. Ask again in a few seconds.")
        return _private(jsonify(mood))
    used = board()
    listener = EventListener()
    share = used.listen(code, listener)
    who = principal() if services().settings.require_login else None
    if who is not None:
        connections_of(current_app).add(Open(who, lambda: not listener.left, listener.log_out))
    seen = request.headers.get("Last-Event-ID", type=int)
    heartbeat_s: float = services().settings.mood_heartbeat_s
    answer = Response(
        listener.events(share, seen, heartbeat_s),
        mimetype="text/event-stream",
    )
    answer.call_on_close(lambda: _left(used, share, listener))
    answer.headers["X-Accel-Buffering"] = "no"
    return _private(answer)


def _left(used: MoodBoard, share: Share, listener: EventListener) -> None:
    listener.left = True
    used.leave(share, listener)


def _private(answer: Response) -> Response:
    """Kept in no cache; read by pages of the allowed origins and of our own only."""
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Vary"] = "Origin, Accept"
    origin = request.headers.get("Origin", "")
    if origin.lower() in allowed_origins(services().settings):
        answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer
