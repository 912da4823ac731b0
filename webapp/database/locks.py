"""Locks that a transaction holds until it ends, for what no single row stands for."""

from __future__ import annotations

import hashlib

from sqlalchemy import false, func, select, update
from sqlalchemy.orm import Session

from webapp.database.access_tables import Account


def lock(session: Session, name: str) -> None:
    """Let other transactions that ask for the same name wait until this one has ended.

    What is counted behind it is still so when the transaction commits: a limit holds however many
    requests come at once. On SQLite, where one transaction writes at a time, it takes the lock to
    write, so nothing may be read before it.
    """
    if session.get_bind().dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        session.execute(select(func.pg_advisory_xact_lock(key)))
    else:
        nothing = update(Account).where(false()).values(generation=Account.generation)
        session.execute(nothing.execution_options(synchronize_session=False))
