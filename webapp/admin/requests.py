"""What the model pages read of a request."""

from __future__ import annotations

from typing import Any

from flask import request

from webapp.access.auth import principal
from webapp.errors import InvalidRequest
from webapp.languages import N_

WRITE = "models:write"
READ = "models:read"
# how messages name the fields that people fill in
_WORDS = {"why": N_("the reason"), "licence": N_("the licence")}


def who() -> str:
    """How the journal and the audit log name whoever asks."""
    found = principal()
    return found.label if found is not None else "nobody"


def body() -> dict[str, Any]:
    """The request's JSON object, empty where there is none. Raises :class:`InvalidRequest`."""
    if not request.content_length:
        return {}
    content = request.get_json(silent=True)
    if not isinstance(content, dict):
        raise InvalidRequest("Expected a JSON object.")
    return content


def text(value: Any, name: str, most: int = 500) -> str:
    """Raises :class:`InvalidRequest` for anything but a short text."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        words = _WORDS.get(name, name)
        raise InvalidRequest(f"Expected {words} as text of at most {most} characters.", field=name)
    return value.strip()
