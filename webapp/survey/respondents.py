"""Who is in a picture, read from its path: the folder above it, or a pattern of its name.

A respondent is a name the researcher gave; it is used to keep several pictures of one person
together in the intervals. Nothing here looks at a face.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from webapp.errors import InvalidRequest
from webapp.files.tables import Table, TableError, read_table
from webapp.files.text import same_name

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


def read_mapping(data: bytes) -> dict[str, Respondent]:
    """A CSV with the columns ``file`` and ``respondent`` as ``{file: Respondent}``.

    ``file`` is a path or a bare file name; other columns become attributes. Raises
    :class:`InvalidRequest` where a column is missing, one file has two respondents, or there are
    more than ``MAX_ATTRIBUTES`` other columns.
    """
    try:
        return _mapping(read_table(data))
    except TableError as error:
        raise InvalidRequest(f"Expected a CSV. {error}", field="respondents") from error


def _mapping(table: Table) -> dict[str, Respondent]:
    if not {"file", "respondent"} <= set(table.columns):
        named = ", ".join(name for name in table.columns if name)
        raise InvalidRequest(
            "Expected a CSV whose first line names the columns file and respondent. "
            f"Received the columns {named or 'none'}.",
            field="respondents",
        )
    others = [name for name in table.columns if name and name not in ("file", "respondent")]
    if len(others) > MAX_ATTRIBUTES:
        raise InvalidRequest(
            f"Expected at most {MAX_ATTRIBUTES} columns beside file and respondent. "
            f"Received {len(others)}.",
            field="respondents",
        )
    mapping: dict[str, Respondent] = {}
    for line, row in table:
        file, name = same_name(row["file"]), row["respondent"][:_MAX_NAME]
        if not file or not name:
            continue
        told = tuple((key[:_MAX_NAME], row[key][:_MAX_NAME]) for key in others if row[key])
        one = Respondent(name, told)
        if mapping.setdefault(file, one).name != name:
            raise InvalidRequest(
                f"Line {line} gives {file!r} a second respondent; expected one for each file.",
                field="respondents",
            )
    return mapping


def endings_of(path: str) -> list[str]:
    """The path and every ending of it down to the bare name, as a mapping may name it.

    >>> endings_of("all.zip/A/1.jpg")
    ['all.zip/A/1.jpg', 'A/1.jpg', '1.jpg']
    """
    parts = same_name(path).split("/")
    return ["/".join(parts[at:]) for at in range(len(parts))]
