"""The ``/study`` namespace: frames of people who take part in a study are read, never kept.

Client to server
    connect with ``auth = {"code": text}``, the code of a participation that goes on
    ``frame(meta, jpeg)`` as in ``/live`` -> the same acknowledgement, with ``sample``: ``{"face":
    "one" | "none" | "several" | "turned", "quality": bool, "scores": [7] | null}``, or an error
    ``batch(body)``, a batch as over HTTP -> ``{"acknowledged": seq}`` once written, or an error
    ``here()`` -> ``{"workers"}`` as in ``hello``: the line is up, however long a frame waits
Server to client
    ``hello`` ``{model, workers, emotions, limits}`` once after connecting
    ``status`` ``{reason, message}`` before the server ends a connection: ``replaced`` (the same
    person has connected again), ``idle``, ``ended`` (finished or withdrawn) or ``stopping``

Scores are those of each frame alone: averages over time would come late. Every connection has one
frame in flight and the queue is first in, first out, so that all are served in turn: whoever has a
bad line lowers their own rate only. A frame may wait long for its turn: its time is that of its
capture.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from threading import Lock
from typing import Any

import socketio
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from webapp.access.connections import GuardedNamespace
from webapp.database.study_tables import StudyParticipant
from webapp.domain import EMOTIONS, TURNED_AWAY, FrameResult
from webapp.errors import (
    Conflict,
    DatabaseUnavailable,
    InferenceUnavailable,
    InvalidRequest,
    MienError,
    RateLimited,
    TooManySessions,
)
from webapp.live.hub import LiveHub
from webapp.live.limits import TokenBucket
from webapp.live.options import LiveOptions
from webapp.live.session import LiveSession
from webapp.studies.ingest import Programme, checked
from webapp.studies.service import LazyStudies
from webapp.web.http_errors import trouble_of
from webapp.web.services import Services

NAMESPACE = "/study"
WATCH_EVERY_S = 5.0
REPLACED = "This study was opened in another window."
# Who takes part sits alone before their own camera: another face may be seen a little later, on a
# busy machine later still.
SCAN_EVERY_S = 5.0
SCAN_EVERY = 10  # results, at least
_log = logging.getLogger(__name__)


def sample_of(result: FrameResult) -> dict[str, Any]:
    """What a batch says of one frame. Several faces have no scores: nobody knows whose they are."""
    if not result.faces:
        return {"face": "none", "quality": False, "scores": None}
    if len(result.faces) > 1:
        return {"face": "several", "quality": False, "scores": None}
    (face,) = result.faces
    turned = face.quality.advice == TURNED_AWAY
    return {
        "face": "turned" if turned else "one",
        "quality": face.quality.ok,
        "scores": [round(value, 4) for value in face.scores.values],
    }


@dataclass(frozen=True, slots=True)
class _Person:
    """Somebody's connection."""

    live: LiveSession
    programme: Programme
    requests: TokenBucket
    writing: Lock = field(default_factory=Lock)

    @property
    def participant(self) -> str:
        return self.programme.participant_id


