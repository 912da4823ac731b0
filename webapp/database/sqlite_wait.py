"""Waits for SQLite's write lock without stopping everybody else.

SQLite's own wait sleeps inside the library. Under eventlet that is the one thread that serves all
connections: a backup that holds the lock for ten seconds would stop every camera for as long. Here
SQLite gives up almost at once, and the statement is tried again after a sleep that only its own
greenlet or thread takes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event

INSIDE_S = 0.005  # what SQLite may wait by itself
PAUSE_S = 0.02
_SNAPSHOT = 517  # SQLITE_BUSY_SNAPSHOT: what was read is outdated, and no wait changes that


def patient(wait_s: float, do: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``do``, again and again for ``wait_s`` seconds while another holds the lock."""
    until = time.monotonic() + wait_s
    while True:
        try:
            return do(*arguments)
        except sqlite3.OperationalError as error:
            # the number came with Python 3.11; without it a hopeless wait ends at its deadline
            hopeless = getattr(error, "sqlite_errorcode", None) == _SNAPSHOT
            if "locked" not in str(error) or hopeless or time.monotonic() > until:
                raise
        time.sleep(PAUSE_S)


def wait_in_python(engine: Engine, wait_s: float) -> None:
    """Make every statement of an SQLite engine wait for the lock this way."""

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        patient(wait_s, cursor.execute, statement, parameters)
        return True

    @event.listens_for(engine, "do_execute_no_params")
    def execute_bare(cursor: Any, statement: str, _context: Any) -> bool:
        patient(wait_s, cursor.execute, statement)
        return True

    @event.listens_for(engine, "do_executemany")
    def execute_many(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        patient(wait_s, cursor.executemany, statement, parameters)
        return True
