"""All files below a folder, also behind links: data sets are often linked into place."""

from __future__ import annotations

import os
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """The files below ``folder``, sorted; a folder that links lead to again comes once.

    What cannot be listed is left out. A link that leads nowhere is no file.
    """
    found: list[Path] = []
    visited: set[tuple[int, int]] = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        status = Path(here).stat()
        place = (status.st_dev, status.st_ino)
        if place in visited:
            folders.clear()
            continue
        visited.add(place)
        folders.sort()  # so that it is the same one that comes
        found += [path for name in names if (path := Path(here, name)).is_file()]
    return sorted(found)
