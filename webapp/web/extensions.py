"""Flask extensions that views decorate themselves with; ``create_app`` binds them."""

from __future__ import annotations

from typing import Any

from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from webapp.settings import Settings
from webapp.web.message_queue import message_queue, options

# The moving window lets no double portion through at the turn of a minute.
limiter = Limiter(get_remote_address, strategy="moving-window", headers_enabled=True)


def limits_config(settings: Settings) -> dict[str, Any]:
    """Where limits are counted: in this process, or in Redis for several nodes together.

    While Redis is away each node counts for itself, so that nobody is refused for it. The library
    counts by the time of day: a clock that is set back lengthens a limit in force by as much.
    """
    url = message_queue(settings)
    if not url:
        return {"RATELIMIT_STORAGE_URI": "memory://"}
    return {
        "RATELIMIT_STORAGE_URI": url.replace("unix://", "redis+unix://"),
        "RATELIMIT_STORAGE_OPTIONS": options(answer_s=1.0),
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
    }
