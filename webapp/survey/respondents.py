"""Who is in a picture, read from its path: the folder above it, or a pattern of its name.

A respondent is a name the researcher gave; it is used to keep several pictures of one person
together in the intervals. Nothing here looks at a face.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from webapp.errors import InvalidRequest
from webapp.files.tables import Table, TableError, read_table
from webapp.files.text import same_name

RULES = ("none", "single", "folder", "pattern")
_FIELD = "{respondent}"
_MAX_WILDCARDS = 3
_MAX_NAME = 200
MAX_ATTRIBUTES = 10
# what people call the two columns; the first that is there is taken
_FILE_COLUMNS = ("file", "filename", "file name", "file_name", "path", "image", "picture")
_PERSON_COLUMNS = (
    "respondent",
    "participant",
    "person",
    "subject",
    "respondent_id",
    "participant_id",
)


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A file-name pattern as the literal pieces between its asterisks, in small letters.

    ``before`` and ``after`` are the pieces on each side of the name; neither is ever empty.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]

    def respondent(self, name: str) -> str | None:
        """What stands for the respondent in ``name``, or None where the pattern does not match.

        Each piece is taken where it first occurs, which is right wherever anything is, because an
        asterisk before it takes what is left over: no place is ever tried twice.
        """
        text = _small(name)
        if not text.startswith(self.before[0]):
            return None
        at = len(self.before[0])
        for piece in self.before[1:]:
            at = text.find(piece, at) + len(piece)
            if at < len(piece):
                return None
        start, last = at, len(text) - len(self.after[-1])
        if not text.endswith(self.after[-1]):
            return None
        if len(self.after) == 1:
            return name[start:last] if last > start else None
        end = text.find(self.after[0], start + 1)
        at = end + len(self.after[0])
        if end < 0:
            return None
        for piece in self.after[1:-1]:
            at = text.find(piece, at) + len(piece)
            if at < len(piece):
                return None
        return name[start:end] if at <= last and end <= len(name) else None


def _small(text: str) -> str:
    """``text`` in small letters, each character for one, so that places stay the same."""
    small = text.lower()
    if len(small) == len(text):
        return small
    return "".join(one if len(one) == 1 else was for was, one in ((c, c.lower()) for c in text))


@lru_cache(maxsize=64)
def compile_pattern(pattern: str) -> NamePattern:
    """A file-name pattern such as ``{respondent}_*.jpg``, ready to be matched.

    ``{respondent}`` stands for the name, ``*`` for anything. Matching takes time in proportion to
    the length of a name, whatever the pattern is. Raises :class:`InvalidRequest`.
    """
    if pattern.count("*") > _MAX_WILDCARDS or len(pattern) > _MAX_NAME:
        raise InvalidRequest(
            f"Expected at most {_MAX_WILDCARDS} asterisks and {_MAX_NAME} characters.",
            field="respondent_pattern",
        )
    if pattern.count(_FIELD) != 1:
        raise InvalidRequest(
            f"Expected a pattern with {_FIELD} in it once, such as {_FIELD}_*.jpg. "
            f"Received {pattern!r}.",
            field="respondent_pattern",
        )
    before, after = pattern.split(_FIELD)
    return NamePattern(tuple(_small(before).split("*")), tuple(_small(after).split("*")))


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
        found = compile_pattern(pattern).respondent(parts.name[:255])
        return found[:_MAX_NAME] if found else None
    return None


@dataclass(frozen=True, slots=True)
class Respondent:
    """One line of the CSV: a name, and what else is known (age band, market), by column."""

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
    files = next((name for name in _FILE_COLUMNS if name in table.columns), None)
    people = next((name for name in _PERSON_COLUMNS if name in table.columns), None)
    if files is None or people is None:
        raise InvalidRequest(
            "Expected a CSV whose first line names the columns file and respondent. "
            f"Received the columns {table.named}.",
            field="respondents",
        )
    others = [name for name in table.columns if name and name not in (files, people)]
    if len(others) > MAX_ATTRIBUTES:
        raise InvalidRequest(
            f"Expected at most {MAX_ATTRIBUTES} columns beside file and respondent. "
            f"Received {len(others)}.",
            field="respondents",
        )
    mapping: dict[str, Respondent] = {}
    for line, row in table:
        file, name = same_name(row[files]), row[people][:_MAX_NAME]
        if not file or not name:
            continue
        known = tuple((key[:_MAX_NAME], row[key][:_MAX_NAME]) for key in others if row[key])
        one = Respondent(name, known)
        if mapping.setdefault(file, one).name != name:
            raise InvalidRequest(
                f"Line {line} gives {file!r} a second respondent; expected one for each file.",
                field="respondents",
            )
    if not mapping:
        raise InvalidRequest(
            "The CSV names no file: below its first line no row has a file and a respondent.",
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
