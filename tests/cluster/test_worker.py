"""What a worker does with a chunk, delivered once, twice, too late or to the wrong machine."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.support.services import RedisServer
from tests.survey.conftest import catalog, database, store, survey, uploads
from tests.survey.doubles import FakeInference, picture
from webapp.cluster.chunk_worker import ChunkWorker
from webapp.database.survey_tables import Job, Survey
from webapp.errors import StorageUnavailable
from webapp.settings import Settings
from webapp.survey.analysis.celery_config import lease_key
from webapp.survey.analysis.job_table import JobQueue
from webapp.survey.catalog import Catalog
from webapp.survey.intake.uploads import Uploads
from webapp.web.message_queue import connect

pytestmark = pytest.mark.slow

__all__ = ["catalog", "database", "store", "survey", "uploads"]
CONTENTS = ("happy:1", "sad:1", "none:1", "bad:1")


@pytest.fixture
def settings(tmp_path: Path, redis_server: RedisServer) -> Settings:
    return Settings(instance_dir=str(tmp_path), workers=1, message_queue=redis_server.url)


@pytest.fixture
def job(catalog: Catalog, uploads: Uploads, survey: Survey) -> Job:
    for content in CONTENTS:
        uploads.receive(survey.id, "A", f"{content[:3]}.jpg", io.BytesIO(picture(content)))
    jobs = JobQueue(catalog.store)
    jobs.start(survey.id, {"version": "test-1"})
    claimed = jobs.claim()
    assert claimed is not None
    return claimed


@pytest.fixture
def jobs(catalog: Catalog) -> JobQueue:
    return JobQueue(catalog.store)


class Stopless(FakeInference):
    def stop(self) -> None:
        """Nothing runs."""


@pytest.fixture
def inference() -> Stopless:
    return Stopless()


@pytest.fixture
def worker(settings: Settings, inference: Stopless, job: Job) -> Iterator[ChunkWorker]:
    made = ChunkWorker(settings, lambda version: Path(version))
    made._inference = inference  # type: ignore[assignment]
    yield made
    made.close()


def files(jobs: JobQueue, job: Job) -> list[int]:
    return [upload_id for upload_id, _, _ in jobs.pending(job)]


def test_a_chunk_delivered_twice_is_analysed_once(
    worker: ChunkWorker, inference: Stopless, jobs: JobQueue, job: Job
) -> None:
    mine = files(jobs, job)
    assert worker.work(job.id, mine[0], mine) == "finished"
    assert worker.work(job.id, mine[0], mine) == "finished"
    assert sum(inference.asked.values()) == len(CONTENTS)
    assert jobs.counts(job.id) == {"used": 2, "no_face": 1, "unreadable": 1}


def test_what_another_worker_holds_is_left_to_it(
    worker: ChunkWorker, inference: Stopless, jobs: JobQueue, job: Job, redis_server: RedisServer
) -> None:
    mine = files(jobs, job)
    connect(redis_server.url).set(lease_key(job.id, mine[0]), "1")
    assert worker.work(job.id, mine[0], mine) == "taken"
    assert not inference.asked


def test_without_redis_the_work_is_done_all_the_same(
    worker: ChunkWorker, jobs: JobQueue, job: Job, redis_server: RedisServer
) -> None:
    mine = files(jobs, job)
    redis_server.kill()
    assert worker.work(job.id, mine[0], mine) == "finished"
    assert jobs.done_count(job.id) == len(CONTENTS)


def test_a_cancelled_or_ended_job_is_left_alone(
    worker: ChunkWorker, inference: Stopless, jobs: JobQueue, job: Job
) -> None:
    mine = files(jobs, job)
    jobs.cancel(job.id)
    assert worker.work(job.id, mine[0], mine) == "ended"
    assert worker.work(job.id + 1, 1, [1]) == "ended"
    assert not inference.asked


def test_a_worker_told_to_stop_gives_back_what_is_left(
    worker: ChunkWorker, inference: Stopless, jobs: JobQueue, job: Job, redis_server: RedisServer
) -> None:
    inference.before = lambda _content: worker.stopping.set()
    mine = files(jobs, job)
    assert worker.work(job.id, mine[0], mine) in ("stopped", "finished")
    assert not connect(redis_server.url).exists(lease_key(job.id, mine[0]))
    left = files(jobs, job)
    assert jobs.done_count(job.id) + len(left) == len(CONTENTS)


def test_a_worker_that_sees_no_pictures_calls_none_unreadable(
    settings: Settings, jobs: JobQueue, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", jobs.store.url)
    elsewhere = replace(settings, instance_dir=str(tmp_path / "elsewhere"))
    worker = ChunkWorker(elsewhere, lambda version: Path(version))
    try:
        with pytest.raises(StorageUnavailable, match="MIEN_MEDIA_URL"):
            worker.work(job.id, 1, files(jobs, job))
    finally:
        worker.close()
    assert jobs.done_count(job.id) == 0
