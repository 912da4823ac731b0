"""The status page, and its figures as JSON."""

from __future__ import annotations

from flask import current_app, jsonify, render_template
from flask.typing import ResponseReturnValue

from webapp.access.auth import admin_required
from webapp.admin.login_pages import blueprint
from webapp.monitoring.status import figures

REFRESH_MS = 2000


@blueprint.get("/status")
@admin_required
def status() -> ResponseReturnValue:
    """Workers, live connections, speed, analyses, disk and errors; the page refreshes itself."""
    config = {"api": "/admin/api/status", "refresh_ms": REFRESH_MS, "now": _figures()}
    return render_template("admin/status.html", config=config)


@blueprint.get("/api/status")
@admin_required(scope="status:read")
def status_json() -> ResponseReturnValue:
    """The figures of the status page and of /metrics."""
    return jsonify(_figures())


def _figures() -> dict[str, object]:
    return figures(current_app._get_current_object())  # type: ignore[attr-defined]
