"""Surveys over HTTP, under ``/api/v1/surveys``."""

from __future__ import annotations

from datetime import datetime, time, timezone
from io import BytesIO
from pathlib import Path
from typing import Any, cast

from flask import Blueprint, Response, jsonify, request, send_file
from flask.typing import ResponseReturnValue

from webapp.database.survey_tables import Job, Survey, Upload
from webapp.errors import Conflict, Forbidden, InvalidRequest, NotFound
from webapp.files.kinds import HEAD_BYTES, IMAGE, image_type
from webapp.languages import language
from webapp.survey.analysis.runner import latest_job
from webapp.survey.catalog import NewSurvey, SurveyRow, find_survey
from webapp.survey.ledger import current_ledger
from webapp.survey.report.exports import FORMATS, file_of
from webapp.survey.respondents import read_mapping
from webapp.survey.service import surveys
from webapp.survey.sharing import note, owner_name, owner_of_new, viewer, visible_to
from webapp.web.bodies import LIST_BODY_BYTES
from webapp.web.extensions import limiter
from webapp.web.headers import allowed_origins, origin_allowed
from webapp.web.services import services
from webapp.web.turns import beside_the_loop

blueprint = Blueprint("survey_api", __name__, url_prefix="/api/v1/surveys")
MAX_CHECKED = 5000
MAX_MAPPING_BYTES = 5_000_000


@blueprint.before_request
def refuse_other_sites() -> None:
    """A page of another site must not change surveys with its visitor's connection."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    extra = allowed_origins(surveys().settings)
    if not origin_allowed(request.headers.get("Origin"), request.environ, extra):
        raise Forbidden("This request came from a page of another site.")


def json_body() -> dict[str, Any]:
    """The request's JSON object. Raises :class:`InvalidRequest`."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise InvalidRequest("Expected a JSON object as the body.")
    return cast(dict[str, Any], body)


def text_of(body: dict[str, Any], name: str, default: str = "") -> str:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise InvalidRequest(f"Expected {name} as text.", field=name)
    return value


def tags_of(body: dict[str, Any]) -> list[str]:
    """The list of words under "tags"; empty where there is none."""
    tags = body.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidRequest("Expected tags as a list of words.", field="tags")
    return tags


def _date(value: Any) -> datetime | None:
    if value in (None, ""):
        return None
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidRequest(
            f"Expected a date such as 2030-01-31. Received {value!r}.", field="keep_until"
        ) from error
    if "T" not in str(value):
        parsed = datetime.combine(parsed.date(), time(23, 59, 59))
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)


def job_json(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "model": job.model_version,
        "total": job.total,
        "created_at": job.created_at.isoformat(),
        "ended_at": None if job.ended_at is None else job.ended_at.isoformat(),
        "error": job.error,
    }


def visible_rows() -> list[SurveyRow]:
    """The surveys that the present request may see."""
    account_id = viewer()
    return surveys().catalog.rows(visible=None if account_id is None else visible_to(account_id))


def survey_json(row: SurveyRow) -> dict[str, Any]:
    survey = row.survey
    return {
        "id": survey.id,
        "name": survey.name,
        "tags": [tag for tag in survey.tags.split(",") if tag],
        "purpose": survey.purpose,
        "created_at": survey.created_at.isoformat(),
        "keep_until": None if survey.keep_until is None else survey.keep_until.isoformat(),
        "pictures_deleted": survey.pictures_deleted_at is not None,
        "files": row.files,
        "job": None if row.job is None else job_json(row.job),
        "owner": row.owner,
    }


@blueprint.get("")
def list_surveys() -> ResponseReturnValue:
    return jsonify({"surveys": [survey_json(row) for row in visible_rows()]})


def _creation_limit() -> str:
    return f"{services().settings.surveys_per_hour} per hour"


