"""The survey pages: list, form, one survey (upload and progress), report and review."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import Blueprint, Flask, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.access.auth import logged_in
from webapp.database.survey_tables import ENDED_JOB_STATES, Job
from webapp.domain import EMOTIONS
from webapp.errors import NotFound
from webapp.survey import api, api_parts, api_report, api_review  # noqa: F401 - they add routes
from webapp.survey.api_sharing import sharing_json
from webapp.survey.catalog import find_survey
from webapp.survey.events import NAMESPACE, init_events
from webapp.survey.labels import UNUSABLE
from webapp.survey.ledger import current_ledger
from webapp.survey.power import people_needed
from webapp.survey.purposes import PURPOSES
from webapp.survey.report.facts import compare_reports
from webapp.survey.report.html_export import FILTERS
from webapp.survey.report.page_cache import PAGE, for_page, read_report
from webapp.survey.report.part import choices, part_in_process
from webapp.survey.report.part import chosen as chosen_part
from webapp.survey.report.phrases import looking
from webapp.survey.service import EXTENSION, LazySurveys, surveys

blueprint = Blueprint("survey", __name__, url_prefix="/surveys")


@blueprint.get("")
def index() -> ResponseReturnValue:
    return render_template(
        "surveys.html", rows=api.visible_rows(), owners=surveys().settings.require_login
    )


@blueprint.get("/new")
def new() -> ResponseReturnValue:
    return render_template(
        "survey_new.html",
        purposes=PURPOSES,
        emotions=EMOTIONS,
        looking=looking,
        power=[(points, people_needed(points / 100)) for points in (10, 15, 20, 30, 40)],
    )


def _jobs(survey_id: str) -> list[Job]:
    with surveys().store.session() as session:
        find_survey(session, survey_id)
        return list(session.query(Job).where(Job.survey_id == survey_id).order_by(Job.id.desc()))


def _my_name() -> str:
    who = logged_in()
    return "" if who is None else who.name


@blueprint.get("/<survey_id>")
def show(survey_id: str) -> ResponseReturnValue:
    """Upload and progress; a link to the report once there is one."""
    opened = surveys()
    survey = opened.catalog.get(survey_id)
    jobs = _jobs(survey_id)
    job = jobs[0] if jobs else None
    with opened.store.session() as session:
        ledger = current_ledger(session, survey_id, job)
    settings = opened.settings
    config: dict[str, Any] = {
        "survey": survey_id,
        "api": f"/api/v1/surveys/{survey_id}",
        "namespace": NAMESPACE,
        "groups": [group.name for group in opened.catalog.groups(survey_id)],
        "job": None if job is None else api.job_json(job),
        "uploaded": ledger.uploaded,
        "report": url_for("survey.report", survey_id=survey_id),
        "sharing": sharing_json(survey_id) if settings.require_login else None,
        "me": _my_name(),
        "limits": {
            "picture": settings.max_image_bytes,
            "video": settings.survey_max_video_bytes,
            "archive": settings.survey_max_archive_bytes,
            "files": settings.survey_max_files,
            "part": settings.survey_part_bytes,
        },
    }
    return render_template(
        "survey.html",
        survey=survey,
        job=job,
        jobs=jobs,
        ledger=ledger.to_json(),
        config=config,
        versions=opened.versions(),
        ended=ENDED_JOB_STATES,
    )


def _report(survey_id: str, job_id: int) -> dict[str, Any]:
    """The report as :func:`webapp.survey.report.page_cache.for_page` gives it."""
    files = surveys().catalog.files
    folder = surveys().catalog.folders.job(survey_id, job_id)
    direct = files.direct(folder / PAGE)
    try:
        if direct is not None:
            return read_report(direct)
        loaded: dict[str, Any] = json.loads(files.read(folder / PAGE))
        return loaded
    except FileNotFoundError:
        pass  # made by an older version: the whole report has all that is needed
    try:
        return for_page(json.loads(files.read(folder / "report.json")))
    except FileNotFoundError:
        raise NotFound("This analysis has no report yet.", job=job_id) from None


@blueprint.get("/<survey_id>/report")
def report(survey_id: str) -> ResponseReturnValue:
    """The report of the newest finished analysis, or of ``?job=``; ``?against=`` sets two side
    by side, ``?only=`` shows some people alone, ``?by=`` makes a column of the CSV the groups.
    """
    opened = surveys()
    survey = opened.catalog.get(survey_id)
    done = [job for job in _jobs(survey_id) if job.state == "done"]
    wanted = request.args.get("job", type=int)
    chosen = next((job for job in done if wanted in (None, job.id)), None)
    if chosen is None:
        raise NotFound("This survey has no finished analysis yet.", survey=survey_id)
    found = _report(survey_id, chosen.id)
    whole = found
    only, by = chosen_part(found, request.args.get("only", ""), request.args.get("by", ""))
    if only or by:
        made = hashlib.sha256(json.dumps(found["overall"]).encode()).hexdigest()
        cell = opened.settings.survey_min_cell
        instance = opened.settings.instance_path.resolve()
        found = part_in_process(opened.store.url, instance, chosen.id, cell, only, by, made)
    against = request.args.get("against", type=int)
    other = next((job for job in done if job.id == against and job.id != chosen.id), None)
    changes = None if other is None else compare_reports(_report(survey_id, other.id), found)
    base = f"/api/v1/surveys/{survey_id}"
    return render_template(
        "survey_report.html",
        survey=survey,
        job=chosen,
        done=done,
        other=other,
        changes=changes,
        report=found,
        parts=choices(whole),
        only=request.args.get("only", ""),
        by=by,
        pictures=survey.pictures_deleted_at is None,
        review_url=url_for("survey.review", survey_id=survey_id, job=chosen.id, queue="uncertain"),
        still_url=lambda frame: (
            f"{base}/jobs/{chosen.id}/stills/{frame['upload']}-{frame['t_ms']}.jpg"
        ),
        config={"api": base, "job": chosen.id},
    )


@blueprint.get("/<survey_id>/review")
def review(survey_id: str) -> ResponseReturnValue:
    """Label faces by keyboard, while the pictures are kept."""
    survey = surveys().catalog.get(survey_id)
    wanted = request.args.get("job", type=int)
    jobs = [job for job in _jobs(survey_id) if job.state == "done"]
    chosen = next((job for job in jobs if wanted in (None, job.id)), None)
    if chosen is None:
        raise NotFound("This survey has no finished analysis yet.", survey=survey_id)
    queue = "uncertain" if request.args.get("queue") == "uncertain" else "random"
    return render_template(
        "survey_review.html",
        survey=survey,
        job=chosen,
        queue=queue,
        kept=survey.pictures_deleted_at is None,
        config={
            "api": f"/api/v1/surveys/{survey_id}",
            "job": chosen.id,
            "queue": queue,
            "emotions": list(EMOTIONS),
            "unusable": UNUSABLE,
        },
    )


def init_surveys(app: Flask) -> LazySurveys:
    """Add surveys to an application: pages, HTTP, Socket.IO. Nothing is opened yet."""
    lazy = LazySurveys(app)
    app.extensions[EXTENSION] = lazy
    for name, function in FILTERS.items():
        app.add_template_filter(function, name)
    init_events(app, lazy)
    app.register_blueprint(blueprint)
    app.register_blueprint(api.blueprint)
    return lazy
