"""``python -m webapp.cli admin``: accounts without a browser, for whoever has the server."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import SQLAlchemyError

from webapp.access import accounts
from webapp.access.audit import record_in
from webapp.database.access_tables import ADMIN, ROLES, Account
from webapp.database.store import Store, database_url
from webapp.settings import Settings


@contextmanager
def _store() -> Iterator[Store]:
    opened = Store(database_url(Settings.from_environment().instance_path))
    try:
        opened.migrate()
        yield opened
    finally:
        opened.close()


def _account(opened: Store, name: str, role: str) -> Account:
    """The account of that name, made where there is none."""
    name = accounts.check_name(name)
    with opened.session() as session:
        found = accounts.find(session, name)
    return found or accounts.create(opened, name, role)


def _record(opened: Store, action: str, subject: str) -> None:
    try:
        who = getpass.getuser()
    except (KeyError, OSError):  # a container without a user table
        who = "somebody"
    record_in(opened, action, subject, actor=f"{who} (command line)")


def record_if_possible(action: str, subject: str, actor: str) -> None:
    """Add to the audit log what was done; a database that is away is told and changes nothing."""
    try:
        with _store() as opened:
            record_in(opened, action, subject, actor=actor)
    except (SQLAlchemyError, OSError) as error:
        click.echo(f"The audit log cannot be written: {type(error).__name__}", err=True)


@click.group()
def admin() -> None:
    """Accounts of the admin area."""


_NAME = click.option("--name", default=accounts.DEFAULT_NAME, show_default=True)
_ROLE = click.option(
    "--role", type=click.Choice(ROLES), default=ADMIN, help="Of an account that is made."
)


@admin.command("set-password")
@_NAME
@_ROLE
@click.password_option(help="Asked for when left out; on a command line others may read it.")
def set_password(name: str, role: str, password: str) -> None:
    """Set a password; makes the account where there is none and logs it out everywhere."""
    accounts.check_password(password)
    with _store() as opened:
        account = accounts.set_password(opened, _account(opened, name, role).id, password)
        _record(opened, "account.password", account.name)
    click.echo(f"The password of {account.name} is set; its browsers are logged out.")


@admin.command("setup-link")
@_NAME
@_ROLE
@click.option("--url", default="http://127.0.0.1:5000/", show_default=True, help="Of the server.")
def setup_link(name: str, role: str, url: str) -> None:
    """Print a link with which somebody chooses their own password, once."""
    with _store() as opened:
        account = _account(opened, name, role)
        token = accounts.make_link(opened, account.id)
        _record(opened, "account.link", account.name)
    click.echo(f"{url.rstrip('/')}/admin/setup#{token}")


@admin.command("list")
def list_accounts() -> None:
    """Print every account."""
    with _store() as opened:
        for account in accounts.everyone(opened):
            state = "" if account.password_hash else "  (no password yet)"
            click.echo(f"{account.name}  {account.role}{state}")
