"""The one database of an application, opened and migrated when it is first needed."""

from __future__ import annotations

import threading
from typing import cast

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from webapp.database.store import Store, database_url
from webapp.errors import DatabaseUnavailable
from webapp.files.reserve import DiskReserve
from webapp.web.services import services_of

EXTENSION = "mien.database"


class Database:
    """Opens the :class:`Store` once, whoever asks first; making an application opens nothing."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._store: Store | None = None

    def open(self) -> Store:
        """The migrated store. Raises SQLAlchemyError or OSError where it cannot be opened."""
        with self._lock:
            if self._store is None:
                settings = services_of(self._app).settings
                url = database_url(settings.instance_path)
                reserve = DiskReserve(settings.instance_path, settings.disk_reserve_mb)
                ours = url.startswith("sqlite")
                store = Store(url, reserve.release_if_low) if ours else Store(url)
                reserve.release_if_low()
                store.migrate()
                if ours:
                    reserve.hold()
                self._store = store
            return self._store

    @property
    def opened(self) -> Store | None:
        """The store if anybody has needed it yet."""
        return self._store

    def close(self) -> None:
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None


def init_database(app: Flask) -> None:
    app.extensions[EXTENSION] = Database(app)


def database_of(app: Flask) -> Database:
    """The database of one application, perhaps not opened yet."""
    return cast(Database, app.extensions[EXTENSION])


def store() -> Store:
    """The store of the application that handles the present request.

    Raises :class:`MienError` where the database cannot be opened.
    """
    try:
        return database_of(current_app).open()
    except (SQLAlchemyError, OSError) as error:
        raise DatabaseUnavailable(
            f"The database cannot be opened: {type(error).__name__}. Try again."
        ) from error
