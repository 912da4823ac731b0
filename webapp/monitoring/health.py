"""/healthz, /readyz and /metrics, for whoever watches the server."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify
from flask.typing import ResponseReturnValue

from webapp.cluster.node import node_of
from webapp.database.intact import DatabaseCheck
from webapp.database.store import database_url
from webapp.monitoring.metrics import CONTENT_TYPE
from webapp.web.services import services
from webapp.web.turns import beside_the_loop

_database = DatabaseCheck()
blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """The web process answers."""
    return jsonify({"ok": True})


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """A worker can take a picture, and the database is whole; otherwise status 503."""
    workers = services().workers()
    ready = workers["ready"] > 0
    body = {"ok": ready, "model": services().inference.version, "workers": workers}
    node = node_of(current_app)
    if node is not None:
        body["node"] = node.state()
    url = database_url(services().settings.instance_path)
    fault = beside_the_loop(_database.fault, url)
    if fault is not None:
        ready = body["ok"] = False
        body["database"] = f"The database {fault}."
    return jsonify(body), 200 if ready else 503


@blueprint.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Prometheus text format."""
    return Response(services().metrics.render(), content_type=CONTENT_TYPE)
