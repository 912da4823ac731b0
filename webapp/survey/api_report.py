"""Reports over HTTP beside their files: who is in the pictures, tags, and a report made again."""

from __future__ import annotations

from flask import jsonify
from flask.typing import ResponseReturnValue

from webapp.languages import said
from webapp.survey.api import blueprint, find_job, job_json, json_body, tags_of, text_of
from webapp.survey.service import surveys


@blueprint.get("/<survey_id>/respondents")
def respondents_guess(survey_id: str) -> ResponseReturnValue:
    """Who is in the pictures as far as their paths show: ``{"guess": {...} or null}``."""
    guess = surveys().people.guess(survey_id)
    words = None if guess is None else guess.to_json() | {"words": said(guess.words)}
    return jsonify({"guess": words})


@blueprint.post("/<survey_id>/respondents")
def respondents_rule(survey_id: str) -> ResponseReturnValue:
    """Read respondents from the paths: ``{"rule", "pattern"}``; says how many files have one."""
    body = json_body()
    named = surveys().people.set_rule(survey_id, text_of(body, "rule"), text_of(body, "pattern"))
    return jsonify({"matched": named})


@blueprint.put("/<survey_id>/tags")
def tags(survey_id: str) -> ResponseReturnValue:
    """Replace the tags: ``{"tags": [...]}``."""
    return jsonify({"tags": surveys().catalog.set_tags(survey_id, tags_of(json_body()))})


@blueprint.post("/<survey_id>/jobs/<int:job_id>/report")
def report_again(survey_id: str, job_id: int) -> ResponseReturnValue:
    """Make the report of a finished analysis again, with the labels given since."""
    find_job(survey_id, job_id)
    opened = surveys()
    opened.runner.jobs.report_again(job_id)
    opened.runner.wake()
    return jsonify(job_json(find_job(survey_id, job_id))), 202
