"""The parts of studies in one application, opened when they are first needed."""

from __future__ import annotations

import logging
import threading
from typing import cast

from flask import Flask, current_app
from sqlalchemy import select

from webapp.database.store import Store
from webapp.database.study_tables import Study
from webapp.files.open_storage import open_files
from webapp.files.reserve import DiskReserve
from webapp.files.storage import remove_tree
from webapp.settings import Settings
from webapp.studies.catalog import Catalog
from webapp.studies.copies import Copies
from webapp.studies.group_commit import GroupCommit
from webapp.studies.ingest import Ingest
from webapp.studies.participants import Participants
from webapp.studies.report.cache import Reports
from webapp.studies.stimuli import Stimuli
from webapp.survey.calendar import Calendar
from webapp.web.open_database import database_of
from webapp.web.opened_once import OpenedOnce
from webapp.web.services import Services, services_of

EXTENSION = "mien.studies"
STALE_S = 86_400  # what an upload left that was cut off by a crash
_log = logging.getLogger(__name__)


class Studies:
    """Catalog, stimuli, participants and their samples."""

    def __init__(self, services: Services, store: Store) -> None:
        self.settings: Settings = services.settings
        self.store = store
        self.files, self._close_files = open_files(self.settings)
        self.catalog = Catalog(store, self.settings.instance_path, self.files)
        self.stimuli = Stimuli(self.catalog, self.settings)
        reserve = DiskReserve(self.settings.instance_path, self.settings.disk_reserve_mb)
        self.copies = Copies(self.catalog.folders, self.files, reserve)
        self.participants = Participants(store, self.settings)
        self.ingest = Ingest(store, self.participants, self.settings)
        self.together = GroupCommit(self.ingest.write_all)
        self.reports = Reports(store, services)
        self._calendar = Calendar()

    def close(self) -> None:
        self._close_files()

    def sweep(self) -> int:
        """Delete what is past its date, and files of studies that are gone; how many people."""
        now = self._calendar.now()
        gone = self.participants.sweep(now)
        root = self.settings.instance_path / "studies"
        for name in self.files.folders(root):
            with self.store.session() as session:
                known = session.scalar(select(Study.id).where(Study.id == name))
            if known is None:
                self.files.remove_tree(root / name)
        self.copies.sweep(self.store)
        incoming = self.catalog.folders.incoming()
        for left in incoming.glob("*") if incoming.is_dir() else ():
            if now.timestamp() - left.stat().st_mtime > STALE_S:
                left.unlink(missing_ok=True)
        if incoming.is_dir() and not any(incoming.iterdir()):
            remove_tree(incoming)
        return gone


class LazyStudies(OpenedOnce[Studies]):
    """The studies of an application."""

    def _make(self) -> Studies:
        return Studies(services_of(self._app), database_of(self._app).open())

    def keep_sweeping(self) -> None:
        """Look now and then for what is past its date, as soon as the database is there."""
        threading.Thread(target=self._sweep_on, name="studies", daemon=True).start()

    def _sweep_on(self) -> None:
        while not self._closing.is_set():
            try:
                self.open().sweep()
            except Exception:  # noqa: BLE001  (the next look may go well)
                _log.exception("Studies past their date could not be looked for.")
            self._closing.wait(services_of(self._app).settings.survey_sweep_s)


def studies_of(app: Flask) -> LazyStudies:
    """The studies of one application, perhaps not opened yet."""
    return cast(LazyStudies, app.extensions[EXTENSION])


def studies() -> Studies:
    """The studies of the application that handles the present request.

    Raises :class:`MienError` where the database cannot be opened.
    """
    return studies_of(current_app).open_for_request()
