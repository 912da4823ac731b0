"""The survey parts of one application, opened when they are first needed.

Making an application must not create a database; starting the server, or the first request to a
survey page, does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from webapp.card import ModelCard
from webapp.database.store import Store
from webapp.database.survey_tables import Job
from webapp.errors import ModelInvalid, NotFound
from webapp.files.open_storage import open_files
from webapp.settings import Settings
from webapp.survey.analysis.job_table import JobQueue
from webapp.survey.analysis.outcomes import Analyzer
from webapp.survey.analysis.progress import Progress
from webapp.survey.analysis.runner import Executor, JobRunner
from webapp.survey.catalog import Catalog
from webapp.survey.intake.resumable import Parts
from webapp.survey.intake.uploads import Uploads
from webapp.survey.people import People
from webapp.survey.report.build import build_in_process
from webapp.survey.report.facts import model_facts
from webapp.survey.review import Reviews
from webapp.web.open_database import database_of
from webapp.web.opened_once import OpenedOnce
from webapp.web.services import Services, services_of

if TYPE_CHECKING:
    from webapp.inference.client import InferenceService

EXTENSION = "mien.surveys"
RETRY_S = 2.0
_log = logging.getLogger(__name__)


class Surveys:
    """Catalog, uploads, reviews and the job runner of an application."""

    def __init__(self, services: Services, store: Store) -> None:
        self._services = services
        settings = services.settings
        self.settings: Settings = settings
        self.store = store
        self.files, self._close_files = open_files(settings)
        self.catalog = Catalog(self.store, settings.instance_path, self.files)
        self.uploads = Uploads(self.catalog, settings)
        self.parts = Parts(self.catalog, self.uploads, settings)
        self.reviews = Reviews(self.store)
        self.people = People(self.store)
        self.listeners: list[Callable[[Progress], None]] = []
        self.latest: dict[str, Progress] = {}
        self._others = _OtherModels(settings)
        jobs = JobQueue(self.store)
        self.runner = JobRunner(
            self.catalog,
            settings,
            self.service_for,
            self._report,
            self._progress,
            jobs,
            executor_of(settings, jobs),
        )
        self.runner.start()

    def close(self) -> None:
        self.runner.stop()
        self._close_files()

    def _report(self, job: Job) -> None:
        build_in_process(self.store, self.settings.instance_path, job, self.settings)

    def _progress(self, progress: Progress) -> None:
        self.latest[progress.survey] = progress
        for listener in self.listeners:
            listener(progress)

    def progress(self, survey_id: str) -> Progress | None:
        """The state of the newest job, with the rate where this process works on it."""
        from webapp.survey.analysis.runner import latest_job

        job = latest_job(self.catalog, survey_id)
        if job is None:
            return None
        newest = self.latest.get(survey_id)
        ours = job.owner == self.runner.jobs.owner
        if ours and newest is not None and newest.job == job.id and newest.state == job.state:
            return newest
        done = self.runner.jobs.done_count(job.id)
        counts = self.runner.jobs.counts(job.id)
        return Progress(
            survey_id, job.id, job.state, done, job.total, counts=counts, error=job.error
        )

    def model(self, version: str | None = None) -> dict[str, Any]:
        """The facts of a model version, by default the serving one, as a job keeps them."""
        wanted = version or self._services.inference.version
        registry = self._services.registry
        for known in registry.versions() if registry is not None else ():
            if known.version == wanted:
                return model_facts(known.card)
        if wanted == self._services.inference.version:
            return model_facts(ModelCard(wanted, "unknown", ""))
        raise ModelInvalid(f"There is no model version {wanted!r}.", version=wanted)

    def versions(self) -> list[str]:
        """The versions an analysis can be made with, the serving one first."""
        serving = self._services.inference.version
        registry = self._services.registry
        names = [known.version for known in registry.versions()] if registry is not None else []
        return [serving, *(name for name in names if name != serving)]

    @contextmanager
    def service_for(self, version: str) -> Iterator[Analyzer]:
        """The shared workers when they serve ``version``, else workers of its own for the time.

        Raises :class:`ModelInvalid` for a version that is not there any more.
        """
        shared = self._services.inference
        if shared.version == version:
            yield shared
            return
        registry = self._services.registry
        try:
            folder = registry.get(version).folder if registry is not None else None
        except (NotFound, ModelInvalid):
            folder = None
        if folder is None:
            raise ModelInvalid(
                f"The model {version} of this analysis is not there any more; start it again.",
                version=version,
            )
        with self._others.borrow(version, folder) as own:
            yield own


class _OtherModels:
    """Workers for models that do not serve, one for each model, while any analysis needs it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = replace(settings, workers=1)
        self._lock = threading.Lock()
        self._services: dict[str, tuple[InferenceService, int]] = {}

    @contextmanager
    def borrow(self, version: str, folder: Path) -> Iterator[Analyzer]:
        """The workers of a version, started by whoever comes first and stopped by the last."""
        from webapp.inference.client import InferenceService

        with self._lock:
            service, users = self._services.get(version, (None, 0))
            if service is None:
                service = InferenceService(self._settings, folder)
                service.start()
            self._services[version] = service, users + 1
        try:
            yield service
        finally:
            with self._lock:
                service, users = self._services.pop(version)
                if users > 1:
                    self._services[version] = service, users - 1
            if users == 1:
                service.stop()


def executor_of(settings: Settings, jobs: JobQueue) -> Executor | None:
    """Celery workers where the settings say so; None means the workers of this process."""
    if settings.survey_executor != "celery":
        return None
    from webapp.survey.analysis.celery_executor import CeleryExecutor

    return CeleryExecutor(settings, jobs)


class LazySurveys(OpenedOnce[Surveys]):
    """The survey parts of an application."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self.on_open: list[Callable[[Surveys], None]] = []

    def _make(self) -> Surveys:
        opened = Surveys(services_of(self._app), database_of(self._app).open())
        for notify in self.on_open:
            notify(opened)
        return opened

    def open_when_there(self) -> None:
        """Open them now, or as soon as the database is there, without anybody asking."""
        if not self._try():
            threading.Thread(target=self._keep_trying, name="survey-database", daemon=True).start()

    def _keep_trying(self) -> None:
        while not self._closing.wait(RETRY_S) and not self._try():
            continue

    def _try(self) -> bool:
        try:
            self.open()
        except (SQLAlchemyError, OSError) as error:
            _log.error("The survey database cannot be opened now: %s", error)
            return False
        return True

    def close(self) -> None:
        super().close()
        database_of(self._app).close()


def surveys_of(app: Flask) -> LazySurveys:
    """The survey parts of one application, perhaps not opened yet."""
    return cast(LazySurveys, app.extensions[EXTENSION])


def resume_surveys(app: Flask) -> None:
    """Open the surveys at the start of a server, so that unfinished analyses go on.

    A database that is away is no reason not to serve the live page; the survey pages say so, and
    analyses go on when it is there.
    """
    surveys_of(app).open_when_there()


def surveys() -> Surveys:
    """The survey parts of the application that handles the present request.

    Raises :class:`MienError` where the database cannot be opened.
    """
    return surveys_of(current_app).open_for_request()
