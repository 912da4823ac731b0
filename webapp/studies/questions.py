"""The questions of a study, and whether an answer fits one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from webapp.errors import InvalidRequest
from webapp.languages import N_

KINDS: Final = ("choice", "scale", "text")
PLACES: Final = ("before", "after")
MAX_QUESTIONS: Final = 30
MAX_OPTIONS: Final = 20
MAX_WORDS: Final = 500
MAX_ANSWER: Final = 2000
MAX_SCALE: Final = 100
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")


def _words(value: Any, what: str, most: int = MAX_WORDS) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(text) <= most:
        raise InvalidRequest(
            f"Expected {what} as text of 1 to {most} characters.", field="questions"
        )
    return text


def _whole(value: Any, default: int, low: int, high: int, what: str) -> int:
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidRequest(
            f"Expected {what} as a whole number from {low} to {high}.", field="questions"
        )
    return value


def _question(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise InvalidRequest("Expected each question as an object.", field="questions")
    question_id, kind = given.get("id"), given.get("kind")
    if not isinstance(question_id, str) or not _ID.fullmatch(question_id):
        raise InvalidRequest(
            "Expected each question's id as 1 to 40 letters, digits, - or _.", field="questions"
        )
    if kind not in KINDS:
        raise InvalidRequest(f"Expected a question's kind out of {KINDS}.", field="questions")
    made: dict[str, Any] = {
        "id": question_id,
        "kind": kind,
        "text": _words(given.get("text"), N_("a question's text")),
        "required": given.get("required") is True,
    }
    if kind == "choice":
        options = given.get("options")
        if not isinstance(options, list) or not 2 <= len(options) <= MAX_OPTIONS:
            raise InvalidRequest(f"Expected 2 to {MAX_OPTIONS} options.", field="questions")
        made["options"] = [_words(option, N_("an option"), 200) for option in options]
        if len(set(made["options"])) < len(options):
            raise InvalidRequest("Expected options that differ.", field="questions")
    if kind == "scale":
        made["min"] = _whole(given.get("min"), 1, 0, MAX_SCALE - 1, N_("a scale's lowest value"))
        made["max"] = _whole(given.get("max"), 5, 1, MAX_SCALE, N_("a scale's highest value"))
        if made["max"] <= made["min"]:
            raise InvalidRequest("Expected a scale that rises.", field="questions")
        for name in ("min_label", "max_label"):
            label = given.get(name)
            made[name] = _words(label, N_("a label"), 100) if label else ""
    return made


def clean_questions(given: Any) -> dict[str, list[dict[str, Any]]]:
    """``{"before": [...], "after": [...]}`` with known fields only. Raises InvalidRequest."""
    if given is None:
        given = {}
    if not isinstance(given, dict) or not all(isinstance(given.get(p, []), list) for p in PLACES):
        raise InvalidRequest('Expected {"before": [...], "after": [...]}.', field="questions")
    made = {place: [_question(one) for one in given.get(place, [])] for place in PLACES}
    ids = [one["id"] for one in all_questions(made)]
    if len(ids) > MAX_QUESTIONS or len(set(ids)) < len(ids):
        raise InvalidRequest(
            f"Expected at most {MAX_QUESTIONS} questions with ids that differ.", field="questions"
        )
    return made


def all_questions(questions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Those before, then those after."""
    for place in PLACES:
        yield from questions.get(place, ())


def clean_answers(given: Any, questions: dict[str, Any]) -> dict[str, Any]:
    """Answers that fit; None takes one back. Raises InvalidRequest for any that does not."""
    if not isinstance(given, dict):
        raise InvalidRequest("Expected the answers as an object.", field="answers")
    known = {one["id"]: one for one in all_questions(questions)}
    made: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise InvalidRequest("There is no such question in this study.", field="answers")
        made[name] = None if value is None else _answer(known[name], value)
    return made


def _answer(question: dict[str, Any], value: Any) -> Any:
    kind = question["kind"]
    if kind == "choice" and value in question["options"]:
        return value
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "scale" and number and value in range(question["min"], question["max"] + 1):
        return int(value)
    if kind == "text" and isinstance(value, str) and len(value) <= MAX_ANSWER:
        return value.strip() or None
    expected = {
        "choice": N_("one of the options"),
        "scale": N_(f"a whole number from {question.get('min')} to {question.get('max')}"),
        "text": N_(f"text of at most {MAX_ANSWER} characters"),
    }[kind]
    raise InvalidRequest(
        f"“{question['text']}”: expected {expected}.", field="answers", question=question["id"]
    )


def missing(questions: dict[str, Any], place: str, answers: dict[str, Any]) -> list[str]:
    """Ids of required questions of a place that have no answer."""
    return [
        one["id"]
        for one in questions.get(place, ())
        if one["required"] and answers.get(one["id"]) is None
    ]
