"""Large files in parts over HTTP (see :mod:`webapp.survey.intake.resumable`)."""

from __future__ import annotations

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from webapp.survey.api import blueprint, json_body
from webapp.survey.intake.resumable import read_announcement
from webapp.survey.service import surveys
from webapp.web.bodies import LIST_BODY_BYTES


@blueprint.post("/<survey_id>/large")
def large_announce(survey_id: str) -> ResponseReturnValue:
    """Open or find an upload: ``{path, group, size, part_bytes, head, hashes | modified}``."""
    opened = surveys()
    request.max_content_length = LIST_BODY_BYTES
    announced, head = read_announcement(json_body(), opened.settings)
    return jsonify(opened.parts.announce(survey_id, announced, head).to_json())


@blueprint.put("/<survey_id>/large/<key>/<int:number>")
def large_part(survey_id: str, key: str, number: int) -> ResponseReturnValue:
    """One part as the body."""
    opened = surveys()
    request.max_content_length = opened.settings.survey_part_bytes
    return jsonify({"have": opened.parts.put(survey_id, key, number, request.stream)})


@blueprint.post("/<survey_id>/large/<key>/finish")
def large_finish(survey_id: str, key: str) -> ResponseReturnValue:
    """Put the parts together; the answer is a receipt as for every other file."""
    return jsonify(surveys().parts.finish(survey_id, key).to_json())


@blueprint.delete("/<survey_id>/large/<key>")
def large_abandon(survey_id: str, key: str) -> ResponseReturnValue:
    surveys().parts.abandon(survey_id, key)
    return "", 204
