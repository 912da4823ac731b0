"""Logged-in browsers, kept by the server: what is not in the table is no login.

A browser's cookie holds a random key, the table its SHA-256. A session ends by logging out, by
anything that raises its account's generation (a new password, "log out everywhere"), with its
account, when it was not used for a while, and at the latest after a fixed time.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from webapp.access.accounts import hash_of
from webapp.database.access_tables import Account, LoginSession
from webapp.database.base import utcnow
from webapp.database.store import Store
from webapp.settings import Settings

SEEN_EVERY: Final = timedelta(minutes=1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a session lasts: unused, and at all."""

    idle: timedelta
    longest: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Lifetime:
        return cls(
            timedelta(hours=settings.session_hours), timedelta(hours=settings.session_max_hours)
        )

    def lasts(self) -> ColumnElement[bool]:
        now = utcnow()
        return and_(
            LoginSession.last_seen_at > now - self.idle,
            LoginSession.created_at > now - self.longest,
        )


def begin(store: Store, account: Account, lifetime: Lifetime) -> str:
    """A new session of an account; returns its key, which is not stored.

    It counts for the generation that ``account`` was read with: a password that was changed
    meanwhile has ended it already.
    """
    key = secrets.token_urlsafe(32)
    with store.session() as session:
        session.execute(delete(LoginSession).where(~lifetime.lasts()))
        session.add(
            LoginSession(
                key_hash=hash_of(key), account_id=account.id, generation=account.generation
            )
        )
    return key


def find(store: Store, key: str, lifetime: Lifetime) -> Account | None:
    """The account of a session that has not ended; notes once a minute that it is used."""
    query = (
        select(Account, LoginSession.last_seen_at)
        .join(LoginSession, LoginSession.account_id == Account.id)
        .where(
            LoginSession.key_hash == hash_of(key),
            LoginSession.generation == Account.generation,
            lifetime.lasts(),
        )
    )
    with store.session() as session:
        found = session.execute(query).one_or_none()
    if found is None:
        return None
    account, last_seen_at = found
    _seen(store, hash_of(key), last_seen_at)
    return account


def _seen(store: Store, key_hash: str, last_seen_at: datetime) -> None:
    """A full disk, or somebody else's lock, logs nobody out."""
    now = utcnow()
    if abs(now - last_seen_at) < SEEN_EVERY:
        return
    try:
        with store.session() as session:
            session.execute(
                update(LoginSession)
                .where(LoginSession.key_hash == key_hash)
                .values(last_seen_at=now)
            )
    except SQLAlchemyError as error:
        _log.warning("That a session is used cannot be noted: %s", error)


def end(store: Store, key_hash: str) -> None:
    """End one session; one that is not there changes nothing."""
    with store.session() as session:
        session.execute(delete(LoginSession).where(LoginSession.key_hash == key_hash))


def living(store: Store, key_hashes: Collection[str], lifetime: Lifetime) -> set[str]:
    """Which of the sessions have not ended."""
    if not key_hashes:
        return set()
    query = (
        select(LoginSession.key_hash)
        .join(Account, Account.id == LoginSession.account_id)
        .where(
            LoginSession.key_hash.in_(key_hashes),
            LoginSession.generation == Account.generation,
            lifetime.lasts(),
        )
    )
    with store.session() as session:
        return set(session.scalars(query))
