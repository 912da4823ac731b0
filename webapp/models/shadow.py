"""A candidate beside the serving version: it sees a share of the live frames, or a survey's kept
pictures, and its answers are compared and shown to nobody else.

The candidate runs in a worker process of its own that only gets the processor when nobody else
wants it. Live frames are offered to it and never wait: where it is still busy, or live frames
waited themselves, the offer is dropped and counted.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from flask import Flask
from sqlalchemy import select

from webapp.database.survey_tables import Survey, Upload
from webapp.domain import THOROUGH, FrameResult, ReadRequest
from webapp.errors import Conflict, InvalidRequest, MienError, NotFound
from webapp.files import atomic
from webapp.files.kinds import IMAGE
from webapp.inference.client import InferenceService
from webapp.languages import N_
from webapp.models.registry import ModelVersion, Registry
from webapp.models.tally import Tally
from webapp.settings import Settings
from webapp.survey.service import surveys_of
from webapp.web.services import services_of

OFFERS: Final = 2
RUNNING: Final = ("starting", "running")
CALM_WAIT_MS: Final = 30.0
KEPT_RESULTS: Final = 20
START_TIMEOUT_MS: Final = 120_000  # it gives way while it starts, too
MAX_MINUTES: Final = 24 * 60
_log = logging.getLogger("mien.shadow")
# what a picture that is held looks like in the table of uploads
_HELD: Final = (Upload.kind == IMAGE, Upload.refused.is_(None), Upload.content_key.is_not(None))
Record = Callable[[str, str, dict[str, Any], str], None]


@dataclass
class Trial:
    """One candidate beside one active version. ``source`` is ``live`` or ``survey``."""

    id: str
    candidate: str
    active: str
    source: str
    by: str
    began: str
    minutes: float
    share: float = 1.0
    survey: str = ""
    survey_name: str = ""
    total: int | None = None
    state: str = "starting"
    reason: str = ""
    ended: str = ""
    tally: Tally = field(default_factory=Tally)
    stop: threading.Event = field(default_factory=threading.Event)

    def to_json(self) -> dict[str, Any]:
        names = ("id", "candidate", "active", "source", "by", "began", "ended", "minutes", "share",
                 "survey", "survey_name", "total", "state", "reason")  # fmt: skip
        return {name: getattr(self, name) for name in names} | self.tally.to_json()


class Shadow:
    """At most one trial at a time, and the results of the last ones."""

    def __init__(self, app: Flask, record: Record) -> None:
        self._app = app
        services = services_of(app)
        self._settings: Settings = services.settings
        self._inference: Any = services.inference
        self._registry = Registry(self._settings.models_path)
        self._folder = self._settings.instance_path / "shadow"
        self._record = record
        self._starting = threading.Lock()
        self._offers: queue.Queue[tuple[bytes, ReadRequest, FrameResult]] = queue.Queue(OFFERS)
        self._thread: threading.Thread | None = None
        self.trial: Trial | None = None

    @property
    def running(self) -> bool:
        return self.trial is not None and self.trial.state in RUNNING

    def begin(
        self,
        candidate: str,
        by: str,
        *,
        share: float = 0.2,
        minutes: float = 10.0,
        survey: str = "",
    ) -> Trial:
        """Start a trial on live frames, or on a survey's kept pictures where one is named.

        Raises :class:`InvalidRequest`, :class:`NotFound`, :class:`ModelInvalid`, and
        :class:`Conflict` while another trial runs.
        """
        if not 0 < share <= 1:
            raise InvalidRequest("Expected a share of frames above 0, at most 1.", field="share")
        if not 0 < minutes <= MAX_MINUTES:
            raise InvalidRequest(f"Expected 0 to {MAX_MINUTES} minutes.", field="minutes")
        found = self._registry.get(candidate)
        active = str(self._inference.version)
        if candidate == active:
            raise InvalidRequest(f"{candidate} serves already; choose another.", field="candidate")
        name, pictures = self._pictures(survey) if survey else ("", [])
        with self._starting:
            if self.running:
                raise Conflict("Another candidate is deployed as a shadow; stop it first.")
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            trial = Trial(
                secrets.token_hex(8), candidate, active, "survey" if survey else "live", by, now,
                minutes, share, survey, name, len(pictures) if survey else None,
            )  # fmt: skip
            self.trial = trial
        self._record("shadow.start", candidate, {"source": trial.source, "survey": name}, by)
        self._thread = threading.Thread(
            target=self._run, args=(trial, found, pictures), name="shadow", daemon=True
        )
        self._thread.start()
        return trial

    def end(self, by: str) -> Trial:
        """Stop the trial; what was counted stays. Raises :class:`NotFound` without one."""
        trial = self.trial
        if trial is None or not self.running:
            raise NotFound("No candidate is deployed as a shadow.")
        trial.stop.set()
        self._record("shadow.stop", trial.candidate, {}, by)
        return trial

    def close(self) -> None:
        if self.trial is not None:
            self.trial.stop.set()
        if self._thread is not None:
            self._thread.join(10)

    def results(self) -> list[dict[str, Any]]:
        """What ended, newest first."""
        found = []
        for path in self._folder.glob("*.json") if self._folder.is_dir() else ():
            with contextlib.suppress(OSError, ValueError):
                found.append(json.loads(path.read_text(encoding="utf-8")))
        return sorted(found, key=lambda one: str(one.get("began")), reverse=True)

    def latest_for(self, candidate: str) -> dict[str, Any] | None:
        """The newest result of a candidate that read faces, the running trial's included."""
        if self.running and self.trial is not None and self.trial.candidate == candidate:
            now = self.trial.to_json()
            if now["faces"]:
                return now
        return next(
            (one for one in self.results() if one["candidate"] == candidate and one["faces"]), None
        )

    def kept_surveys(self) -> list[dict[str, Any]]:
        """Surveys that hold pictures, newest first."""
        opened = surveys_of(self._app).open()
        with opened.store.session() as session:
            rows = session.scalars(
                select(Survey)
                .where(Survey.pictures_deleted_at.is_(None))
                .where(select(Upload.id).where(Upload.survey_id == Survey.id, *_HELD).exists())
                .order_by(Survey.created_at.desc())
                .limit(100)
            )
            return [{"id": row.id, "name": row.name} for row in rows]

    def _pictures(self, survey_id: str) -> tuple[str, list[tuple[int, str, str]]]:
        """The survey's name and ``(upload, path, sha256)`` of each kept picture."""
        opened = surveys_of(self._app).open()
        survey = opened.catalog.get(survey_id)
        if survey.pictures_deleted_at is not None:
            raise Conflict("The pictures of this survey are deleted.", survey=survey_id)
        with opened.store.session() as session:
            rows = session.execute(
                select(Upload.id, Upload.path, Upload.sha256).where(
                    Upload.survey_id == survey_id, *_HELD
                )
            ).all()
        if not rows:
            raise Conflict("This survey holds no picture.", survey=survey_id)
        return survey.name, [(number, path, sha) for number, path, sha in rows]

    # -- the trial's own thread

    def _run(self, trial: Trial, found: ModelVersion, pictures: list[tuple[int, str, str]]) -> None:
        patient = max(START_TIMEOUT_MS, self._settings.worker_start_timeout_ms)
        settings = replace(self._settings, workers=1, worker_start_timeout_ms=patient)
        service = InferenceService(settings, found.folder, background=True)
        outcome, reason = "failed", ""
        try:
            service.start()
            trial.state = "running"
            if trial.source == "live":
                self._live(trial, service)
            else:
                self._survey(trial, service, pictures)
            outcome = "stopped" if trial.stop.is_set() else "done"
        except MienError as error:
            reason = error.message
        except Exception as error:  # noqa: BLE001  (the page must show it)
            _log.exception("the shadow failed")
            reason = N_(f"It failed on our side ({type(error).__name__}).")
        finally:
            self._inference.on_live = None
            try:
                service.stop()
            except Exception:  # noqa: BLE001  (no end may keep the next trial from beginning)
                _log.exception("the shadow's worker could not be ended")
            trial.reason = reason or trial.reason
            trial.ended = datetime.now(timezone.utc).isoformat(timespec="seconds")
            self._keep(trial.id, trial.to_json() | {"state": outcome})
            trial.state = outcome  # last: who sees it ended finds its result

    def _live(self, trial: Trial, service: InferenceService) -> None:
        chance = random.Random(trial.id)  # noqa: S311  (which frames are looked at is no secret)
        while not self._offers.empty():
            self._offers.get_nowait()

        def offer(image: bytes, request: ReadRequest, result: FrameResult) -> None:
            """In the live frame's own thread: takes microseconds and never waits."""
            if result.model != trial.active or chance.random() >= trial.share:
                return
            if result.timings_ms.get("wait", 0.0) > CALM_WAIT_MS:
                trial.tally.dropped += 1
                return
            try:
                self._offers.put_nowait((image, request, result))
            except queue.Full:
                trial.tally.dropped += 1

        self._inference.on_live = offer
        until = time.monotonic() + 60 * trial.minutes
        while not trial.stop.is_set() and time.monotonic() < until:
            if self._inference.version != trial.active:
                trial.reason = f"{trial.active} stopped serving; the trial compared with it."
                return
            try:
                image, request, active = self._offers.get(timeout=0.2)
            except queue.Empty:
                continue
            try:
                # the regions of the live frame: the same boxes, so only the network differs
                candidate = service.analyze(
                    image,
                    request=request,
                    priority="batch",
                    timeout_ms=10_000,
                )
            except MienError:
                trial.tally.errors += 1
                continue
            trial.tally.add(active, candidate)

    def _survey(
        self, trial: Trial, service: InferenceService, pictures: list[tuple[int, str, str]]
    ) -> None:
        catalog = surveys_of(self._app).open().catalog
        until = time.monotonic() + 60 * trial.minutes
        for upload, path, sha in pictures:
            if trial.stop.is_set() or time.monotonic() > until:
                return
            try:
                image = catalog.files.read(catalog.folders.picture(trial.survey, sha))
                active = self._inference.analyze(image, request=THOROUGH, priority="batch")
                if active.model != trial.active:
                    trial.reason = f"{trial.active} stopped serving; the trial compared with it."
                    return
                candidate = service.analyze(image, request=THOROUGH, priority="batch")
            except (MienError, OSError):
                trial.tally.errors += 1
                continue
            trial.tally.add(active, candidate, (upload, path))

    def _keep(self, number: str, result: dict[str, Any]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            atomic.write(self._folder / f"{number}.json", json.dumps(result))
            files = sorted(self._folder.glob("*.json"), key=_modified, reverse=True)
            for old in files[KEPT_RESULTS:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            _log.error("the result of a shadow cannot be kept: %s", error)


def _modified(path: Path) -> float:
    return path.stat().st_mtime
