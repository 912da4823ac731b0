"""Who is in a picture, read from its path: the folder above it, or a pattern of its name.

A respondent is a name the researcher gave; it is used to keep several pictures of one person
together in the intervals. Nothing here looks at a face.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from webapp.errors import InvalidRequest

RULES = ("none", "single", "folder", "pattern")
_FIELD = "{respondent}"
_MAX_WILDCARDS = 3
_MAX_NAME = 200
MAX_ATTRIBUTES = 10


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A file-name pattern such as ``{respondent}_*.jpg`` as a regular expression.

    ``{respondent}`` stands for the name, ``*`` for anything. A researcher's pattern is never used
    as a regular expression itself, and wildcards are few, because both could make matching slow.
    Raises :class:`InvalidRequest`.
    """
    if pattern.count(_FIELD) != 1:
        raise InvalidRequest(
            f"Expected a pattern with {_FIELD} in it once, such as {_FIELD}_*.jpg. "
            f"Received {pattern!r}.",
            field="respondent_pattern",
        )
    if pattern.count("*") > _MAX_WILDCARDS or len(pattern) > _MAX_NAME:
        raise InvalidRequest(
            f"Expected at most {_MAX_WILDCARDS} asterisks and {_MAX_NAME} characters.",
            field="respondent_pattern",
        )
    before, after = pattern.split(_FIELD)

    def translate(text: str) -> str:
        return re.escape(text).replace(r"\*", ".*?")

    return re.compile(f"{translate(before)}(?P<respondent>.+?){translate(after)}", re.IGNORECASE)


def respondent_of(path: str, rule: str, pattern: str = "") -> str | None:
    """The respondent's name for a picture at ``path`` (with ``/``), or None where none is found.

    ``folder`` takes the folder right above the file; ``pattern`` matches the file's name;
    ``single`` says that every file shows another person, so that its path is the name.
    """
    parts = PurePosixPath(path)
    if rule == "single":
        return path[-_MAX_NAME:] or None
    if rule == "folder":
        name = parts.parent.name
        return name[:_MAX_NAME] if name else None
    if rule == "pattern":
        match = compile_pattern(pattern).fullmatch(parts.name[:255])
        return match["respondent"][:_MAX_NAME] if match else None
    return None


@dataclass(frozen=True, slots=True)
class Respondent:
    """One line of the CSV: a name, and what else is told (age band, market), by column."""

    name: str
    attributes: tuple[tuple[str, str], ...] = ()


def read_mapping(text: str) -> dict[str, Respondent]:
    """A CSV with the columns ``file`` and ``respondent`` as ``{file: Respondent}``.

    ``file`` is a path or a bare file name; other columns become attributes. Raises
    :class:`InvalidRequest` where a column is missing, one file has two respondents, or there are
    more than ``MAX_ATTRIBUTES`` other columns.
    """
    sample = text.lstrip("\ufeff")
    delimiter = ";" if sample.partition("\n")[0].count(";") else ","
    reader = csv.DictReader(io.StringIO(sample, newline=""), delimiter=delimiter)
    try:
        return _mapping(reader)
    except csv.Error as error:
        raise InvalidRequest(
            f"Expected a CSV. Line {reader.line_num} cannot be read: {error}.", field="respondents"
        ) from error


def _mapping(reader: csv.DictReader[str]) -> dict[str, Respondent]:
    columns = {name.strip().lower(): name for name in (reader.fieldnames or []) if name}
    if not {"file", "respondent"} <= set(columns):
        raise InvalidRequest(
            "Expected a CSV whose first line names the columns file and respondent. "
            f"Received the columns {', '.join(columns) or 'none'}.",
            field="respondents",
        )
    others = [(key, name) for key, name in columns.items() if key not in ("file", "respondent")]
    if len(others) > MAX_ATTRIBUTES:
        raise InvalidRequest(
            f"Expected at most {MAX_ATTRIBUTES} columns beside file and respondent. "
            f"Received {len(others)}.",
            field="respondents",
        )
    mapping: dict[str, Respondent] = {}
    for number, row in enumerate(reader, start=2):
        file = (row[columns["file"]] or "").strip().replace("\\", "/")
        name = (row[columns["respondent"]] or "").strip()[:_MAX_NAME]
        if not file or not name:
            continue
        told = ((key, (row[column] or "").strip()[:_MAX_NAME]) for key, column in others)
        one = Respondent(name, tuple((key[:_MAX_NAME], value) for key, value in told if value))
        if mapping.setdefault(file, one).name != name:
            raise InvalidRequest(
                f"Line {number} gives {file!r} a second respondent; expected one for each file.",
                field="respondents",
            )
    return mapping