@blueprint.post("")
@limiter.limit(_creation_limit)
def create() -> ResponseReturnValue:
    body = json_body()
    groups = body.get("groups") or []
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise InvalidRequest("Expected groups as a list of names.", field="groups")
    try:
        video_fps = float(body.get("video_fps", 2.0))
    except (TypeError, ValueError, OverflowError):
        raise InvalidRequest("Expected a number of samples a second.", field="video_fps") from None
    survey = surveys().catalog.create(
        NewSurvey(
            name=text_of(body, "name"),
            purpose=text_of(body, "purpose"),
            purpose_text=text_of(body, "purpose_text"),
            consent=body.get("consent") is True,
            groups=groups,
            keep_until=_date(body.get("keep_until")),
            several_faces=text_of(body, "several_faces", "exclude"),
            respondent_rule=text_of(body, "respondent_rule", "none"),
            respondent_pattern=text_of(body, "respondent_pattern"),
            video_fps=video_fps,
            primary_outcome=text_of(body, "primary_outcome"),
            tags=tags_of(body),
        ),
        owner_of_new(),
        surveys().settings.survey_max_surveys,
    )
    return jsonify(survey_json(_row(survey, 0))), 201


def _row(survey: Survey, files: int, job: Job | None = None) -> SurveyRow:
    with surveys().store.session() as session:
        return SurveyRow(survey, files, job, owner_name(session, survey))


@blueprint.get("/<survey_id>")
def show(survey_id: str) -> ResponseReturnValue:
    opened = surveys()
    survey = opened.catalog.get(survey_id)
    job = latest_job(opened.catalog, survey_id)
    with opened.store.session() as session:
        ledger = current_ledger(session, survey_id, job)
    payload = survey_json(_row(survey, ledger.uploaded, job))
    payload["ledger"] = ledger.to_json()
    payload["groups"] = [group.name for group in opened.catalog.groups(survey_id)]
    return jsonify(payload)


@blueprint.delete("/<survey_id>")
def delete(survey_id: str) -> ResponseReturnValue:
    survey = surveys().catalog.get(survey_id)
    surveys().catalog.delete(survey_id)
    note("survey.delete", survey)
    return "", 204


@blueprint.delete("/<survey_id>/pictures")
def delete_pictures(survey_id: str) -> ResponseReturnValue:
    opened = surveys()
    opened.catalog.get(survey_id)
    job = latest_job(opened.catalog, survey_id)
    if job is not None and job.live_key is not None:
        raise Conflict("The survey is being analysed; wait for the end or cancel it.")
    opened.catalog.delete_pictures(survey_id)
    return "", 204


@blueprint.post("/<survey_id>/files/check")
def check(survey_id: str) -> ResponseReturnValue:
    """Which of the named files need not be sent: ``{"files": [...]}`` -> ``{"known": [...]}``."""
    request.max_content_length = LIST_BODY_BYTES
    files = json_body().get("files")
    if not isinstance(files, list) or len(files) > MAX_CHECKED:
        raise InvalidRequest(f"Expected at most {MAX_CHECKED} files.", field="files")
    if not all(isinstance(file, dict) for file in files):
        raise InvalidRequest("Expected files as objects.", field="files")
    return jsonify({"known": surveys().uploads.known(survey_id, files)})


@blueprint.put("/<survey_id>/files")
def upload(survey_id: str) -> ResponseReturnValue:
    """One file as the body, ``?path=...&group=...`` saying what it is.

    Without a group, the folders in a ZIP are the groups.
    """
    opened = surveys()
    settings = opened.settings
    request.max_content_length = int(
        max(settings.survey_max_archive_bytes, settings.survey_max_video_bytes)
    )
    receipt = opened.uploads.receive(
        survey_id,
        request.args.get("group", ""),
        request.args.get("path", ""),
        request.stream,
    )
    return jsonify(receipt.to_json())


@blueprint.put("/<survey_id>/respondents")
def respondents(survey_id: str) -> ResponseReturnValue:
    """A CSV with the columns file and respondent; how many files it named, and what in vain."""
    request.max_content_length = MAX_MAPPING_BYTES
    mapping = beside_the_loop(read_mapping, request.get_data(cache=False))
    return jsonify(surveys().people.map(survey_id, mapping).to_json())


@blueprint.post("/<survey_id>/jobs")
def start(survey_id: str) -> ResponseReturnValue:
    # a body is not needed, but one that is sent must be what we read
    version = text_of(json_body(), "model") if request.content_length else ""
    opened = surveys()
    job = opened.runner.jobs.start(survey_id, opened.model(version or None))
    opened.runner.wake()
    return jsonify(job_json(job)), 202


