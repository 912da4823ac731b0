"""Studies over HTTP for people who take part: public, the link or the code is the right.

The code comes in the header ``Authorization: Study <code>``. No cookie, no account.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from flask import Blueprint, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from flask_limiter.util import get_remote_address

from webapp.access.auth import public
from webapp.database.study_tables import Study, StudyParticipant, StudyStimulus
from webapp.errors import InvalidRequest, NotFound, Unauthorized
from webapp.studies import codes
from webapp.studies.api import content, json_body, private
from webapp.studies.catalog import stimuli_of
from webapp.studies.participants import Begin, Begun, clean_columns, notice_hash
from webapp.studies.service import studies
from webapp.web.extensions import limiter
from webapp.web.services import services

blueprint = Blueprint("participation_api", __name__, url_prefix="/api/v1")
WITHDRAWALS: Final = "30 per minute"
BATCH_BYTES: Final = 120_000


def _begin_limit() -> str:
    return f"{services().settings.study_begins_per_hour} per hour"


def _own_limit() -> str:
    return f"{services().settings.study_requests_per_minute} per minute"


def _who() -> str:
    """One person's requests count together, whoever else has the same address."""
    given = request.headers.get("Authorization", "")
    if given:
        return hashlib.sha256(given.encode()).hexdigest()
    return get_remote_address()


own_limit = limiter.limit(_own_limit, key_func=_who)


def _code() -> str:
    scheme, _, code = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "study" or not code:
        raise Unauthorized("Expected the header Authorization: Study and the code.")
    return code.strip()


def _text(body: dict[str, Any], name: str, most: int) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > most:
        raise InvalidRequest(f"Expected {name} as text of at most {most} characters.", field=name)
    return value


def _stimulus(row: StudyStimulus, participant: StudyParticipant) -> dict[str, Any]:
    key = codes.sign_address(str(current_app.secret_key), participant.id, row.id)
    return {
        "id": row.id,
        "kind": row.kind,
        "media_type": row.media_type,
        "width": row.width,
        "height": row.height,
        "bytes": row.bytes,
        "show_ms": row.show_ms,
        "duration_ms": row.duration_ms,
        "url": f"/api/v1/participations/me/stimuli/{row.id}?key={key}",
    }


def _shared_json(
    study: Study, participant: StudyParticipant, stimuli: list[StudyStimulus]
) -> dict[str, Any]:
    by_id = {row.id: row for row in stimuli}
    shown = participant.shown
    return {
        "participant": participant.id,
        "study": {
            "name": study.name,
            "contact": study.contact,
            "language": study.notice_language,
            "keep_days": study.keep_days,
        },
        "order": [_stimulus(by_id[one], participant) for one in participant.order if one in by_id],
        "questions": study.questions,
        "fixation_ms": study.fixation_ms,
        "receipt": {
            "consent_at": participant.consent_at.isoformat(),
            "notice_version": participant.notice_version,
            "notice_sha256": participant.notice_sha256,
        },
        "preview": participant.preview,
        "state": participant.state,
        "shown": shown,
        "next": next((one for one in participant.order if one not in shown), None),
        "answers": participant.answers,
        "acknowledged": participant.last_seq,
        "limits": {
            "max_fps": services().settings.study_max_fps,
            "max_frame_bytes": services().settings.max_frame_bytes,
        },
    }


def begun_json(begun: Begun) -> dict[str, Any]:
    """What beginning gives; the two codes are told here and never again."""
    return _shared_json(begun.study, begun.participant, begun.stimuli) | {
        "code": begun.code,
        "withdrawal_code": begun.withdrawal_code,
        "return_allowed": begun.participant.return_url is not None,
    }


@blueprint.post("/participations")
@limiter.limit(_begin_limit)
@public
def begin() -> ResponseReturnValue:
    body = json_body()
    version = body.get("notice_version")
    if isinstance(version, bool) or not isinstance(version, int):
        raise InvalidRequest("Expected notice_version as a number.", field="notice_version")
    given = Begin(
        notice_version=version,
        consent=body.get("consent") is True,
        device=_text(body, "device", 20) or "desktop",
        pid=_text(body, "pid", 200),
        columns=clean_columns(body.get("columns")),
        return_url=_text(body, "return", 2000),
        preview=body.get("preview") is True,
    )
    begun = studies().participants.begin(_text(body, "link", 64) or "", given)
    return private(jsonify(begun_json(begun))), 201


