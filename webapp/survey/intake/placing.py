"""Which group a file belongs to, by its folders; ``static/js/survey/collect.js`` does the same."""

from __future__ import annotations

from collections.abc import Sequence

ONE_GROUP = "All pictures"


def placed(paths: Sequence[str], groups: Sequence[str] = (), default: str = ONE_GROUP) -> list[str]:
    """The group of each path (with ``/``), as for folders that are dropped on the page.

    The first folder of a path that is the name of one of ``groups`` is taken; else the folder that
    tells the files apart: the first, or the second where all lie in one. Files without a folder go
    to ``default``.

    >>> placed(["study/A/1.jpg", "study/B/2.jpg"])
    ['A', 'B']
    """
    folders = [path.split("/")[:-1] for path in paths]
    first = {parts[0] if parts else "" for parts in folders}
    shared = len(first) == 1 and all(len(parts) >= 2 for parts in folders)
    found = []
    for parts in folders:
        known = next((part for part in parts if part in groups), None)
        apart = parts[1] if shared else parts[0] if parts else default
        found.append(known or apart)
    return found
