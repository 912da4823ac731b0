"""A worker that was busy while Redis died takes work again."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from bench.support.cluster_rig import Worker, await_true
from bench.support.services import RedisServer
from tests.support.models import activate, make_version
from tests.survey.conftest import catalog, database, settings, store, survey, uploads
from tests.survey.doubles import picture
from webapp.database.survey_tables import Survey
from webapp.settings import Settings
from webapp.survey.analysis.celery_config import CHUNK_TASK, make_celery
from webapp.survey.analysis.job_table import JobQueue
from webapp.survey.catalog import Catalog
from webapp.survey.intake.uploads import Uploads

pytestmark = pytest.mark.slow

__all__ = ["catalog", "database", "settings", "store", "survey", "uploads"]
FILES, TIMEOUT_S = 200, 120.0


def test_a_worker_that_was_busy_while_redis_died_takes_work_again(
    tmp_path: Path,
    redis_server: RedisServer,
    catalog: Catalog,
    uploads: Uploads,
    survey: Survey,
) -> None:
    for number in range(FILES):
        uploads.receive(survey.id, "A", f"{number}.jpg", io.BytesIO(picture(f"happy:{number}")))
    make_version(tmp_path / "models", "test-1")
    activate(tmp_path / "models", "test-1")
    jobs = JobQueue(catalog.store)
    job = jobs.start(survey.id, {"version": "test-1"})
    jobs.claim()
    files = [upload_id for upload_id, _, _ in jobs.pending(job)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MIEN_")}
    own = {
        "MIEN_MESSAGE_QUEUE": redis_server.url,
        "MIEN_INSTANCE_DIR": str(tmp_path),
        "MIEN_MODELS_DIR": str(tmp_path / "models"),
        "MIEN_WORKERS": "1",
        "SURVEY_WORKER_PIPELINE": "tests.support.survey_runner:OneFace",
        "DATABASE_URL": catalog.store.url,
    }
    worker = Worker(clean | own, tmp_path / "worker.log")
    try:
        await_true("the worker is ready", worker.ready, TIMEOUT_S)
        celery = make_celery(Settings(message_queue=redis_server.url))
        first, last = files[:-10], files[-10:]
        celery.send_task(CHUNK_TASK, args=[job.id, first[0], first])
        await_true("it is busy", lambda: jobs.done_count(job.id) > 0, TIMEOUT_S)
        redis_server.kill()
        await_true(
            "it finished what it held", lambda: jobs.done_count(job.id) == len(first), TIMEOUT_S
        )
        redis_server.start()
        make_celery(Settings(message_queue=redis_server.url)).send_task(
            CHUNK_TASK, args=[job.id, last[0], last]
        )
        await_true("it took the next", lambda: jobs.done_count(job.id) == FILES, TIMEOUT_S)
        celery.close()
    finally:
        assert worker.stop() == 0