def find_job(survey_id: str, job_id: int) -> Job:
    """The job of that survey. Raises :class:`NotFound`."""
    with surveys().store.session() as session:
        find_survey(session, survey_id)
        job = session.get(Job, job_id)
        if job is None or job.survey_id != survey_id:
            raise NotFound("There is no such analysis.", job=job_id)
        return job


@blueprint.post("/<survey_id>/jobs/<int:job_id>/cancel")
def cancel(survey_id: str, job_id: int) -> ResponseReturnValue:
    find_job(survey_id, job_id)
    surveys().runner.jobs.cancel(job_id)
    return "", 202


@blueprint.get("/<survey_id>/progress")
def progress(survey_id: str) -> ResponseReturnValue:
    opened = surveys()
    opened.catalog.get(survey_id)
    now = opened.progress(survey_id)
    return jsonify({"state": None} if now is None else now.to_json())


@blueprint.get("/<survey_id>/jobs/<int:job_id>/export/<form>")
def export(survey_id: str, job_id: int, form: str) -> ResponseReturnValue:
    """A finished report as html, json, xlsx, faces.csv or pictures.csv."""
    job = find_job(survey_id, job_id)
    if form not in FORMATS:
        raise NotFound(f"Expected one of {', '.join(FORMATS)}. Received {form!r}.")
    name, mime = FORMATS[form]
    if job.state != "done":
        raise NotFound("This analysis has no report yet.", job=job_id)
    folder = surveys().catalog.folders.job(survey_id, job_id)
    content = _content(folder / file_of(form, language())) or _content(folder / name)
    if content is None:
        raise NotFound("This analysis has no report yet.", job=job_id)
    survey = surveys().catalog.get(survey_id)
    download = download_name(survey, name)
    answer = send_file(content, mimetype=mime, as_attachment=True, download_name=download)
    return private(answer)


def download_name(survey: Survey, name: str) -> str:
    """``name`` behind the survey's name, in characters that every file system takes."""
    plain = "".join(c if c.isalnum() and c.isascii() else "-" for c in survey.name)[:60]
    return f"{plain.strip('-') or 'survey'}-{name}"


@blueprint.get("/<survey_id>/files/<int:upload_id>/picture")
def picture(survey_id: str, upload_id: int) -> ResponseReturnValue:
    """A kept picture as it was sent."""
    opened = surveys()
    with opened.store.session() as session:
        survey: Survey = find_survey(session, survey_id)
        row = session.get(Upload, upload_id)
        if row is None or row.survey_id != survey.id or row.kind != IMAGE or row.refused:
            raise NotFound("There is no such picture.", upload=upload_id)
        sha = row.sha256
    content = _content(opened.catalog.folders.picture(survey_id, sha))
    if content is None:
        raise NotFound("The pictures of this survey are deleted.", upload=upload_id)
    if isinstance(content, Path):
        with content.open("rb") as stream:
            mime = image_type(stream.read(HEAD_BYTES))
    else:
        mime = image_type(content.getvalue()[:HEAD_BYTES])
    return private(send_file(content, mimetype=mime or "application/octet-stream"))


@blueprint.get("/<survey_id>/jobs/<int:job_id>/stills/<int:upload_id>-<int:t_ms>.jpg")
def still(survey_id: str, job_id: int, upload_id: int, t_ms: int) -> ResponseReturnValue:
    find_job(survey_id, job_id)
    folder = surveys().catalog.folders.frames(survey_id, job_id)
    content = _content(folder / f"{upload_id}-{t_ms}.jpg")
    if content is None:
        raise NotFound("There is no such still.")
    return private(send_file(content, mimetype="image/jpeg"))


def _content(path: Path) -> Path | BytesIO | None:
    """What ``send_file`` takes: the local file, or the content from a shared store; None where
    there is nothing.
    """
    files = surveys().catalog.files
    direct = files.direct(path)
    if direct is not None:
        return direct.resolve() if direct.is_file() else None
    try:
        return BytesIO(files.read(path))
    except FileNotFoundError:
        return None


def private(answer: Response) -> Response:
    """Not for any cache: pictures of people, and figures about them."""
    answer.headers["Cache-Control"] = "private, no-store"
    return answer
