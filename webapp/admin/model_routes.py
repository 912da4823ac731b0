"""Everything that is served of models: their pages and their interface over HTTP."""

from __future__ import annotations

from flask import Flask

from webapp.admin import model_api, shadow_pages, upload_pages
from webapp.models.services import Models, add_models


def init_models(app: Flask) -> Models:
    """Add the model services and what is served of them."""
    for blueprint in (
        model_api.blueprint,
        upload_pages.upload_blueprint,
        upload_pages.history_blueprint,
        shadow_pages.blueprint,
    ):
        app.register_blueprint(blueprint)
    return add_models(app)
