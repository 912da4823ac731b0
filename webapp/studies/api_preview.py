"""Trying a study out: a run of the researcher's own, and a study that ships."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from webapp.studies.api import creation_limit, private, refuse_other_sites, whole_json
from webapp.studies.demo import make_demo
from webapp.studies.participant_api import begun_json
from webapp.studies.service import studies
from webapp.survey.sharing import owner_of_new
from webapp.web.extensions import limiter

blueprint = Blueprint("study_trial_api", __name__, url_prefix="/api/v1/studies")
blueprint.before_request(refuse_other_sites)


@blueprint.post("/<study_id>/preview")
def preview(study_id: str) -> ResponseReturnValue:
    """Begin as a participant would, in a draft too; nothing of it enters the report."""
    return private(jsonify(begun_json(studies().participants.preview(study_id)))), 201


@blueprint.post("/demo")
@limiter.limit(creation_limit)
def demo() -> ResponseReturnValue:
    """Make an open study that shows a short generated animation, to try everything out."""
    return jsonify(whole_json(make_demo(studies(), owner_of_new()))), 201