class StudyNamespace(GuardedNamespace):
    """The connections of everybody who takes part now, one for each person."""

    def __init__(
        self,
        services: Services,
        lazy: LazyStudies,
        hub: LiveHub,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(NAMESPACE)
        settings = services.settings
        self._lazy = lazy
        self._hub = hub
        self._clock = clock
        own = replace(
            settings,
            live_max_fps=settings.study_max_fps,
            live_scan_every=max(SCAN_EVERY, settings.live_scan_every),
        )
        self._services = replace(services, settings=own)
        self._most = settings.study_max_connections
        self._sessions: dict[str, _Person] = {}
        self._joining, self._watching = Lock(), Lock()
        self._admitted = count()
        hub.observers.append(_Stopping(self))

    def trigger_event(self, event: str, *args: Any) -> Any:
        sid, *rest = args
        if event == "frame":
            return self._frame(sid, tuple(rest))
        if event == "batch":
            return self._batch(sid, tuple(rest))
        if event == "here":
            return {"workers": self._services.workers()}
        if event in ("connect", "disconnect"):
            return super().trigger_event(event, *args)
        return InvalidRequest(
            "Expected the event frame, batch or here. Received another one."
        ).to_json()

    def on_connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        try:
            self._join(sid, str(environ.get("REMOTE_ADDR", "unknown")), auth)
        except MienError as error:
            refusal = socketio.exceptions.ConnectionRefusedError(error.message, error.to_json())
            raise refusal from error
        if self._watching.acquire(blocking=False):
            self.server.start_background_task(self._watch)

    def _join(self, sid: str, address: str, auth: object) -> None:
        code = auth.get("code") if isinstance(auth, dict) else None
        if not isinstance(code, str):
            raise InvalidRequest('Expected auth as {"code": text}.')
        programme = self._programme(code)
        with self._joining:
            if self._hub.draining:
                raise TooManySessions("The server is stopping. Try again in a moment.")
            for other, person in list(self._sessions.items()):
                if person.participant == programme.participant_id:
                    self._end(other, "replaced", REPLACED)
            if len(self._sessions) >= self._most:
                raise TooManySessions(
                    f"{self._most} people take part at this moment. Try again in a few minutes.",
                    limit=self._most,
                )
            settings = self._services.settings
            session = LiveSession(
                self._services,
                address,
                self._clock,
                scan_phase=next(self._admitted),
                scan_every_s=SCAN_EVERY_S,
                priority="study",
            )
            session.options = LiveOptions(smoothing=False)
            per_s = settings.study_requests_per_minute / 60
            bucket = TokenBucket(per_s, max(1.0, 10 * per_s), self._clock)
            self._take_over(sid, programme.participant_id)
            self._sessions[sid] = _Person(session, programme, bucket)
        hello = {
            "model": self._services.inference.version,
            "workers": self._services.workers(),
            "emotions": list(EMOTIONS),
            "limits": {
                "max_frame_bytes": settings.max_frame_bytes,
                "max_fps": settings.study_max_fps,
                "idle_timeout_s": settings.live_idle_timeout_s,
            },
        }
        self.emit("hello", hello, to=sid, ignore_queue=True)

    def _take_over(self, sid: str, participant: str) -> None:
        """A connection of the same person on another node ends at that node's next look."""
        step = update(StudyParticipant).where(StudyParticipant.id == participant)
        try:
            with self._lazy.open().store.session() as session:
                session.execute(step.values(connection=sid))
        except SQLAlchemyError as error:
            raise DatabaseUnavailable("The connection cannot be noted now; try again.") from error

    def _programme(self, code: str) -> Programme:
        try:
            opened = self._lazy.open()
            with opened.store.session() as session:
                participant, _ = opened.participants.of_code(session, code)
                if participant.state != "started":
                    raise Conflict("This participation has ended.", state=participant.state)
                return opened.ingest.programme(session, participant)
        except SQLAlchemyError as error:
            raise DatabaseUnavailable("Your code cannot be checked now; try again.") from error

    def on_disconnect(self, sid: str, *_: Any) -> None:
        self._sessions.pop(sid, None)

    def _frame(self, sid: str, args: tuple[Any, ...]) -> dict[str, Any]:
        """The acknowledgement of one frame: a result or an error, never an exception."""
        started = self._clock()
        metrics = self._services.metrics
        try:
            if self._hub.draining:
                raise InferenceUnavailable("The server is stopping.")
            result = self._person(sid).live.analyze(args)
        except MienError as error:
            metrics.failed("study", error.code)
            return error.to_json()
        except Exception:  # noqa: BLE001  (whatever it is, it costs this frame and no more)
            _log.exception("A frame of a study could not be answered.")
            metrics.failed("study", MienError.code)
            return MienError("Something went wrong on our side with this frame.").to_json()
        metrics.answered("study", self._clock() - started)
        return {**result.to_json(), "sample": sample_of(result)}

    def _person(self, sid: str) -> _Person:
        person = self._sessions.get(sid)
        if person is None:
            raise InvalidRequest("This connection is closed. Connect again.")
        return person

    def _batch(self, sid: str, args: tuple[Any, ...]) -> dict[str, Any]:
        """The acknowledgement of one batch once it is written, or an error."""
        try:
            person = self._person(sid)
            wait_s = person.requests.take()
            if wait_s or not person.writing.acquire(blocking=False):
                raise RateLimited(
                    "Expected one batch at a time, and about one a second.",
                    retry_after_ms=max(1000, round(wait_s * 1000)),
                )
            try:
                if len(args) != 1 or not isinstance(args[0], dict):
                    raise InvalidRequest("Expected one batch as an object.")
                batch = checked(person.programme, args[0])
                return {"acknowledged": self._lazy.open().together.write(batch)}
            finally:
                person.writing.release()
        except MienError as error:
            return error.to_json()
        except (DBAPIError, NoConnectionFree, OSError) as error:
            return trouble_of(error).to_json()
        except Exception:  # noqa: BLE001  (whatever it is, it costs this batch and no more)
            _log.exception("A batch of a study could not be written.")
            return MienError("Something went wrong on our side with this batch.").to_json()

    def _end(self, sid: str, reason: str, message: str) -> None:
        self._sessions.pop(sid, None)
        self.emit("status", {"reason": reason, "message": message}, to=sid, ignore_queue=True)
        self.end(sid)

    def look(self) -> None:
        """End who is idle, who has connected to another node, and whose participation has ended
        or was withdrawn, on whatever node.
        """
        limit_s = self._services.settings.live_idle_timeout_s
        with self._joining:
            now = dict(self._sessions)
        with self._lazy.open().store.session() as session:
            query = select(StudyParticipant.id, StudyParticipant.connection).where(
                StudyParticipant.id.in_({person.participant for person in now.values()}),
                StudyParticipant.state == "started",
            )
            newest = {participant: connection for participant, connection in session.execute(query)}
        for sid, person in now.items():
            if sid not in self._sessions:
                continue
            if person.participant not in newest:
                self._end(sid, "ended", "This participation has ended.")
            elif newest[person.participant] != sid:
                self._end(sid, "replaced", REPLACED)
            elif person.live.idle_s > limit_s and not person.live.busy:
                self._end(sid, "idle", f"No frame for {limit_s} s.")

    def _watch(self) -> None:
        while True:
            try:
                while self._sessions:
                    self.server.sleep(WATCH_EVERY_S)
                    try:
                        self.look()
                    except Exception:  # noqa: BLE001  (the next look may go well)
                        _log.exception("The connections of studies could not be watched.")
            finally:
                self._watching.release()
            if not self._sessions or not self._watching.acquire(blocking=False):
                return

    def stop(self) -> None:
        """The server stops: say so and end."""
        for sid in list(self._sessions):
            self._end(sid, "stopping", "The server is stopping.")


class _Stopping:
    """Hears from the hub of the live connections that the server stops; the rest is not ours."""

    def __init__(self, namespace: StudyNamespace) -> None:
        self.stop = namespace.stop

    def on_result(self, sid: str, result: FrameResult) -> None:
        """A live result."""

    def on_disconnect(self, sid: str, clean_close: bool) -> None:
        """A live connection ended."""


def init_events(app: Flask, services: Services, lazy: LazyStudies) -> StudyNamespace:
    """Add the namespace to the application's Socket.IO server."""
    hub: LiveHub = app.extensions["mien.live"]
    namespace = StudyNamespace(services, lazy, hub)
    app.extensions["socketio"].server.register_namespace(namespace)
    app.extensions["mien.study.namespace"] = namespace
    return namespace
