"""The model services of one application: activation, uploads, evaluation sets and the shadow."""

from __future__ import annotations

import logging
from typing import Any, Final, cast

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from webapp.access.audit import record_in
from webapp.database.store import Store
from webapp.models.activation import Activation
from webapp.models.evaluation_sets import EvaluationSets
from webapp.models.shadow import Shadow
from webapp.models.uploads import Uploads
from webapp.web.open_database import database_of
from webapp.web.services import services_of

EXTENSION: Final = "mien.models"
_log = logging.getLogger("mien.models")


class Models:
    """What the model pages use."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        settings = services_of(app).settings
        self.activation = Activation(app)
        self.sets = EvaluationSets(settings)
        self.uploads = Uploads(settings, self.sets, self.record)
        self.shadow = Shadow(app, self.record)

    def start(self) -> None:
        """Remove what a dead server left and begin to watch; called once the server serves."""
        left = self.uploads.sweep() + self.sets.sweep()
        if left:
            _log.warning("removed %d unfinished uploads of an earlier run", left)
        self.activation.start()

    def stop(self) -> None:
        self.shadow.close()
        self.activation.stop()
        self.uploads.stop()

    def store(self) -> Store:
        """The database. Raises SQLAlchemyError or OSError where it cannot be opened."""
        return database_of(self._app).open()

    def record(self, action: str, subject: str, detail: dict[str, Any], who: str) -> None:
        """Write the audit log, also outside of a request; without a database it is only logged."""
        try:
            record_in(self.store(), action, subject, detail, actor=who)
        except (SQLAlchemyError, OSError) as error:
            _log.error("the audit log cannot be written: %s", type(error).__name__)


def add_models(app: Flask) -> Models:
    """Give the application its model services."""
    app.extensions[EXTENSION] = models = Models(app)
    return models


def models_of(app: Flask) -> Models:
    return cast(Models, app.extensions[EXTENSION])


def models() -> Models:
    """Those of the application that handles the present request."""
    return models_of(current_app)
