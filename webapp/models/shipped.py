"""Brings the versions that come with the program into the folder that the server uses.

A container's volume or ``/var/lib/mien`` keeps its own models folder. Each start brings what an
upgrade of the program added; which one serves stays as it was. A version that was brought once
and deleted since stays deleted.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from webapp.files import atomic
from webapp.models.registry import ACTIVE_FILE, Registry

BROUGHT_FILE: Final = "SHIPPED"


def bring(source: Path, target: Path) -> list[str]:
    """Copy versions that ``target`` never had; their names, oldest first.

    A version appears as a whole or not at all. ``ACTIVE`` is copied only where there is none.
    Raises OSError, for example for a full disk.
    """
    if source.resolve() == target.resolve():
        return []
    target.mkdir(parents=True, exist_ok=True)
    listed = target / BROUGHT_FILE
    before = listed.read_text(encoding="utf-8").split() if listed.is_file() else []
    shipped, new = Registry(source), []
    for found in shipped.versions():
        if found.version in before:
            continue
        if not (target / found.version).exists():
            partial = target / f".{found.version}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(found.folder, partial)
            partial.rename(target / found.version)
            new.append(found.version)
        before.append(found.version)
    active = shipped.active_name()
    if active is not None and not (target / ACTIVE_FILE).exists():
        atomic.write(target / ACTIVE_FILE, f"{active}\n")
    atomic.write(listed, "".join(f"{name}\n" for name in before))
    return new
