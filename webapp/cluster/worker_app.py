"""The Celery worker: ``python -m webapp.cli worker``, or by Celery's own command line

``celery -A webapp.cluster.worker_app worker --pool threads --concurrency 1``

It reads the same settings as a web node. Only worker processes import this module. Celery's default
pool forks, which is unsafe with threads running; the inference processes are started anew and need
no such pool.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from typing import Any

from celery import Task
from celery.signals import (
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from sqlalchemy.exc import InterfaceError, OperationalError

from webapp.cluster.chunk_worker import ChunkWorker
from webapp.cluster.shared_registry import open_registry
from webapp.errors import InferenceUnavailable, MienError, StorageUnavailable
from webapp.settings import Settings
from webapp.survey.analysis.celery_config import CHUNK_TASK, make_celery
from webapp.web.message_queue import RedisTrouble, connect, message_queue

_log = logging.getLogger(__name__)
ATTEMPTS = 8
LONGEST_PAUSE_S = 60
WATCH_S = 1.0
PASSING = (OperationalError, InterfaceError, StorageUnavailable, InferenceUnavailable)
PIPELINE_VARIABLE = "SURVEY_WORKER_PIPELINE"  # replaces the vision pipeline in tests

settings = Settings.from_environment()
app = make_celery(settings)
_lock = threading.Lock()
_watching = threading.Event()
_worker: ChunkWorker | None = None


def _chunk_worker() -> ChunkWorker:
    global _worker
    with _lock:
        if _worker is None:
            registry = open_registry(settings)
            _worker = ChunkWorker(
                settings, registry.verified_folder, os.environ.get(PIPELINE_VARIABLE)
            )
        return _worker


def pause_s(attempt: int) -> float:
    """Seconds before attempt ``attempt + 1``: doubled each time, and never all at one moment."""
    return float(min(2**attempt, LONGEST_PAUSE_S)) * random.uniform(0.5, 1.0)  # noqa: S311


@app.task(name=CHUNK_TASK, bind=True, max_retries=ATTEMPTS, acks_late=True)  # type: ignore[untyped-decorator]
def chunk(self: Task, job_id: int, first: int, uploads: list[int]) -> None:
    """Analyse a chunk; what may pass is tried again, what does not ends the job with its reason."""
    worker = _chunk_worker()
    try:
        verdict = worker.work(job_id, first, uploads)
        _log.info("Job %s, chunk %s of %s files: %s", job_id, first, len(uploads), verdict)
    except (*PASSING, MienError) as error:
        if worker.stopping.is_set():
            return  # its lease is gone, so it is sent to another worker
        attempt = int(self.request.retries)
        reason = error.message if isinstance(error, MienError) else type(error).__name__
        if attempt < ATTEMPTS:
            _log.warning("Job %s, chunk %s: %s; trying again", job_id, first, reason)
            raise self.retry(exc=error, countdown=pause_s(attempt)) from error
        if not isinstance(error, (OperationalError, InterfaceError)):
            worker.give_up(job_id, reason)


def _connection_lost() -> None:
    raise ConnectionResetError("Redis was away; the consumer connects anew")


def _watch_redis(consumer: Any) -> None:
    """Have the consumer connect anew after Redis was away.

    Idle, it notices by itself. Busy, it does not: the acknowledgement of the message in hand is
    lost with the connection, the message counts as in hand for good, and none is taken any more.
    """
    client, away = connect(message_queue(settings)), False
    while True:
        try:
            client.ping()
        except RedisTrouble:
            away = True
        else:
            if away and consumer.hub is not None:
                _log.warning("Redis is back; the consumer connects anew.")
                consumer.hub.call_soon(_connection_lost)
            away = False
        time.sleep(WATCH_S)


@worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
def _watch(sender: Any, **_: Any) -> None:
    if not _watching.is_set():  # it is ready again after each new connection
        _watching.set()
        threading.Thread(target=_watch_redis, args=(sender,), daemon=True).start()


@worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
def _stop_soon(**_: Any) -> None:
    if _worker is not None:
        _worker.stopping.set()


@worker_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
@worker_process_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
def _close(**_: Any) -> None:
    if _worker is not None:
        _worker.close()
