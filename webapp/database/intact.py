"""Whether the database file is one: a server that only finds out at a request is not ready."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

LOOK_EVERY_S: Final = 10.0
WHOLE_BYTES: Final = 64_000_000  # read to the end up to this size; beyond, its beginning


class DatabaseCheck:
    """Looks at an SQLite file with a connection of its own; other databases look after themselves.

    A connection that is open already may go on with the pages that it holds.
    """

    def __init__(self) -> None:
        self._at = -LOOK_EVERY_S
        self._seen: tuple[int, int] | None = None
        self._fault: str | None = None
        self._lock = threading.Lock()

    def fault(self, url: str) -> str | None:
        """What is wrong in a few words, or None; at most once in ``LOOK_EVERY_S`` anew."""
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite" or not parsed.database:
            return None
        path = Path(parsed.database)
        with self._lock:
            try:
                stat = path.stat()
            except FileNotFoundError:
                return None  # the first request that needs one makes it
            except OSError as error:
                return f"cannot be read: {error.strerror}"
            seen = (stat.st_size, stat.st_mtime_ns)
            if seen != self._seen or time.monotonic() - self._at > LOOK_EVERY_S:
                self._fault = _look(path, stat.st_size)
                self._seen, self._at = seen, time.monotonic()
            return self._fault


def _look(path: Path, size: int) -> str | None:
    try:
        connection = sqlite3.connect(path, timeout=0.05, isolation_level=None)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if size <= WHOLE_BYTES:
                found = connection.execute("PRAGMA quick_check(1)").fetchone()
                return None if found == ("ok",) else "is damaged"
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        return None if "locked" in str(error) else f"cannot be read: {error}"
    except sqlite3.DatabaseError:
        return "is damaged"
    return None
