"""The shapes of everything the REST interface takes and gives, as JSON Schema 2020-12."""

from __future__ import annotations

from typing import Any

from webapp.domain import EMOTIONS, UNCERTAIN
from webapp.survey.catalog import PRIMARY_OUTCOMES
from webapp.survey.purposes import PURPOSES
from webapp.survey.respondents import RULES


def schema(name: str) -> dict[str, str]:
    """A reference to one of :data:`SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_TAGS = {
    "type": "array",
    "items": {"type": "string", "maxLength": 30},
    "maxItems": 10,
    "description": "Words to find the survey by; no commas.",
}
_SCORES = {
    "type": "object",
    "description": "Probability of each emotion; they add up to 1.",
    "properties": {name: _PROBABILITY for name in EMOTIONS},
    "required": list(EMOTIONS),
    "additionalProperties": False,
}
_FACE = {
    "type": "object",
    "properties": {
        "track": {"type": ["integer", "null"], "description": "Null outside live connections."},
        "box": {
            "type": "array",
            "description": "x1, y1, x2, y2 in pixels of the picture that was sent.",
            "items": {"type": "number"},
            "minItems": 4,
            "maxItems": 4,
        },
        "detection": {"type": "number", "description": "From 0 to 1; higher is surer."},
        "roll_degrees": {
            "type": ["number", "null"],
            "description": "How far the eyes are from level, clockwise; null where not known.",
        },
        "label": {"enum": [*EMOTIONS, UNCERTAIN]},
        "confidence": _PROBABILITY,
        "scores": _SCORES,
        "raw": _SCORES,
        "valence": {"type": "number", "minimum": -1, "maximum": 1},
        "quality": {
            "type": "object",
            "properties": {"ok": {"type": "boolean"}, "advice": {"type": ["string", "null"]}},
            "required": ["ok", "advice"],
        },
    },
    "required": [
        "track",
        "box",
        "detection",
        "label",
        "confidence",
        "scores",
        "raw",
        "valence",
        "quality",
    ],
}
_TIME = {"type": "string", "format": "date-time"}
_JOB_STATE = {"enum": ["queued", "running", "reporting", "done", "cancelled", "failed"]}
SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "code": {"type": "string", "description": "Stable and machine-readable."},
                    "message": {"type": "string"},
                    "detail": {"type": "object"},
                },
                "required": ["code", "message", "detail"],
            }
        },
        "required": ["error"],
    },
    "Face": _FACE,
    "FrameResult": {
        "type": "object",
        "properties": {
            "seq": {"type": ["integer", "null"]},
            "frame": {
                "type": "object",
                "properties": {
                    "width": {"type": "integer", "minimum": 1},
                    "height": {"type": "integer", "minimum": 1},
                },
                "required": ["width", "height"],
            },
            "model": {"type": "string", "description": "The model version that was used."},
            "faces": {"type": "array", "items": schema("Face")},
            "timings_ms": {"type": "object", "additionalProperties": {"type": "number"}},
        },
        "required": ["seq", "frame", "model", "faces", "timings_ms"],
    },
    "Mood": {
        "type": "object",
        "description": "The settled state of the leading face of a shared live session.",
        "properties": {
            "state": {"enum": [*EMOTIONS, UNCERTAIN, "nobody", "paused"]},
            "since_ms": {
                "type": "integer",
                "description": "Unix time in ms from which the state has held.",
            },
            "confidence": {
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": 1,
                "description": "Mean over the window when it settled.",
            },
            "valence": {"type": ["number", "null"], "minimum": -1, "maximum": 1},
            "faces": {"type": "integer", "minimum": 0},
            "model": {"type": "string"},
            "version": {"const": 1, "description": "Of this format."},
        },
        "required": [
            "state",
            "since_ms",
            "confidence",
            "valence",
            "faces",
            "model",
            "version",
        ],
        "additionalProperties": False,
    },
    "Models": {
        "type": "object",
        "properties": {
            "active": {"type": ["string", "null"]},
            "serving": {"type": "string"},
            "models": {"type": "array", "items": schema("Model")},
        },
        "required": ["active", "serving", "models"],
    },
    "Model": {
        "type": "object",
        "properties": {
            "version": {"type": "string"},
            "active": {"type": "boolean"},
            "recipe": {"type": "string"},
            "created": {"type": "string"},
            "serving_head": {"type": "string"},
            "mixture": {
                "type": ["object", "null"],
                "description": "Where several heads are mixed, what the app shows.",
                "properties": {
                    "weights": {"type": "object", "additionalProperties": {"type": "number"}},
                    "adjusted": {
                        "type": "boolean",
                        "description": "Whether rare emotions count more.",
                    },
                },
            },
            "emotions": {"type": "array", "items": {"type": "string"}},
            "metrics": {"type": "object", "description": "As measured and kept in the card."},
            "intended_use": {"type": "string"},
            "limits": {"type": "string"},
            "licence": {"type": "string"},
        },
        "required": ["version", "active", "metrics"],
    },
    "Survey": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "name": {"type": "string"},
            "purpose": {"type": "string"},
            "created_at": _TIME,
            "keep_until": {**_TIME, "type": ["string", "null"]},
            "pictures_deleted": {"type": "boolean"},
            "tags": _TAGS,
            "files": {"type": "integer", "minimum": 0},
            "job": {"oneOf": [schema("Job"), {"type": "null"}]},
            "owner": {
                "type": ["string", "null"],
                "description": "Whose it is; null where it was made without a login.",
            },
            "groups": {"type": "array", "items": {"type": "string"}},
            "ledger": {
                "type": "object",
                "description": "Every uploaded file in exactly one category.",
            },
        },
        "required": ["id", "name", "purpose", "created_at", "files", "job"],
    },
    "Sharing": {
        "type": "object",
        "properties": {
            "owner": {"type": ["string", "null"]},
            "guests": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "since": _TIME},
                    "required": ["name", "since"],
                },
            },
            "may_share": {"type": "boolean", "description": "Whether the caller may invite."},
        },
        "required": ["owner", "guests", "may_share"],
    },
    "NewSurvey": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200},
            "purpose": {
                "enum": [purpose.key for purpose in PURPOSES],
                "description": "Judging people at work or in education is answered with 403; "
                "other needs purpose_text.",
            },
            "purpose_text": {"type": "string"},
            "consent": {"const": True},
            "groups": {
                "type": "array",
                "items": {"type": "string", "maxLength": 200},
                "maxItems": 50,
            },
            "keep_until": {
                "type": ["string", "null"],
                "description": "A date such as 2030-01-31 until which pictures are kept; "
                "null: they are deleted after the analysis.",
            },
            "several_faces": {"enum": ["exclude", "largest"]},
            "respondent_rule": {"enum": list(RULES)},
            "respondent_pattern": {
                "type": "string",
                "description": "Needed for the rule pattern, such as {respondent}_*.jpg.",
            },
            "video_fps": {"type": "number", "minimum": 0.1, "maximum": 30},
            "primary_outcome": {
                "enum": ["", *PRIMARY_OUTCOMES],
                "description": "What is tested on its own; the other tests are corrected.",
            },
            "tags": _TAGS,
        },
        "required": ["name", "purpose", "consent"],
    },
    "Job": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "state": _JOB_STATE,
            "model": {"type": "string"},
            "total": {"type": "integer"},
            "created_at": _TIME,
            "ended_at": {**_TIME, "type": ["string", "null"]},
            "error": {"type": ["string", "null"]},
        },
        "required": ["id", "state", "model", "total"],
    },
    "Progress": {
        "type": "object",
        "properties": {
            "state": {"oneOf": [_JOB_STATE, {"type": "null"}]},
            "done": {"type": "integer"},
            "total": {"type": "integer"},
            "rate": {"type": ["number", "null"], "description": "Files per second."},
            "eta_s": {"type": ["number", "null"]},
            "counts": {"type": "object"},
            "error": {"type": ["string", "null"]},
        },
        "required": ["state"],
    },
    "LargeFile": {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "group": {"type": "string"},
            "size": {"type": "integer", "minimum": 1},
            "part_bytes": {"type": "integer", "description": "As MIEN_SURVEY_PART_BYTES says."},
            "head": {"type": "string", "description": "The first 32 bytes in hexadecimal."},
            "hashes": {
                "type": ["array", "null"],
                "items": {"type": "string"},
                "description": "SHA-256 of each part in hexadecimal; null: lengths are checked.",
            },
            "modified": {"type": "string", "description": "Instead of hashes: when it changed."},
        },
        "required": ["path", "size", "part_bytes", "head"],
    },
    "LargeUpload": {
        "type": "object",
        "properties": {
            "upload": {"type": "string"},
            "have": {"type": "array", "items": {"type": "integer"}},
            "receipt": {"oneOf": [schema("Receipt"), {"type": "null"}]},
        },
        "required": ["upload", "have", "receipt"],
    },
    "Receipt": {
        "type": "object",
        "properties": {
            "status": {"type": "string"},
            "path": {"type": "string"},
            "sha256": {"type": ["string", "null"]},
            "files": {"type": "integer"},
            "reason": {"type": ["string", "null"]},
            "skipped": {
                "type": "integer",
                "description": "Members of a ZIP that operating systems left behind.",
            },
        },
        "required": ["status", "path"],
    },
}
