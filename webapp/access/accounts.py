"""Accounts, their passwords, set-up links and sessions' generations.

Everything takes an opened :class:`~webapp.database.store.Store`, so that the command line uses
it too.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.access import passwords
from webapp.database.access_tables import ADMIN, ROLES, Account, ApiToken, LoginSession, SetupLink
from webapp.database.base import utcnow
from webapp.database.locks import lock
from webapp.database.store import Store
from webapp.errors import Conflict, InvalidRequest, NotFound

DEFAULT_NAME: Final = "admin"
INVITE_HOURS: Final = 72
FIRST_RUN_HOURS: Final = 24
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,59}")


def check_name(name: str) -> str:
    """The name as it is stored: lower case. Raises :class:`InvalidRequest`."""
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            "Expected a name of 1 to 60 letters, digits, dots, dashes or an e-mail address.",
            field="name",
        )
    return name


def check_password(password: str) -> str:
    """Raises :class:`InvalidRequest` for one that is too short or too long.

    Length is the only rule: demands for digits and signs make passwords worse, not better.
    """
    if not passwords.MIN_LENGTH <= len(password) <= passwords.MAX_LENGTH:
        raise InvalidRequest(
            f"Expected a password of at least {passwords.MIN_LENGTH} characters "
            f"(at most {passwords.MAX_LENGTH}). Received {len(password)}.",
            field="password",
        )
    return password


def find(session: Session, name: str) -> Account | None:
    """The account of that name; what can be nobody's name is not asked of the database."""
    name = name.strip().lower()
    known = select(Account).where(Account.name == name)
    return session.scalar(known) if _NAME.fullmatch(name) else None


def by_id(store: Store, account_id: int) -> Account | None:
    with store.session() as session:
        return session.get(Account, account_id)


def everyone(store: Store) -> Sequence[Account]:
    with store.session() as session:
        return list(session.scalars(select(Account).order_by(Account.name)))


def somebody_can_log_in(store: Store) -> bool:
    """Whether an administrator has a password; otherwise the server is still to be set up."""
    query = select(func.count()).where(Account.role == ADMIN, Account.password_hash.is_not(None))
    with store.session() as session:
        return bool(session.scalar(query))


def create(store: Store, name: str, role: str = ADMIN) -> Account:
    """A new account without a password. Raises :class:`Conflict` where the name is taken."""
    name = check_name(name)
    if role not in ROLES:
        raise InvalidRequest(f"Expected a role of {', '.join(ROLES)}.", field="role")
    try:
        with store.session() as session:
            account = Account(name=name, role=role)
            session.add(account)
    except IntegrityError as error:
        raise Conflict(f"There is an account {name} already.", name=name) from error
    return account


def log_in(store: Store, name: str, password: str) -> Account | None:
    """The account when name and password fit, otherwise None after the same work."""
    with store.session() as session:
        account = find(session, name)
        stored = None if account is None else account.password_hash
    if not passwords.password_fits(password, stored) or account is None:
        return None
    with store.session() as session:
        # the password may have been changed while the old one was being verified
        same = session.execute(
            update(Account)
            .where(Account.id == account.id, Account.password_hash == stored)
            .values(last_login_at=utcnow())
        )
        return account if same.rowcount else None  # type: ignore[attr-defined]


def set_password(store: Store, account_id: int, password: str) -> Account:
    """Set a password; every session and set-up link of the account ends."""
    hashed = passwords.hash_password(check_password(password))
    with store.session() as session:
        return _set_hash(session, account_id, hashed)


def _set_hash(session: Session, account_id: int, hashed: str) -> Account:
    account = session.get(Account, account_id)
    if account is None:
        raise NotFound("There is no such account.", account=account_id)
    account.password_hash = hashed
    account.generation += 1
    session.execute(delete(LoginSession).where(LoginSession.account_id == account_id))
    session.execute(delete(SetupLink).where(SetupLink.account_id == account_id))
    return account


def end_sessions(store: Store, account_id: int) -> None:
    """Log an account out of every browser."""
    with store.session() as session:
        session.execute(
            update(Account)
            .where(Account.id == account_id)
            .values(generation=Account.generation + 1)
        )
        session.execute(delete(LoginSession).where(LoginSession.account_id == account_id))


def remove(store: Store, account_id: int) -> Account:
    """Delete an account with its tokens, sessions and links; its surveys belong to nobody then.

    The last administrator cannot go.
    """
    with store.session() as session:
        lock(session, "administrators")
        account = session.get(Account, account_id)
        if account is None:
            raise NotFound("There is no such account.", account=account_id)
        others = session.scalar(
            select(func.count()).where(
                Account.role == ADMIN, Account.id != account_id, Account.password_hash.is_not(None)
            )
        )
        if account.role == ADMIN and not others:
            raise Conflict("This is the last administrator; make another one first.")
        session.execute(delete(ApiToken).where(ApiToken.account_id == account_id))
        session.delete(account)
        return account


def hash_of(token: str) -> str:
    """SHA-256 of a random token. It has 256 bits, so guessing is no concern and salt no help."""
    return hashlib.sha256(token.encode()).hexdigest()


def make_link(store: Store, account_id: int, hours: float = INVITE_HOURS) -> str:
    """A new set-up token for an account; earlier ones stop working. Shown once, never stored."""
    token = secrets.token_urlsafe(32)
    with store.session() as session:
        session.execute(delete(SetupLink).where(SetupLink.account_id == account_id))
        session.add(
            SetupLink(
                account_id=account_id,
                token_hash=hash_of(token),
                expires_at=utcnow() + timedelta(hours=hours),
            )
        )
    return token


def first_run_link(store: Store) -> str | None:
    """The token of the link that sets up the first administrator; None once there is one."""
    if somebody_can_log_in(store):
        return None
    with suppress(Conflict):  # it is there, perhaps because another node starts in this moment
        create(store, DEFAULT_NAME)
    with store.session() as session:
        account = find(session, DEFAULT_NAME)
    assert account is not None  # noqa: S101 - nobody removes it before there is another
    return make_link(store, account.id, FIRST_RUN_HOURS)


def link_account(store: Store, token: str) -> Account | None:
    """The account that a set-up token is for, while it may be used."""
    query = (
        select(Account)
        .join(SetupLink, SetupLink.account_id == Account.id)
        .where(SetupLink.token_hash == hash_of(token), SetupLink.expires_at > utcnow())
    )
    with store.session() as session:
        return session.scalar(query)


def use_link(store: Store, token: str, password: str) -> Account:
    """Set the password that a set-up link is for; the link is used up in the same transaction.

    Raises :class:`NotFound` for a link that is unknown, used or expired.
    """
    gone = NotFound(
        "This link was used already, has expired or is incomplete. Ask for a new one, or run "
        "`python -m webapp.cli admin set-password` on the server."
    )
    check_password(password)
    if link_account(store, token) is None:  # checked first: hashing costs time, and anyone may ask
        raise gone
    hashed = passwords.hash_password(password)
    with store.session() as session:
        link = session.scalar(select(SetupLink).where(SetupLink.token_hash == hash_of(token)))
        if link is None or link.expires_at <= utcnow():
            raise gone
        account_id = link.account_id
        # of two that use a link at once, one deletes it and the other finds nothing to delete
        used = session.execute(delete(SetupLink).where(SetupLink.id == link.id))
        if not used.rowcount:  # type: ignore[attr-defined]
            raise gone
        return _set_hash(session, account_id, hashed)
