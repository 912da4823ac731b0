"""The administrator's area: access, models, status, and the log of who did what."""

from __future__ import annotations

from flask import Flask


def init_admin(app: Flask) -> None:
    """Add login, access control and the admin pages to an application."""
    from webapp.admin import activation, audit_page, auth, routes, throttle

    auth.init_auth(app)
    throttle.init_throttle(app)
    activation.init_activation(app)
    del audit_page  # importing it has added its views to the blueprint
    app.register_blueprint(routes.blueprint)
