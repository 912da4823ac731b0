"""A node's own copies of stimuli that lie in a shared store.

A browser asks for a film in many parts, and a shared store would have to send all of it each time.
A copy is never wrong, because a stimulus does not change, and who may see it is asked of the
database each time. The sweep removes those of stimuli that are gone.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import select

from webapp.database.store import Store
from webapp.database.study_tables import StudyStimulus
from webapp.errors import NotFound
from webapp.files.reserve import DiskReserve
from webapp.files.storage import Files, remove_tree
from webapp.studies.catalog import Folders


class Copies:
    """Local files of what is shown."""

    def __init__(self, folders: Folders, files: Files, reserve: DiskReserve) -> None:
        self._folders = folders
        self._files = files
        self._reserve = reserve
        self._fetching = threading.Lock()

    def local(self, stimulus: StudyStimulus) -> Path:
        """The file with its content. Raises :class:`NotFound`, :class:`StorageFull` and
        :class:`StorageUnavailable`.
        """
        path = self._folders.content(stimulus.study_id, stimulus.id)
        direct = self._files.direct(path)
        found = direct or self._folders.copy(stimulus.id)
        if direct is None and not found.is_file():
            with self._fetching:  # many people begin at once
                if not found.is_file():
                    self._fetch(path, found, stimulus.bytes)
        if not found.is_file():
            raise NotFound("This stimulus is deleted.", stimulus=stimulus.id)
        return found.resolve()

    def _fetch(self, path: Path, target: Path, size: int) -> None:
        self._reserve.check(size)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._files.local(path) as fetched:
                fetched.replace(target)
        except FileNotFoundError:
            return

    def forget(self, stimulus_id: str) -> None:
        """Remove the copy of a stimulus."""
        self._folders.copy(stimulus_id).unlink(missing_ok=True)

    def sweep(self, store: Store) -> None:
        """Remove the copies of stimuli that are gone."""
        folder = self._folders.copies()
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        for start in range(0, len(names), 500):
            some = names[start : start + 500]
            with store.session() as session:
                query = select(StudyStimulus.id).where(StudyStimulus.id.in_(some))
                known = set(session.scalars(query))
            for name in set(some) - known:
                self.forget(name)
        if names and not any(folder.iterdir()):
            remove_tree(folder)
