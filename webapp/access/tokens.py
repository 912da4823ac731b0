"""Bearer tokens: ``mien_<key>_<secret>``, shown once, stored as a hash, with scopes and an end."""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from webapp.access.accounts import hash_of
from webapp.database.access_tables import Account, ApiToken
from webapp.database.base import utcnow
from webapp.database.locks import lock
from webapp.database.store import Store
from webapp.errors import Conflict, InvalidRequest, NotFound, Unauthorized
from webapp.languages import N_

# What a token may be good for; everything else needs a browser session.
SCOPES: Final = {
    "analyze": N_("Read one picture at a time (POST /api/v1/analyze)"),
    "live": N_("Open live connections (Socket.IO namespace /live)"),
    "mood:read": N_("Follow a mood that somebody shares, with its code"),
    "surveys:read": N_("See surveys, their progress and their reports"),
    "surveys:write": N_("Make, fill, analyse and delete surveys"),
    "studies:read": N_("See studies, their progress, reports and exports"),
    "studies:write": N_("Make, change, open, close and delete studies"),
    "models:read": N_("See the model versions and their cards"),
    "models:write": N_("Upload, activate and roll back models"),
    "status:read": N_("See the server's figures and /metrics"),
}
# What a member may make tokens for; a token never opens more than its account may.
MEMBER_SCOPES: Final = {
    scope: words for scope, words in SCOPES.items() if scope not in ("models:write", "status:read")
}
MAX_OWN: Final = 50
PREFIX: Final = "mien"
MAX_DAYS: Final = 3650
USED_EVERY: Final = timedelta(minutes=1)
_log = logging.getLogger(__name__)
_NOBODYS_HASH: Final = hash_of(secrets.token_urlsafe(32))


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """A valid token, and whose it is."""

    token_id: int
    name: str
    account: Account
    scopes: frozenset[str]


def create(
    store: Store,
    account_id: int,
    name: str,
    scopes: Sequence[str],
    days: int | None,
    allowed: Collection[str] = tuple(SCOPES),
) -> tuple[ApiToken, str]:
    """A new token and its text, which is not stored. ``days`` None means that it does not end.

    Raises :class:`InvalidRequest` for other scopes than ``allowed``.
    """
    name = name.strip()
    if not 1 <= len(name) <= 100:
        raise InvalidRequest("Expected a name of 1 to 100 characters.", field="name")
    unknown = sorted(set(scopes) - set(allowed))
    if unknown or not scopes:
        raise InvalidRequest(
            f"Expected at least one of {', '.join(allowed)}. "
            f"Received {', '.join(unknown) or 'none'}.",
            field="scopes",
        )
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise InvalidRequest(f"Expected 1 to {MAX_DAYS} days, or no end.", field="days")
    key, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    token = ApiToken(
        account_id=account_id,
        name=name,
        key=key,
        secret_hash=hash_of(secret),
        scopes=sorted(set(scopes)),
        expires_at=None if days is None else utcnow() + timedelta(days=days),
    )
    with store.session() as session:
        lock(session, f"tokens of {account_id}")
        own = select(func.count()).where(ApiToken.account_id == account_id, _lasts())
        if (session.scalar(own) or 0) >= MAX_OWN:
            raise Conflict(f"Expected at most {MAX_OWN} tokens of one account; revoke some first.")
        session.add(token)
    return token, f"{PREFIX}_{key}_{secret}"


def check(store: Store, text: str) -> TokenHolder:
    """Who holds this token. Raises :class:`Unauthorized`, with one message for every reason."""
    refused = Unauthorized("This token is not valid: it is unknown, was revoked or has expired.")
    prefix, _, rest = text.strip().partition("_")
    key, _, secret = rest.partition("_")
    if prefix != PREFIX or not secret or len(text) > 200:
        raise refused
    with store.session() as session:
        token = session.scalar(select(ApiToken).where(ApiToken.key == key[:16]))
        account = None if token is None else session.get(Account, token.account_id)
    stored = _NOBODYS_HASH if token is None else token.secret_hash
    fits = hmac.compare_digest(stored, hash_of(secret))
    now = utcnow()
    if (
        not fits
        or token is None
        or account is None
        or token.revoked_at is not None
        or (token.expires_at is not None and token.expires_at <= now)
    ):
        raise refused
    if token.last_used_at is None or now - token.last_used_at > USED_EVERY:
        _used(store, token.id, now)
    return TokenHolder(token.id, token.name, account, frozenset(token.scopes))


def _used(store: Store, token_id: int, now: datetime) -> None:
    """A full disk, or somebody else's lock, makes no token worthless."""
    try:
        with store.session() as session:
            session.execute(
                update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now)
            )
    except SQLAlchemyError as error:
        _log.warning("That a token is used cannot be noted: %s", error)


def _lasts() -> ColumnElement[bool]:
    """The condition that a token is neither revoked nor expired."""
    unexpired = or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > utcnow())
    return and_(ApiToken.revoked_at.is_(None), unexpired)


def living(store: Store, token_ids: Collection[int]) -> set[int]:
    """Which of the tokens are neither revoked nor expired, and their accounts still there."""
    if not token_ids:
        return set()
    query = select(ApiToken.id).where(ApiToken.id.in_(token_ids), _lasts())
    with store.session() as session:
        return set(session.scalars(query))


def revoke(store: Store, token_id: int, account_id: int | None = None) -> ApiToken:
    """End a token now, of that account where one is named. Raises :class:`NotFound`; revoking
    twice changes nothing.
    """
    with store.session() as session:
        token = session.get(ApiToken, token_id)
        if token is None or account_id not in (None, token.account_id):
            raise NotFound("There is no such token.", token=token_id)
        token.revoked_at = token.revoked_at or utcnow()
        return token


def listing(store: Store, account_id: int | None = None) -> Sequence[tuple[ApiToken, str]]:
    """Every token, or those of one account, with its account's name, newest first."""
    query = (
        select(ApiToken, Account.name)
        .join(Account, Account.id == ApiToken.account_id)
        .order_by(ApiToken.id.desc())
    )
    if account_id is not None:
        query = query.where(ApiToken.account_id == account_id)
    with store.session() as session:
        return [(token, name) for token, name in session.execute(query)]
