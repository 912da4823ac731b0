"""What a Celery worker does with a chunk: the embedded runner's function, with its own inference.

One worker process takes one chunk at a time and keeps its own inference processes busy with it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from webapp.database.store import Store, database_url
from webapp.database.survey_tables import Job, Survey
from webapp.errors import InferenceUnavailable, StorageUnavailable
from webapp.files.open_storage import open_files
from webapp.inference.client import InferenceService
from webapp.settings import Settings
from webapp.survey.analysis.celery_config import lease_key
from webapp.survey.analysis.chunks import Chunk, Results, work_on
from webapp.survey.analysis.job_table import JobQueue
from webapp.survey.analysis.outcomes import Analyzer
from webapp.survey.catalog import Catalog
from webapp.web.message_queue import RedisTrouble, connect, message_queue

_log = logging.getLogger(__name__)
LEASE_S = 10  # renewed at least every few tenths of a second while the worker lives

FolderOf = Callable[[str], Path]


class ChunkWorker:
    """Takes chunks one after another. ``folder_of`` gives a model version's verified folder.

    ``pipeline`` replaces the vision pipeline in tests.
    """

    def __init__(
        self, settings: Settings, folder_of: FolderOf, pipeline: str | None = None
    ) -> None:
        self._settings = settings
        self._folder_of = folder_of
        self._pipeline = pipeline
        self._store = Store(database_url(settings.instance_path))
        self._files, self._close_files = open_files(settings)
        self._catalog = Catalog(self._store, settings.instance_path, self._files)
        self._jobs = JobQueue(self._store)
        self._redis = connect(message_queue(settings))
        self._inference: InferenceService | None = None
        self._one_at_a_time = threading.Lock()
        self.stopping = threading.Event()

    def close(self) -> None:
        """End the inference processes."""
        self.stopping.set()
        with self._one_at_a_time:
            if self._inference is not None:
                self._inference.stop()
                self._inference = None
        self._close_files()
        self._store.close()

    def work(self, job_id: int, first: int, uploads: list[int]) -> str:
        """Analyse what is left of a chunk: "finished", "stopped", "taken" or "ended".

        May be called twice for one chunk, at once or in turn. Raises what may pass: the database,
        the store of pictures or the model away.
        """
        with self._one_at_a_time:
            job = self._jobs.working(job_id)
            if job is None:
                return "ended"
            key = lease_key(job_id, first)
            if not self._take(key):
                return "taken"
            try:
                return self._analyse(job, key, uploads)
            finally:
                self._give_back(key)

    def give_up(self, job_id: int, reason: str) -> None:
        """Tell who owns the job that this worker cannot do its part."""
        self._jobs.give_up(job_id, reason)

    def _analyse(self, job: Job, key: str, uploads: list[int]) -> str:
        items = self._jobs.pending(job, uploads)
        if not items:
            return "finished"
        survey = self._catalog.get(job.survey_id)
        self._check_pictures(job, survey)
        chunk = Chunk(
            job,
            survey,
            self._service(job.model_version),
            self._files,
            self._catalog.folders,
            self._settings.survey_parallel or 2 * self._settings.worker_count,
            self._settings.survey_max_video_s,
        )

        def write(batch: Results) -> None:
            self._jobs.write(job.id, batch, wanted_only=True)

        def wrote(_count: int) -> str | None:
            self._renew(key)
            if self.stopping.is_set():
                return "stopped"
            return None if self._jobs.working(job.id) else "ended"

        return work_on(chunk, items, write, wrote)

    def _check_pictures(self, job: Job, survey: Survey) -> None:
        """A worker that looks in the wrong place must not call every picture unreadable."""
        folder = self._catalog.folders.pictures(survey.id)
        if not self._files.folders(folder) and self._jobs.working(job.id) is not None:
            raise StorageUnavailable(
                "A worker does not see the pictures of this survey: web nodes and workers need "
                "the same MIEN_MEDIA_URL, or the same MIEN_INSTANCE_DIR on a shared drive."
            )

    def _service(self, version: str) -> Analyzer:
        """Inference processes that serve ``version``, started or swapped to it."""
        if self._inference is not None and self._inference.version == version:
            return self._inference
        folder = self._folder_of(version)
        if self._inference is not None:
            self._inference.reload(folder)
            return self._inference
        if self._pipeline is None:
            service = InferenceService(self._settings, folder)
        else:
            service = InferenceService(self._settings, folder, pipeline=self._pipeline)
        service.start()
        if self.stopping.is_set():
            service.stop()
            raise InferenceUnavailable("The worker is stopping.")
        self._inference = service
        return service

    def _take(self, key: str) -> bool:
        try:
            return bool(self._redis.set(key, "1", nx=True, ex=LEASE_S))
        except RedisTrouble:
            return True  # two may work on one chunk then, which costs time only

    def _renew(self, key: str) -> None:
        try:
            self._redis.set(key, "1", ex=LEASE_S)
        except RedisTrouble as error:
            _log.debug("The lease was not renewed: %s", error)

    def _give_back(self, key: str) -> None:
        try:
            self._redis.delete(key)
        except RedisTrouble as error:
            _log.debug("The lease was not given back: %s", error)
