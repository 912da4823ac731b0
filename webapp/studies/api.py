"""Studies over HTTP for researchers, under ``/api/v1/studies``."""

from __future__ import annotations

from datetime import datetime, time, timezone
from pathlib import Path
from typing import Any, Final, cast

from flask import Blueprint, Response, jsonify, request, send_file
from flask.typing import ResponseReturnValue

from webapp.database.study_tables import Study, StudyStimulus
from webapp.errors import Forbidden, InvalidRequest
from webapp.studies.access import note, visible
from webapp.studies.catalog import stimuli_of
from webapp.studies.codes import new_link
from webapp.studies.participants import notice_hash
from webapp.studies.service import studies
from webapp.survey.sharing import owner_of_new
from webapp.web.bodies import SMALL_BODY_BYTES
from webapp.web.extensions import limiter
from webapp.web.headers import allowed_origins, origin_allowed
from webapp.web.services import services

blueprint = Blueprint("study_api", __name__, url_prefix="/api/v1/studies")
BODY_BYTES: Final = 200_000  # a notice, and questions


@blueprint.before_request
def refuse_other_sites() -> None:
    """A page of another site must not change studies with its visitor's connection."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    extra = allowed_origins(services().settings)
    if not origin_allowed(request.headers.get("Origin"), request.environ, extra):
        raise Forbidden("This request came from a page of another site.")


def json_body(most: int = BODY_BYTES) -> dict[str, Any]:
    """The request's JSON object. Raises :class:`InvalidRequest`."""
    request.max_content_length = most
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise InvalidRequest("Expected a JSON object as the body.")
    return cast(dict[str, Any], body)


def _date(value: Any) -> datetime | None:
    if value in (None, ""):
        return None
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidRequest("Expected a date such as 2030-01-31.", field="ends_at") from error
    if "T" not in str(value):
        parsed = datetime.combine(parsed.date(), time(23, 59, 59))
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)


def _fields() -> dict[str, Any]:
    body = json_body()
    return body | {"ends_at": _date(body["ends_at"])} if "ends_at" in body else body


