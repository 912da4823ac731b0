"""Uploading, activating and rolling back over HTTP."""

from __future__ import annotations

import sys
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from webapp.access.auth import admin_required
from webapp.admin.requests import READ, WRITE, body, text, who
from webapp.errors import InvalidRequest
from webapp.models.services import models
from webapp.models.wanted import Wanted
from webapp.web.services import services

blueprint = Blueprint("admin_models_api", __name__, url_prefix="/admin/api")


def _labels(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise InvalidRequest("Expected labels as a list of emotions.", field="labels")
    return tuple(value)


def _take_large_body() -> None:
    """Our own limit speaks, with better words, before Flask's."""
    request.max_content_length = sys.maxsize


@blueprint.post("/models/uploads")
@admin_required(scope=WRITE)
def upload() -> ResponseReturnValue:
    """The file is the body; the query says the rest: ``name``, ``filename``, and ``recipe``,
    ``labels`` (separated by commas), ``pixels``, ``licence``, ``evaluation`` where they are known.
    """
    _take_large_body()
    args = request.args
    wanted = Wanted(
        name=args.get("name", "").strip(),
        filename=args.get("filename", "")[:200] or "model",
        by=who(),
        recipe=args.get("recipe", ""),
        labels=_labels(args.get("labels", "")),
        pixels=args.get("pixels", "") or "0-255",
        licence=text(args.get("licence"), "licence", 300),
        evaluation=args.get("evaluation", ""),
    )
    job = models().uploads.begin(wanted, request.stream, request.content_length)
    return jsonify(job.to_json()), 202


@blueprint.get("/models/uploads")
@admin_required(scope=READ)
def uploads() -> ResponseReturnValue:
    return jsonify({"uploads": [job.to_json() for job in models().uploads.all()]})


@blueprint.get("/models/uploads/<upload_id>")
@admin_required(scope=READ)
def upload_state(upload_id: str) -> ResponseReturnValue:
    return jsonify(models().uploads.get(upload_id).to_json())


@blueprint.post("/models/uploads/<upload_id>/labels")
@admin_required(scope=WRITE)
def answer(upload_id: str) -> ResponseReturnValue:
    """The order of the labels that the check asked for: ``{"labels": [...], "pixels": ...}``."""
    given = body()
    labels = _labels(given.get("labels"))
    pixels = text(given.get("pixels"), "pixels") or "0-255"
    return jsonify(models().uploads.answer(upload_id, labels, pixels).to_json()), 202


@blueprint.delete("/models/uploads/<upload_id>")
@admin_required(scope=WRITE)
def cancel(upload_id: str) -> ResponseReturnValue:
    """End the check and remove the file; forget an upload that has ended."""
    return jsonify(models().uploads.cancel(upload_id).to_json())


@blueprint.get("/evaluation-sets")
@admin_required(scope=READ)
def evaluation_sets() -> ResponseReturnValue:
    return jsonify({"sets": [one.to_json() for one in models().sets.all()]})


@blueprint.post("/evaluation-sets")
@admin_required(scope=WRITE)
def add_evaluation_set() -> ResponseReturnValue:
    """A ZIP as the body; ``?name=``. Answers when its faces were read."""
    _take_large_body()
    made = models().sets.add(
        request.args.get("name", ""), request.stream, request.content_length, who()
    )
    models().record("evaluation_set.add", made.name, {"faces": made.faces}, who())
    return jsonify(made.to_json()), 201


@blueprint.delete("/evaluation-sets/<set_id>")
@admin_required(scope=WRITE)
def delete_evaluation_set(set_id: str) -> ResponseReturnValue:
    name = models().sets.get(set_id).name
    models().sets.delete(set_id)
    models().record("evaluation_set.delete", name, {}, who())
    return "", 204


@blueprint.get("/models/serving")
@admin_required(scope=READ)
def serving() -> ResponseReturnValue:
    """What serves, what is being done, how the first minute goes."""
    return jsonify(models().activation.state() | {"workers": services().workers()})


@blueprint.post("/models/<version>/activate")
@admin_required(scope=WRITE)
def activate(version: str) -> ResponseReturnValue:
    """Serve a version from now on; ``{"why": ...}`` is kept in the history."""
    why = text(body().get("why"), "why")
    return jsonify(models().activation.activate(version, who(), why))


@blueprint.post("/models/rollback")
@admin_required(scope=WRITE)
def roll_back() -> ResponseReturnValue:
    """Serve the version that was active before."""
    why = text(body().get("why"), "why")
    return jsonify(models().activation.roll_back(who(), why))


@blueprint.get("/models/history")
@admin_required(scope=READ)
def history() -> ResponseReturnValue:
    entries = models().activation.journal.entries()
    return jsonify({"entries": [entry.to_json() for entry in entries]})
