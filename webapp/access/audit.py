"""The audit log: who did what, when and from where.

Entries are only ever added. They name accounts, model versions and settings; never a password,
a token's secret or anything about a person in a picture.
"""

from __future__ import annotations

from typing import Any

from flask import request
from sqlalchemy import select

from webapp.database.access_tables import AuditEntry
from webapp.database.store import Store
from webapp.web.open_database import store

ROWS_AT_ONCE = 200


def record(
    action: str, subject: str, detail: dict[str, Any] | None = None, *, actor: str | None = None
) -> None:
    """Add an entry for the present request.

    ``action`` is a stable name such as ``model.activate``, ``subject`` what it was done to.
    ``actor`` defaults to whoever is logged in, or whose token it is. Outside a request (the
    server's own doing, a background task) use :func:`record_in`.
    """
    from webapp.access.auth import principal

    if actor is None:
        who = principal()
        actor = who.label if who is not None else "nobody"
    record_in(store(), action, subject, detail, actor=actor, address=request.remote_addr or "?")


def record_in(
    opened: Store,
    action: str,
    subject: str,
    detail: dict[str, Any] | None = None,
    *,
    actor: str = "server",
    address: str = "-",
) -> None:
    """Add an entry without a request: by the server itself or the command line."""
    with opened.session() as session:
        session.add(
            AuditEntry(
                actor=actor[:200],
                address=address[:60],
                action=action[:60],
                subject=subject[:200],
                detail=detail,
            )
        )


def entries(
    opened: Store, *, before: int | None = None, action: str = "", limit: int = ROWS_AT_ONCE
) -> list[AuditEntry]:
    """The newest entries first; ``before`` is an id to go on from, ``action`` a beginning."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    if action:
        query = query.where(AuditEntry.action.startswith(action, autoescape=True))
    with opened.session() as session:
        return list(session.scalars(query))
