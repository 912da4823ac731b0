"""Which group a file belongs to, by its folders; ``static/js/survey/collect.js`` does the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from webapp.files.archives import Member

ONE_GROUP = "All pictures"
# Endings of what people put beside their pictures; it says nothing of groups.
DOCUMENTS: Final = (
    *(".txt", ".md", ".rtf", ".log", ".pdf", ".html", ".htm", ".url", ".lnk", ".ini"),
    *(".csv", ".tsv", ".xls", ".xlsx", ".ods", ".json", ".xml", ".yaml", ".yml"),
    *(".doc", ".docx", ".odt", ".ppt", ".pptx"),
)


def placed(paths: Sequence[str], groups: Sequence[str] = (), default: str = ONE_GROUP) -> list[str]:
    """The group of each path (with ``/``), as for folders that are dropped on the page.

    The first folder of a path that is the name of one of ``groups`` is taken; else the folder that
    tells the files apart: the first, or the second where all lie in one. Files without a folder go
    to ``default``. Documents make no groups: they go to one of the others.

    >>> placed(["study/A/1.jpg", "study/B/2.jpg", "study/notes.txt"])
    ['A', 'B', 'A']
    """
    documents = [path.lower().endswith(DOCUMENTS) for path in paths]
    folders = [path.split("/")[:-1] for path in paths]
    telling = [f for f, document in zip(folders, documents, strict=True) if not document] or folders
    first = {parts[0] if parts else "" for parts in telling}
    shared = len(first) == 1 and all(len(parts) >= 2 for parts in telling)

    def group(parts: list[str]) -> str:
        known = next((part for part in parts if part in groups), None)
        apart = parts[1:2] if shared else parts[:1]
        return known or (apart[0] if apart else default)

    there = {group(parts): None for parts in telling}  # in order
    found = [group(parts) for parts in folders]
    return [name if name in there else next(iter(there)) for name in found]


def placed_members(members: Sequence[Member], groups: Sequence[str], most: int) -> list[str]:
    """The group of each member of a ZIP; one for all where there would be more than ``most``.

    A refused member says nothing of groups: it is listed in that of the first good one.
    """
    default = groups[0] if len(groups) == 1 else ONE_GROUP
    good = [one.path for one in members if one.refused is None]
    named = placed(good, groups, default)
    if len({*groups, *named}) > most:
        named = [default] * len(good)
    group_of = dict(zip(good, named, strict=True))
    others = named[0] if named else default
    return [group_of.get(one.path, others) for one in members]
