"""The shadow page, and starting and stopping a trial."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from webapp.access.auth import admin_required
from webapp.admin.requests import READ, WRITE, body, text, who
from webapp.domain import EMOTIONS
from webapp.errors import InvalidRequest
from webapp.models.registry import Registry
from webapp.models.services import models
from webapp.models.shadow import RUNNING
from webapp.web.services import services

blueprint = Blueprint("admin_shadow", __name__, url_prefix="/admin")


def _now() -> dict[str, Any]:
    trial = models().shadow.trial
    now = None if trial is None else trial.to_json()
    return {
        # of the same moment as the rest: the trial may end while this is written
        "running": now is not None and now["state"] in RUNNING,
        "trial": now,
        "results": models().shadow.results(),
    }


@blueprint.get("/shadow")
@admin_required
def index() -> ResponseReturnValue:
    """Start a trial, see how it goes, and the results of those before."""
    serving = services().inference.version
    versions = [v.version for v in Registry(services().settings.models_path).versions()]
    return render_template(
        "admin/shadow.html",
        serving=serving,
        candidates=[name for name in reversed(versions) if name != serving],
        chosen=request.args.get("candidate", ""),
        surveys=models().shadow.kept_surveys(),
        config={
            "api": "/admin/api",
            "surveys": "/api/v1/surveys",
            "emotions": list(EMOTIONS),
            "now": _now(),
        },
    )


@blueprint.get("/api/shadow")
@admin_required(scope=READ)
def state() -> ResponseReturnValue:
    return jsonify(_now())


def _number(value: Any, name: str, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidRequest(f"Expected {name} as a number.", field=name)
    return float(value)


@blueprint.post("/api/shadow")
@admin_required(scope=WRITE)
def start() -> ResponseReturnValue:
    """``{"candidate": ..., "share": 0.2, "minutes": 10, "survey": id or nothing}``."""
    given = body()
    trial = models().shadow.begin(
        text(given.get("candidate"), "candidate", 100),
        who(),
        share=_number(given.get("share"), "share", 0.2),
        minutes=_number(given.get("minutes"), "minutes", 10.0),
        survey=text(given.get("survey"), "survey", 64),
    )
    return jsonify(trial.to_json()), 202


@blueprint.delete("/api/shadow")
@admin_required(scope=WRITE)
def stop() -> ResponseReturnValue:
    return jsonify(models().shadow.end(who()).to_json())
