"""Adds studies to an application: HTTP, Socket.IO, and what they need."""

from __future__ import annotations

from flask import Flask

from webapp.studies import api, api_preview, pages, participant_api, report_api
from webapp.studies.events import init_events
from webapp.studies.service import EXTENSION, LazyStudies
from webapp.web.services import Services


def init_studies(app: Flask, services: Services) -> LazyStudies:
    """Add studies to an application. Nothing is opened yet."""
    lazy = LazyStudies(app)
    app.extensions[EXTENSION] = lazy
    init_events(app, services, lazy)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(participant_api.blueprint)
    app.register_blueprint(api_preview.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(report_api.blueprint)
    return lazy
