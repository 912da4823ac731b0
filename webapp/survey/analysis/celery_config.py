"""The Celery application that web nodes send survey chunks with and workers take them with."""

from __future__ import annotations

import logging
import ssl
from typing import Any

from celery import Celery

from webapp.errors import SettingsError
from webapp.settings import Settings
from webapp.web.message_queue import ANSWER_S, message_queue

QUEUE = "mien-surveys"
CHUNK_TASK = "mien.survey.chunk"
# A message that its worker neither answered nor gave back is delivered again after this long.
# webapp.survey.analysis.celery_executor notices lost chunks much earlier; this is for the rest.
VISIBILITY_S = 3600

logging.getLogger("kombu").setLevel(logging.WARNING)


def make_celery(settings: Settings) -> Celery:
    """A Celery application over the message queue. Raises :class:`SettingsError` without one."""
    url = message_queue(settings)
    if not url:
        raise SettingsError(
            "MIEN_SURVEY_EXECUTOR=celery needs MIEN_MESSAGE_QUEUE, the Redis that the workers "
            "listen to, such as redis://host:6379/0.",
            variable="MIEN_MESSAGE_QUEUE",
        )
    app = Celery("mien", broker=url.replace("unix://", "redis+socket://"), set_as_current=False)
    transport: dict[str, Any] = {
        "visibility_timeout": VISIBILITY_S,
        "socket_connect_timeout": ANSWER_S,
        "socket_keepalive": True,
    }
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",  # nothing is ever unpickled
        accept_content=["json"],
        task_ignore_result=True,  # outcomes are in the database
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=transport,
    )
    if url.startswith("rediss://"):
        app.conf.broker_use_ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return app


def lease_key(job_id: int, first: int) -> str:
    """The Redis key that is there while a worker holds the chunk that begins with ``first``."""
    return f"mien:lease:{job_id}:{first}"
