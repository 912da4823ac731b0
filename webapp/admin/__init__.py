"""The administrator's area: access, models, status, and the log of who did what."""

from __future__ import annotations

from flask import Flask


def init_admin(app: Flask) -> None:
    """Add login, access control and the admin pages to an application."""
    from webapp.access import auth, gate, throttle
    from webapp.admin import access_pages, audit_page, login_pages, status_page, version_pages
    from webapp.admin.model_routes import init_models

    auth.init_auth(app)
    throttle.init_throttle(app)
    gate.init_gate(app)
    init_models(app)
    del access_pages, audit_page, version_pages, status_page  # importing them has added their views
    app.register_blueprint(login_pages.blueprint)
