"""What the endpoints of studies take and give, for the OpenAPI document; by Flask endpoint name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from webapp.api.openapi import answer, errors, json_body, query
from webapp.domain import EMOTIONS
from webapp.studies.catalog import PRESENTATIONS
from webapp.studies.participants import DEVICES, SHOWN
from webapp.studies.questions import KINDS
from webapp.studies.report_api import EXPORTS
from webapp.studies.samples import FACES, MAX_SAMPLES
from webapp.survey.purposes import PURPOSES

_BINARY: Final = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
_EMPTY: Final = {"description": "Done; no body."}
_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer"}


def _thing(needed: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(needed)}


def _list(of: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


_QUESTION = _thing(
    ("id", "kind", "text"),
    id={"type": "string", "pattern": "^[A-Za-z0-9_-]{1,40}$"},
    kind={"enum": list(KINDS)},
    text=_TEXT,
    required={"type": "boolean"},
    options=_list(_TEXT),
    min=_WHOLE,
    max=_WHOLE,
    min_label=_TEXT,
    max_label=_TEXT,
)
_FIELDS: dict[str, Any] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 200},
    "purpose": {"enum": [purpose.key for purpose in PURPOSES if purpose.refusal is None]},
    "purpose_text": _TEXT,
    "presentation": {"enum": list(PRESENTATIONS)},
    "fixation_ms": {"type": "integer", "minimum": 0, "maximum": 5000},
    "notice_text": {"type": "string", "maxLength": 20_000},
    "notice_language": _TEXT,
    "contact": {"type": "string", "maxLength": 500},
    "target": {"type": ["integer", "null"], "minimum": 1},
    "ends_at": {"type": ["string", "null"], "format": "date-time"},
    "keep_days": {"type": "integer", "minimum": 1, "maximum": 3650},
    "return_hosts": _list({"type": "string", "format": "uri"}),
    "questions": _thing((), before=_list(_QUESTION), after=_list(_QUESTION)),
}
_STIMULUS = _thing(
    ("id", "kind", "media_type", "url"),
    id=_TEXT,
    name=_TEXT,
    position=_WHOLE,
    kind={"enum": ["picture", "video"]},
    media_type=_TEXT,
    bytes=_WHOLE,
    width=_WHOLE,
    height=_WHOLE,
    show_ms={"type": ["integer", "null"]},
    duration_ms={"type": ["integer", "null"]},
    url=_TEXT,
)
_STUDY = _thing(
    ("id", "name", "state", "people"),
    id=_TEXT,
    state={"enum": ["draft", "open", "closed"]},
    link={"type": ["string", "null"], "description": "Path of the page that people get."},
    people=_OBJECT,
    stimuli=_list(_STIMULUS),
    **_FIELDS,
)
_SAMPLE = _thing(
    ("t_ms", "face", "quality"),
    t_ms={"type": "number", "minimum": 0, "description": "Time of the stimulus, not of the wall."},
    face={"enum": list(FACES)},
    quality={"type": "boolean"},
    rate={"type": ["number", "null"], "description": "Results a second at this moment."},
    scores={
        "type": ["array", "null"],
        "items": {"type": "number", "minimum": 0, "maximum": 1},
        "minItems": len(EMOTIONS),
        "maxItems": len(EMOTIONS),
        "description": f"In this order: {', '.join(EMOTIONS)}.",
    },
)
_BATCH = _thing(
    ("seq", "stimulus", "samples"),
    seq={"type": "integer", "minimum": 1},
    stimulus=_TEXT,
    model={"type": "string", "description": "The version that read the frames."},
    samples={"type": "array", "items": _SAMPLE, "minItems": 1, "maxItems": MAX_SAMPLES},
)
_PARTICIPATION = _thing(
    ("participant", "order", "questions", "fixation_ms", "acknowledged", "next"),
    participant=_TEXT,
    code=_TEXT,
    withdrawal_code=_TEXT,
    order=_list(_STIMULUS),
    questions=_OBJECT,
    fixation_ms=_WHOLE,
    shown=_OBJECT,
    answers=_OBJECT,
    next={"type": ["string", "null"]},
    acknowledged={"type": "integer", "description": "Number of the last batch written; 0: none."},
)
_BEGIN = _thing(
    ("link", "consent", "notice_version"),
    link=_TEXT,
    consent={"const": True},
    notice_version=_WHOLE,
    device={"enum": list(DEVICES)},
    pid={"type": "string", "maxLength": 200, "description": "The panel's name of this person."},
    columns={"type": "object", "additionalProperties": _TEXT},
    preview={"type": "boolean"},
    **{"return": {"type": "string", "description": "Where to go afterwards, if it is allowed."}},
)
_CODE = {
    "name": "Authorization",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "pattern": "^Study .+"},
    "description": "The word Study and the code that beginning gave.",
}
_PART = query("only", _TEXT, "Only these people, as question=value or column=value.")
_BY = query("by", _TEXT, "Curves for each answer to a question or value of a column.")


def _study(
    name: str, summary: str, responses: Mapping[str, Any], *statuses: int, **more: Any
) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": ["studies"],
        "summary": summary,
        "responses": {**responses, **errors(*statuses)},
        **more,
    }


def _person(
    name: str, summary: str, responses: Mapping[str, Any], *statuses: int, **more: Any
) -> dict[str, Any]:
    made = _study(name, summary, responses, *statuses, 429, **more)
    return made | {"tags": ["taking part"]}


def _me(
    name: str, summary: str, responses: Mapping[str, Any], *statuses: int, **more: Any
) -> dict[str, Any]:
    return _person(name, summary, responses, 401, *statuses, parameters=[_CODE], **more)


_ONE = {"200": answer("The study.", _STUDY)}
_FILE_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": _thing(("file",), file=_BINARY["schema"], name=_TEXT, show_ms=_WHOLE)
        }
    },
}
_BYTES = {
    "200": {"description": "The file.", "content": {"application/octet-stream": _BINARY}},
    "206": {"description": "The range.", "content": {"application/octet-stream": _BINARY}},
}
OPERATIONS: dict[str, dict[str, Any]] = {
    "study_api.list_studies": _study(
        "listStudies",
        "All studies that the caller may see.",
        {"200": answer("All.", _thing(("studies",), studies=_list(_STUDY)))},
    ),
    "study_api.create": _study(
        "createStudy",
        "Make a draft.",
        {"201": answer("The new study.", _STUDY)},
        400,
        403,
        409,
        429,
        requestBody=json_body(_thing(("name", "purpose"), **_FIELDS)),
    ),
    "study_api.show": _study("showStudy", "One study with its stimuli and people.", _ONE, 404),
    "study_api.change": _study(
        "changeStudy",
        "Change fields; order and questions in a draft only.",
        _ONE,
        400,
        403,
        404,
        409,
        requestBody=json_body(_thing((), **_FIELDS)),
    ),
    "study_api.delete": _study(
        "deleteStudy", "Delete a study with everything of it.", {"204": _EMPTY}, 403, 404
    ),
    "study_api.open_study": _study("openStudy", "Let people take part.", _ONE, 403, 404, 409),
    "study_api.close_study": _study(
        "closeStudy", "Take nobody more; who has begun may finish.", _ONE, 403, 404, 409
    ),
    "study_api.new_study_link": _study(
        "newStudyLink", "Make a new link; the one before leads nowhere any more.", _ONE, 403, 404
    ),
    "study_api.revoke_link": _study("revokeStudyLink", "Revoke the link.", _ONE, 403, 404),
    "study_api.add_stimulus": _study(
        "addStimulus",
        "Add a picture or video that browsers play to a draft.",
        {"201": answer("The stimulus.", _STIMULUS)},
        400,
        403,
        404,
        409,
        413,
        415,
        422,
        507,
        requestBody=_FILE_FORM,
    ),
    "study_api.change_stimulus": _study(
        "changeStimulus",
        "Change a stimulus's name, place or time in a draft.",
        {"200": answer("The stimulus.", _STIMULUS)},
        400,
        403,
        404,
        409,
        requestBody=json_body(_thing((), name=_TEXT, position=_WHOLE, show_ms=_WHOLE)),
    ),
    "study_api.delete_stimulus": _study(
        "deleteStimulus", "Delete a draft's stimulus.", {"204": _EMPTY}, 403, 404, 409
    ),
    "study_api.stimulus": _study("readStimulus", "The picture or video itself.", _BYTES, 404),
    "study_trial_api.preview": _study(
        "previewStudy",
        "Begin as a participant would, in a draft too; nothing of it enters the report.",
        {"201": answer("The participation.", _PARTICIPATION)},
        403,
        404,
        409,
    ),
    "study_trial_api.demo": _study(
        "makeDemoStudy",
        "Make an open study that shows a short generated animation.",
        {"201": answer("The study.", _STUDY)},
        403,
        409,
        429,
    ),
    "study_report_api.report": _study(
        "studyReport",
        "The report: curves, moments, attention, comparison, answers, and who was left out.",
        {"200": answer("The report; docs/studies.md describes it.", _OBJECT)},
        400,
        404,
        409,
        parameters=[_BY, _PART],
    ),
    "study_report_api.export": _study(
        "exportStudy",
        "Scores or people as CSV, the report as a workbook or JSON.",
        {
            "200": {
                "description": "The file.",
                "content": {
                    "text/csv": {"schema": _TEXT},
                    "application/json": {"schema": _OBJECT},
                    "application/octet-stream": _BINARY,
                },
            }
        },
        404,
        409,
        parameters=[
            {"name": "form", "in": "path", "required": True, "schema": {"enum": list(EXPORTS)}}
        ],
    ),
    "participation_api.notice": _person(
        "showNotice",
        "What somebody reads before they agree, behind a link that is open.",
        {"200": answer("The notice.", _OBJECT)},
        404,
        410,
    ),
    "participation_api.begin": _person(
        "beginParticipation",
        "Agree and begin; the two codes are told this once.",
        {"201": answer("The participation.", _PARTICIPATION)},
        400,
        404,
        409,
        410,
        requestBody=json_body(_BEGIN),
    ),
    "participation_api.me": _me(
        "resumeParticipation",
        "Where somebody goes on.",
        {"200": answer("The participation, without its codes.", _PARTICIPATION)},
    ),
    "participation_api.batch": _me(
        "sendBatch",
        "Keep one batch of samples; acknowledged once written, and again when it comes again. "
        "A gap is answered with the number that is expected.",
        {"200": answer("Written.", _thing(("acknowledged",), acknowledged=_WHOLE))},
        400,
        404,
        409,
        413,
        requestBody=json_body(_BATCH),
    ),
    "participation_api.answers": _me(
        "sendAnswers",
        "Keep answers; null takes one back.",
        {"204": _EMPTY},
        400,
        409,
        requestBody=json_body(_OBJECT),
    ),
    "participation_api.check": _me(
        "sendCheck",
        "Keep what the check of the camera found.",
        {"204": _EMPTY},
        400,
        409,
        requestBody=json_body(_OBJECT),
    ),
    "participation_api.shown": _me(
        "stimulusShown",
        "A stimulus has ended or was skipped.",
        {"204": _EMPTY},
        400,
        404,
        409,
        requestBody=json_body(_thing((), how={"enum": list(SHOWN)}), required=False),
    ),
    "participation_api.finish": _me(
        "finishParticipation",
        "End; where to go back to, and the code that proves it.",
        {
            "200": answer(
                "The end.",
                _thing(
                    ("return_url", "completion_code"),
                    return_url={"type": ["string", "null"]},
                    completion_code={"type": ["string", "null"]},
                ),
            )
        },
        409,
    ),
    "participation_api.leave": _me(
        "leaveParticipation", "End before the end.", {"204": _EMPTY}, 409
    ),
    "participation_api.stimulus": _person(
        "readOwnStimulus",
        "A picture or video by its signed address.",
        _BYTES,
        404,
        parameters=[query("key", _TEXT, "The signature in the address.", required=True)],
    ),
    "participation_api.withdraw": _person(
        "withdraw",
        "Delete everything of the person whose withdrawal code it is, at any time.",
        {"200": answer("Deleted.", _thing(("deleted",), deleted={"const": True}))},
        400,
        404,
        requestBody=json_body(_thing(("withdrawal_code",), withdrawal_code=_TEXT)),
    ),
}
