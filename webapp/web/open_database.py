"""The one database of an application, opened and migrated when it is first needed."""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app

from webapp.database.store import Store, database_url
from webapp.files.reserve import DiskReserve
from webapp.web.opened_once import OpenedOnce
from webapp.web.services import services_of

EXTENSION = "mien.database"


class Database(OpenedOnce[Store]):
    """The migrated store of an application."""

    def _make(self) -> Store:
        settings = services_of(self._app).settings
        url = database_url(settings.instance_path)
        reserve = DiskReserve(settings.instance_path, settings.disk_reserve_mb)
        ours = url.startswith("sqlite")
        store = Store(url, reserve.release_if_low) if ours else Store(url)
        reserve.release_if_low()
        store.migrate()
        if ours:
            reserve.hold()
        return store


def init_database(app: Flask) -> None:
    app.extensions[EXTENSION] = Database(app)


def database_of(app: Flask) -> Database:
    """The database of one application, perhaps not opened yet."""
    return cast(Database, app.extensions[EXTENSION])


def store() -> Store:
    """The store of the application that handles the present request.

    Raises :class:`MienError` where the database cannot be opened.
    """
    return database_of(current_app).open_for_request()
