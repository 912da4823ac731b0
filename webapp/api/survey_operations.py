"""What the survey endpoints take and give, for the OpenAPI document; by Flask endpoint name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webapp.api.openapi import answer, errors, json_body, query
from webapp.api.schemas import schema
from webapp.survey.report.exports import FORMATS
from webapp.survey.respondents import RULES
from webapp.survey.review import LABELS, QUEUES

_BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
_EMPTY = {"description": "Done; no body."}
_OBJECT: dict[str, Any] = {"type": "object"}


def _operation(
    name: str, summary: str, responses: Mapping[str, Any], *statuses: int, **more: Any
) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": ["surveys"],
        "summary": summary,
        "responses": {**responses, **errors(*statuses)},
        **more,
    }


def _file(description: str, *kinds: str) -> dict[str, Any]:
    bodies = {"application/json": {"schema": _OBJECT}, "text/csv": {"schema": {"type": "string"}}}
    content = {kind: bodies.get(kind, _BINARY) for kind in kinds}
    return {"200": {"description": description, "content": content}}


_GUESS = {
    "type": "object",
    "properties": {"guess": {"type": ["object", "null"]}},
    "required": ["guess"],
}
_LIST = {
    "type": "object",
    "properties": {"surveys": {"type": "array", "items": schema("Survey")}},
    "required": ["surveys"],
}
_CHECK = {
    "type": "object",
    "properties": {
        "files": {
            "type": "array",
            "maxItems": 5000,
            "items": {
                "type": "object",
                "properties": {
                    "path": {"type": "string", "minLength": 1, "maxLength": 1000},
                    "group": {"type": "string"},
                    "size": {"type": "integer", "description": "Bytes."},
                    "sha256": {"type": ["string", "null"]},
                },
                "required": ["path"],
            },
        }
    },
    "required": ["files"],
}
_KNOWN = {
    "type": "object",
    "properties": {"known": {"type": "array", "items": {"type": "boolean"}}},
    "required": ["known"],
}
_FILES_NAMED = {"type": "integer", "description": "Files that have a respondent now."}
_NAMED = {"type": "object", "properties": {"matched": _FILES_NAMED}, "required": ["matched"]}
_MATCHED = {
    "type": "object",
    "properties": {
        "matched": _FILES_NAMED,
        "unmatched": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The first 100 names in the CSV that no file has.",
        },
        "unmatched_count": {"type": "integer"},
    },
    "required": ["matched", "unmatched", "unmatched_count"],
}
_LABEL = {
    "type": "object",
    "properties": {"label": {"enum": list(LABELS)}, "queue": {"enum": list(QUEUES)}},
    "required": ["label"],
}
_FORM = {
    "name": "form",
    "in": "path",
    "required": True,
    "schema": {"enum": list(FORMATS)},
}
_QUEUE = query("queue", {"enum": list(QUEUES)}, "Which faces come first.")
_UPLOAD = {
    "parameters": [
        query("path", {"type": "string"}, "The file's relative path.", required=True),
        query("group", {"type": "string"}, "Its group; without one, the folders in a ZIP."),
    ],
    "requestBody": {"required": True, "content": {"application/octet-stream": _BINARY}},
}

OPERATIONS: dict[str, dict[str, Any]] = {
    "survey_api.list_surveys": _operation(
        "listSurveys", "All surveys, with the state of each.", {"200": answer("All.", _LIST)}
    ),
    "survey_api.create": _operation(
        "createSurvey",
        "Begin a survey; consent must be given.",
        {"201": answer("The new survey.", schema("Survey"))},
        400,
        403,
        409,
        429,
        requestBody=json_body(schema("NewSurvey")),
    ),
    "survey_api.show": _operation(
        "showSurvey",
        "One survey with its groups and the ledger of its files.",
        {"200": answer("The survey.", schema("Survey"))},
        404,
    ),
    "survey_api.delete": _operation(
        "deleteSurvey", "Delete a survey with everything of it.", {"204": _EMPTY}, 403, 404, 409
    ),
    "survey_api.sharing_show": _operation(
        "showSharing",
        "Whose a survey is, who was invited to it, and whether the caller may invite.",
        {"200": answer("The sharing.", schema("Sharing"))},
        404,
    ),
    "survey_api.sharing_invite": _operation(
        "inviteToSurvey",
        "Let the account of that name work on a survey; for its owner and administrators.",
        {"200": answer("The sharing as it is now.", schema("Sharing"))},
        400,
        403,
        404,
        409,
    ),
    "survey_api.sharing_withdraw": _operation(
        "withdrawFromSurvey",
        "Take an invitation back; whoever was invited may take back their own.",
        {"204": _EMPTY},
        400,
        403,
        404,
        409,
    ),
    "survey_api.delete_pictures": _operation(
        "deletePictures",
        "Delete a survey's pictures and keep its results.",
        {"204": _EMPTY},
        403,
        404,
        409,
    ),
    "survey_api.check": _operation(
        "checkFiles",
        "Which of the named files need not be sent.",
        {"200": answer("One truth value for each file.", _KNOWN)},
        400,
        403,
        404,
        requestBody=json_body(_CHECK),
    ),
    "survey_api.upload": _operation(
        "uploadFile",
        "Send one picture, video or archive as the body.",
        {"200": answer("What became of the file.", schema("Receipt"))},
        400,
        403,
        404,
        409,
        413,
        **_UPLOAD,
    ),
    "survey_api.large_announce": _operation(
        "announceLargeFile",
        "Open the upload of a large file in parts, or find it again after an interruption.",
        {"200": answer("The upload's name and the parts that are there.", schema("LargeUpload"))},
        400,
        403,
        404,
        409,
        413,
        requestBody=json_body(schema("LargeFile")),
    ),
    "survey_api.large_part": _operation(
        "sendPart",
        "Send one part of a large file as the body.",
        {"200": answer("How many parts are there.", _OBJECT)},
        400,
        403,
        404,
        409,
        413,
        422,
        requestBody={"required": True, "content": {"application/octet-stream": {}}},
    ),
    "survey_api.large_finish": _operation(
        "finishLargeFile",
        "Put the parts of a large file together; asked again, the same answer.",
        {"200": answer("What became of the file.", schema("Receipt"))},
        403,
        404,
        409,
        413,
    ),
    "survey_api.large_abandon": _operation(
        "abandonLargeFile", "Delete the parts of a large file.", {"204": _EMPTY}, 403, 404, 409
    ),
    "survey_api.respondents": _operation(
        "mapRespondents",
        "Say which respondent each file shows, as a CSV with the columns file and respondent.",
        {"200": answer("How many files were named.", _MATCHED)},
        400,
        403,
        404,
        413,
        requestBody={"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}},
    ),
    "survey_api.respondents_guess": _operation(
        "guessRespondents",
        "Who is in the files as far as folders and file names tell, for somebody to confirm.",
        {"200": answer("Null where nothing can be guessed, or somebody said it.", _GUESS)},
        404,
    ),
    "survey_api.respondents_rule": _operation(
        "setRespondentRule",
        "Read the respondents from the paths of the files.",
        {"200": answer("How many files have a respondent.", _NAMED)},
        400,
        403,
        404,
        409,
        422,
        requestBody=json_body(
            {
                "type": "object",
                "properties": {"rule": {"enum": list(RULES)}, "pattern": {"type": "string"}},
                "required": ["rule"],
            }
        ),
    ),
    "survey_api.tags": _operation(
        "setTags",
        "Replace a survey's tags.",
        {"200": answer("The tags as they are kept.", _OBJECT)},
        400,
        403,
        404,
        422,
        requestBody=json_body({"type": "object", "properties": {"tags": {"type": "array"}}}),
    ),
    "survey_api.report_again": _operation(
        "makeReportAgain",
        "Make the report of a finished analysis again, with the review labels given since.",
        {"202": answer("The analysis, whose report is being made.", schema("Job"))},
        403,
        404,
        409,
    ),
    "survey_api.start": _operation(
        "startAnalysis",
        "Analyse a survey's files, with the active model unless another is named.",
        {"202": answer("The analysis, which is queued.", schema("Job"))},
        400,
        403,
        404,
        409,
        422,
        requestBody=json_body(
            {"type": "object", "properties": {"model": {"type": "string"}}}, required=False
        ),
    ),
    "survey_api.cancel": _operation(
        "cancelAnalysis", "Stop an analysis.", {"202": _EMPTY}, 403, 404, 409
    ),
    "survey_api.progress": _operation(
        "progress",
        "How far the latest analysis is.",
        {"200": answer("The state is null where none was started.", schema("Progress"))},
        404,
    ),
    "survey_api.export": _operation(
        "exportReport",
        "A finished report as html, json, xlsx, faces.csv or pictures.csv.",
        _file("The file.", *sorted({mime for _, mime in FORMATS.values()})),
        404,
        parameters=[_FORM],
    ),
    "survey_api.picture": _operation(
        "picture", "A kept picture as it was sent.", _file("The picture.", "image/*"), 404
    ),
    "survey_api.still": _operation(
        "still", "A frame of a video that was analysed.", _file("The frame.", "image/jpeg"), 404
    ),
    "survey_api.review_faces": _operation(
        "reviewFaces",
        "The next faces for a person to label, and how many are labelled.",
        {"200": answer("Faces and status.", _OBJECT)},
        400,
        404,
        parameters=[_QUEUE],
    ),
    "survey_api.review_give": _operation(
        "giveLabel",
        "Label one face.",
        {"200": answer("The review's status.", _OBJECT)},
        400,
        403,
        404,
        requestBody=json_body(_LABEL),
    ),
    "survey_api.review_withdraw": _operation(
        "withdrawLabel",
        "Take the label of one face back.",
        {"200": answer("The review's status.", _OBJECT)},
        403,
        404,
    ),
    "survey_api.review_corrections": _operation(
        "labelledFaces",
        "The labelled faces as a ZIP with a folder for each emotion, while pictures are kept.",
        _file("The ZIP.", "application/zip"),
        404,
        409,
    ),
}
