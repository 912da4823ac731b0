"""What a server says at its start while no administrator has a password."""

from __future__ import annotations

import logging

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from webapp.access import accounts
from webapp.web.open_database import database_of

_log = logging.getLogger(__name__)


def print_first_run_link(app: Flask, url: str) -> None:
    """Print a one-time link to choose the first password, until somebody has.

    Each start prints a new one and the last one stops working. A database that is away is no
    reason not to serve; nothing is printed then.
    """
    try:
        token = accounts.first_run_link(database_of(app).open())
    except (SQLAlchemyError, OSError) as error:
        _log.error("The database of accounts cannot be opened now: %s", error)
        return
    if token is not None:
        print(
            f"Set up the administrator within {accounts.FIRST_RUN_HOURS} hours, once: "
            f"{url}admin/setup#{token}",
            flush=True,
        )
