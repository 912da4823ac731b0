"""The REST interface: analyse one picture, list the models, describe itself."""

from __future__ import annotations

import io
import time
from typing import IO, Any, ClassVar

from flask import Blueprint, Request, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from webapp.access.auth import admin_required, principal
from webapp.api import openapi
from webapp.api.operations import OPERATIONS
from webapp.domain import THOROUGH, FrameResult
from webapp.errors import InvalidRequest, MienError, PayloadTooLarge, WorkerCrashed
from webapp.models.removal import remove_version
from webapp.models.services import models_of
from webapp.web.bodies import PICTURES_BYTES, SMALL_BODY_BYTES, Room
from webapp.web.extensions import limiter
from webapp.web.services import services

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
ANALYZE_PATH = "/api/v1/analyze"
_room = Room(PICTURES_BYTES, PICTURES_BYTES // 4)


class PrivateRequest(Request):
    """A request whose pictures for analysis stay in memory.

    Werkzeug spools uploads to a temporary file; pictures that are only read must not touch the
    disk. Their size is bounded by the content length, which is checked first.
    """

    in_memory_paths: ClassVar[frozenset[str]] = frozenset({ANALYZE_PATH})

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        if self.path in self.in_memory_paths:
            return io.BytesIO()
        return super()._get_file_stream(
            total_content_length, content_type, filename, content_length
        )


def _analyze_limit() -> str:
    return f"{services().settings.api_rate_per_minute} per minute"


def _announced_bytes() -> int:
    """What the body says of its size; one that says nothing counts as the largest."""
    limit: int = services().settings.max_image_bytes + SMALL_BODY_BYTES
    given = request.content_length
    return limit if given is None else min(given, limit)


def _picture() -> bytes:
    """The request's picture. Raises :class:`InvalidRequest` or :class:`PayloadTooLarge`."""
    limit: int = services().settings.max_image_bytes
    request.max_content_length = limit + SMALL_BODY_BYTES
    if request.mimetype == "multipart/form-data" and "boundary" in request.mimetype_params:
        upload = request.files.get("image")
        if upload is None:
            raise InvalidRequest(
                "Expected a multipart field named image with a file. Received the fields: "
                f"{', '.join(sorted({*request.files, *request.form})[:10]) or 'none'}.",
                field="image",
            )
        image = upload.stream.read()
    else:  # whatever the type says: curl calls every body a form by default
        image = request.get_data(cache=False)
    if not image:
        raise InvalidRequest("Expected a picture. Received no bytes.", field="image")
    if len(image) > limit:
        raise PayloadTooLarge(
            f"Expected at most {limit} bytes of picture. Received {len(image)}.",
            max_image_bytes=limit,
        )
    return image


def _read(image: bytes) -> FrameResult:
    """The result; asked for once more where somebody ended the worker that had the picture."""
    inference = services().inference
    try:
        return inference.analyze(image, request=THOROUGH)
    except WorkerCrashed as error:
        if not error.detail.get("killed"):
            raise
    return inference.analyze(image, request=THOROUGH)


@blueprint.post("/analyze")
@limiter.limit(_analyze_limit)
@openapi.operation(openapi.ANALYZE)
def analyze() -> ResponseReturnValue:
    """Find the faces in one picture and read their expressions; nothing is kept."""
    started = time.monotonic()
    metrics = services().metrics
    try:
        with _room.held(request.remote_addr or "", _announced_bytes()):
            result = _read(_picture())
    except MienError as error:
        metrics.failed("api", error.code)
        raise
    metrics.answered("api", time.monotonic() - started)
    return jsonify(result.to_json())


@blueprint.get("/models")
@openapi.operation(openapi.MODELS)
def models() -> ResponseReturnValue:
    """Every model version with its card's figures, and which one is active."""
    registry = services().registry
    if registry is None:
        return jsonify({"active": None, "serving": services().inference.version, "models": []})
    try:
        active = registry.active().version
    except MienError:  # none, or a damaged one: the others are listed all the same
        active = None
    rows: list[dict[str, Any]] = [
        {
            "version": known.version,
            "active": known.version == active,
            "recipe": known.card.recipe,
            "created": known.card.created,
            "serving_head": known.card.serving_head,
            "mixture": known.card.mixture_facts(),
            "emotions": list(known.card.emotions),
            "metrics": dict(known.card.metrics),
            "intended_use": known.card.intended_use,
            "limits": known.card.limits,
            "licence": known.card.licence,
        }
        for known in registry.versions()
    ]
    return jsonify({"active": active, "serving": services().inference.version, "models": rows})


@blueprint.delete("/models/<version>")
@admin_required(scope="models:write")
@openapi.operation(openapi.DELETE_MODEL)
def delete_model(version: str) -> ResponseReturnValue:
    """Delete a model version that nothing uses, for good; for administrators."""
    who = principal()
    remove_version(models_of(current_app), version, "nobody" if who is None else who.label)
    return "", 204


@blueprint.get("/openapi.json")
@openapi.operation(openapi.DOCUMENT)
def document() -> ResponseReturnValue:
    """This interface as OpenAPI 3.1."""
    return jsonify(openapi.describe(current_app, OPERATIONS))
