"""The administrator's area: access, models, status, and the log of who did what."""

from __future__ import annotations

from flask import Flask


def init_admin(app: Flask) -> None:
    """Add login, access control and the admin pages to an application."""
    from webapp.access import auth, gate, throttle
    from webapp.admin import access_pages as access_page
    from webapp.admin import audit_page, status_page
    from webapp.admin import login_pages as routes
    from webapp.admin import version_pages as models_page
    from webapp.models import services as models

    auth.init_auth(app)
    throttle.init_throttle(app)
    gate.init_gate(app)
    models.init_models(app)
    del access_page, audit_page, models_page, status_page  # importing them has added their views
    app.register_blueprint(routes.blueprint)