@blueprint.get("/participations/links/<link>")
@limiter.limit(_begin_limit)
@public
def notice(link: str) -> ResponseReturnValue:
    """What somebody reads before they agree, behind a link that is open."""
    return private(jsonify(notice_json(studies().participants.open_study(link))))


def notice_json(study: Study) -> dict[str, Any]:
    """The notice of a study, as the page at ``/s/<link>`` shows it."""
    with studies().store.session() as session:
        stimuli = stimuli_of(session, study.id)
    shown_ms = sum((one.show_ms or one.duration_ms or 0) + study.fixation_ms for one in stimuli)
    return {
        "name": study.name,
        "purpose": study.purpose,
        "purpose_text": study.purpose_text,
        "contact": study.contact,
        "notice_text": study.notice_text,
        "notice_language": study.notice_language,
        "notice_version": study.notice_version,
        "notice_sha256": notice_hash(study),
        "keep_days": study.keep_days,
        "stimuli": len(stimuli),
        "shown_ms": shown_ms,
        "questions": sum(len(found) for found in study.questions.values()),
    }


@blueprint.get("/participations/me")
@own_limit
@public
def me() -> ResponseReturnValue:
    """Where somebody goes on: what was shown, answered and acknowledged."""
    with studies().store.session() as session:
        participant, study = studies().participants.of_code(session, _code())
        stimuli = stimuli_of(session, study.id)
    return private(jsonify(_shared_json(study, participant, stimuli)))


@blueprint.post("/participations/me/batches")
@own_limit
@public
def batch() -> ResponseReturnValue:
    """Keep one batch of samples; acknowledged once it is written, and again when it comes again."""
    return jsonify({"acknowledged": studies().ingest.write(_code(), json_body(BATCH_BYTES))})


@blueprint.put("/participations/me/answers")
@own_limit
@public
def answers() -> ResponseReturnValue:
    """Keep answers, ``{question id: value}``; others that were given stay."""
    studies().participants.answer(_code(), json_body())
    return "", 204


@blueprint.put("/participations/me/check")
@own_limit
@public
def check() -> ResponseReturnValue:
    """Keep what the check of the camera found."""
    studies().participants.check(_code(), json_body())
    return "", 204


@blueprint.post("/participations/me/stimuli/<stimulus_id>/shown")
@own_limit
@public
def shown(stimulus_id: str) -> ResponseReturnValue:
    """A stimulus has ended, ``{"how": "ended"}``, or was skipped."""
    how = json_body().get("how", "ended") if request.content_length else "ended"
    studies().participants.shown(_code(), stimulus_id, how)
    return "", 204


@blueprint.post("/participations/me/finish")
@own_limit
@public
def finish() -> ResponseReturnValue:
    """End; where to go back to, and the code that proves it."""
    address, completion = studies().participants.finish(_code())
    return private(jsonify({"return_url": address, "completion_code": completion}))


@blueprint.post("/participations/me/leave")
@own_limit
@public
def leave() -> ResponseReturnValue:
    """End before the end; what was read until now stays until it is withdrawn."""
    studies().participants.leave(_code())
    return "", 204


@blueprint.get("/participations/me/stimuli/<stimulus_id>")
@public
def stimulus(stimulus_id: str) -> ResponseReturnValue:
    """A picture or video by its signed address; media elements cannot send the code."""
    key = request.args.get("key", "")
    who = codes.read_address(str(current_app.secret_key), key[:500], stimulus_id)
    with studies().store.session() as session:
        participant = session.get(StudyParticipant, who) if who else None
        row = session.get(StudyStimulus, stimulus_id) if participant else None
        if participant is None or row is None or row.study_id != participant.study_id:
            raise NotFound("This address is not valid any more; load the page again.")
    return content(row)


@blueprint.post("/withdrawals")
@limiter.limit(WITHDRAWALS)
@public
def withdraw() -> ResponseReturnValue:
    """Delete everything of the person whose withdrawal code it is, at any time."""
    studies().participants.withdraw(_text(json_body(), "withdrawal_code", 100) or "")
    return jsonify({"deleted": True})
