"""Who may be in which picture, guessed from folders and file names, for somebody to confirm.

A guess keeps pictures of one person together until somebody says who is who: taken for different
people they make chance differences look certain. Nothing here looks at a face.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from webapp.domain import EMOTIONS
from webapp.languages import N_
from webapp.survey.respondents import respondent_of

PATTERNS = ("{respondent}_*.*", "{respondent}-*.*", "{respondent} *.*", "*_{respondent}.*")
MOST_EXAMPLES = 3
# Names that cameras, phones and programs give, and words for what is shown: nobody's name.
_CAMERAS = (
    "img image images picture pictures pic photo photos dsc dscn dscf pxl mvi gopr frame frames "
    "face faces scan screenshot whatsapp video videos vid test train copy new untitled"
)
_NOBODY = frozenset(_CAMERAS.split()) | frozenset(EMOTIONS)


@dataclass(frozen=True, slots=True)
class Guess:
    """A rule that finds ``people`` in the files: ``folder``, or ``pattern`` with its pattern.

    ``least`` and ``most`` are files of one person; ``files`` those that have one, of ``total``.
    """

    rule: str
    pattern: str
    people: int
    least: int
    most: int
    files: int
    total: int
    examples: tuple[str, ...]

    @property
    def words(self) -> str:
        """As "30 people, 6 pictures each"."""
        if self.least == self.most == 1:
            return N_(f"{self.people} people, 1 picture each")
        if self.least == self.most:
            return N_(f"{self.people} people, {self.most} pictures each")
        return N_(f"{self.people} people, {self.least} to {self.most} pictures each")

    def to_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "pattern": self.pattern,
            "people": self.people,
            "files": self.files,
            "total": self.total,
            "words": self.words,
            "examples": list(self.examples),
        }


def guess_respondents(paths: Sequence[str], groups: Iterable[str]) -> Guess | None:
    """The first rule under which several people have several files each, or None.

    ``paths`` with ``/``; a folder that is named like one of ``groups`` names nobody. The folder
    above each file is tried first, then :data:`PATTERNS`. At least nine in ten files must be given
    a person.
    """
    shown = {group.casefold() for group in groups}
    for rule, pattern in (("folder", ""), *(("pattern", pattern) for pattern in PATTERNS)):
        names = Counter(
            name
            for path in paths
            if (name := respondent_of(path, rule, pattern)) and _may_be_somebody(name, shown)
        )
        files = names.total()
        counts = sorted(names.values())
        if len(counts) < 2 or 10 * files < 9 * len(paths) or median(counts) < 2:
            continue
        examples = tuple(sorted(names)[:MOST_EXAMPLES])
        return Guess(rule, pattern, len(counts), counts[0], counts[-1], files, len(paths), examples)
    return None


def _may_be_somebody(name: str, groups: set[str]) -> bool:
    """Groups by their own names only: "A01" may be somebody in group "A", "IMG_01" is nobody."""
    plain = name.casefold()
    bare = plain.rstrip("0123456789 ()_-")
    return plain not in groups and (bare not in _NOBODY or plain.isdecimal())