def _when(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def stimulus_json(row: StudyStimulus) -> dict[str, Any]:
    return {
        "id": row.id,
        "position": row.position,
        "name": row.name,
        "kind": row.kind,
        "media_type": row.media_type,
        "bytes": row.bytes,
        "width": row.width,
        "height": row.height,
        "show_ms": row.show_ms,
        "duration_ms": row.duration_ms,
        "url": f"/api/v1/studies/{row.study_id}/stimuli/{row.id}",
    }


def study_json(study: Study, owner: str | None, progress: dict[str, int]) -> dict[str, Any]:
    """A line of the list."""
    return {
        "id": study.id,
        "name": study.name,
        "state": study.state,
        "purpose": study.purpose,
        "created_at": _when(study.created_at),
        "opened_at": _when(study.opened_at),
        "closed_at": _when(study.closed_at),
        "ends_at": _when(study.ends_at),
        "target": study.target,
        "owner": owner,
        "people": progress,
    }


def whole_json(study: Study) -> dict[str, Any]:
    """A study with everything that its page shows."""
    opened = studies()
    with opened.store.session() as session:
        shown = [stimulus_json(row) for row in stimuli_of(session, study.id)]
    progress = opened.catalog.progress([study.id])[study.id].to_json()
    owner = next((name for one, name in opened.catalog.rows(Study.id == study.id)), None)
    return study_json(study, owner, progress) | {
        "purpose_text": study.purpose_text,
        "link": None if study.link is None else f"/s/{study.link}",
        "presentation": study.presentation,
        "fixation_ms": study.fixation_ms,
        "notice_text": study.notice_text,
        "notice_language": study.notice_language,
        "notice_version": study.notice_version,
        "notice_sha256": notice_hash(study),
        "contact": study.contact,
        "keep_days": study.keep_days,
        "return_hosts": study.return_hosts,
        "questions": study.questions,
        "completion_secret": study.completion_secret,
        "stimuli": shown,
    }


@blueprint.get("")
def list_studies() -> ResponseReturnValue:
    rows = studies().catalog.rows(visible())
    progress = studies().catalog.progress([study.id for study, _ in rows])
    return jsonify(
        {
            "studies": [
                study_json(study, owner, progress[study.id].to_json()) for study, owner in rows
            ]
        }
    )


def creation_limit() -> str:
    return f"{services().settings.studies_per_hour} per hour"


@blueprint.post("")
@limiter.limit(creation_limit)
def create() -> ResponseReturnValue:
    most = studies().settings.study_max_studies
    study = studies().catalog.create(_fields(), owner_of_new(), most)
    return jsonify(whole_json(study)), 201


@blueprint.get("/<study_id>")
def show(study_id: str) -> ResponseReturnValue:
    return private(jsonify(whole_json(studies().catalog.get(study_id))))


@blueprint.patch("/<study_id>")
def change(study_id: str) -> ResponseReturnValue:
    return jsonify(whole_json(studies().catalog.change(study_id, _fields())))


@blueprint.delete("/<study_id>")
def delete(study_id: str) -> ResponseReturnValue:
    study = studies().catalog.get(study_id)
    studies().catalog.delete(study_id)
    note("study.delete", study)
    return "", 204


@blueprint.post("/<study_id>/open")
def open_study(study_id: str) -> ResponseReturnValue:
    study = studies().catalog.open(study_id)
    note("study.open", study)
    return jsonify(whole_json(study))


@blueprint.post("/<study_id>/close")
def close_study(study_id: str) -> ResponseReturnValue:
    study = studies().catalog.close(study_id)
    note("study.close", study)
    return jsonify(whole_json(study))


@blueprint.post("/<study_id>/link")
def new_study_link(study_id: str) -> ResponseReturnValue:
    return jsonify(whole_json(studies().catalog.set_link(study_id, new_link())))


@blueprint.delete("/<study_id>/link")
def revoke_link(study_id: str) -> ResponseReturnValue:
    study = studies().catalog.set_link(study_id, None)
    note("study.revoke_link", study)
    return jsonify(whole_json(study))


@blueprint.post("/<study_id>/stimuli")
def add_stimulus(study_id: str) -> ResponseReturnValue:
    """A multipart form: ``file``, and ``name`` and ``show_ms`` where they are wanted."""
    limit = studies().settings.study_max_stimulus_bytes
    studies().catalog.get(study_id)
    request.max_content_length = limit + SMALL_BODY_BYTES
    upload = request.files.get("file")
    if upload is None:
        raise InvalidRequest("Expected a multipart field named file with a file.", field="file")
    name = request.form.get("name") or Path(upload.filename or "").name or "Stimulus"
    row = studies().stimuli.add(study_id, upload.stream, name[:200], request.form.get("show_ms"))
    return jsonify(stimulus_json(row)), 201


@blueprint.patch("/<study_id>/stimuli/<stimulus_id>")
def change_stimulus(study_id: str, stimulus_id: str) -> ResponseReturnValue:
    return jsonify(stimulus_json(studies().stimuli.change(study_id, stimulus_id, json_body())))


@blueprint.delete("/<study_id>/stimuli/<stimulus_id>")
def delete_stimulus(study_id: str, stimulus_id: str) -> ResponseReturnValue:
    studies().stimuli.delete(study_id, stimulus_id)
    studies().copies.forget(stimulus_id)
    return "", 204


@blueprint.get("/<study_id>/stimuli/<stimulus_id>")
def stimulus(study_id: str, stimulus_id: str) -> ResponseReturnValue:
    """The picture or video itself, or the part of it that a Range names."""
    with studies().store.session() as session:
        row = studies().stimuli.find(session, study_id, stimulus_id)
    return content(row)


def content(row: StudyStimulus) -> Response:
    """A stimulus's bytes, whole or the range that was asked for."""
    found = studies().copies.local(row)
    answer = send_file(found, mimetype=row.media_type, conditional=True, etag=row.sha256)
    answer.headers["Cache-Control"] = "private, max-age=3600"
    return answer


def private(answer: Response) -> Response:
    """Not for any cache."""
    answer.headers["Cache-Control"] = "private, no-store"
    return answer
