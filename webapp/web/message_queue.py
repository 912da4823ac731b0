"""Connections to the Redis that joins several nodes. It is never waited for long: it may be away.

redis-py is pure Python, so that under eventlet only the caller's greenlet waits.
"""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from webapp.errors import SettingsError
from webapp.settings import Settings

ANSWER_S = 2.0
SCHEMES = ("redis://", "rediss://", "unix://")
RedisTrouble = (RedisError, OSError)


def options(answer_s: float | None = ANSWER_S) -> dict[str, Any]:
    """How every connection is made: no retries behind our back, dead peers noticed."""
    return {
        "socket_connect_timeout": ANSWER_S,
        "socket_timeout": answer_s,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "retry": Retry(NoBackoff(), 0),
    }


def connect(url: str, answer_s: float | None = ANSWER_S) -> redis.Redis:
    """A client; nothing is asked yet. Its commands raise :data:`RedisTrouble`."""
    return redis.Redis.from_url(url, **options(answer_s))


def message_queue(settings: Settings) -> str:
    """The setting's URL, or "" for one node. Raises :class:`SettingsError` for another kind."""
    url = settings.message_queue
    if url and not url.startswith(SCHEMES):
        raise SettingsError(
            f"MIEN_MESSAGE_QUEUE: expected a URL that begins with {' or '.join(SCHEMES)}. "
            "Received another one.",
            variable="MIEN_MESSAGE_QUEUE",
        )
    return url
