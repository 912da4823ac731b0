"""How many connections there may be: in all, and from one address.

A connection that says nothing costs a place until it is dropped. Whoever opens them by the thousand
must not take the places of everybody else, nor every file descriptor of the process: a server that
cannot accept for want of one ends.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from webapp.settings import Settings

MOST = 4096
SPARE_FILES = 256  # for the database, the workers, uploads
PAGE_CONNECTIONS = 64  # beside live connections: what browsers open for pages and uploads
_log = logging.getLogger(__name__)


def places() -> int:
    """Connections that this process can hold at one time, after asking for all it may have."""
    try:
        import resource
    except ImportError:
        return MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (ValueError, OSError) as error:
            _log.warning("The limit on open files stays as it is: %s", error)
            soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST if soft == resource.RLIM_INFINITY else max(64, min(MOST, soft - SPARE_FILES))


class ConnectionLimiter:
    """Counts connections by address. Behind our own proxies everybody has theirs, so none count."""

    def __init__(self, settings: Settings) -> None:
        most = settings.max_connections_per_address
        live = settings.live_max_sessions_per_address + PAGE_CONNECTIONS
        self.limit = 0 if settings.trusted_proxies or not most else max(most, live)
        self._open: Counter[str] = Counter()

    @contextmanager
    def acquire(self, address: str) -> Iterator[bool]:
        """Whether one more connection from there may stay; it counts until the block ends."""
        self._open[address] += 1
        try:
            yield not self.limit or self._open[address] <= self.limit
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]
