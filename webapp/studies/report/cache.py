"""Reports of studies that were made, kept until anything in the study changes."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from webapp.database.base import utcnow
from webapp.database.store import Store
from webapp.database.study_tables import StudyParticipant
from webapp.studies.catalog import find_study
from webapp.studies.report.process import run_process
from webapp.web.services import Services

KEPT: Final = 8


class Reports:
    """Makes reports in processes, one at a time, and keeps the latest in memory only: whoever
    withdraws is in no file.
    """

    def __init__(self, store: Store, services: Services) -> None:
        self._store = store
        self._services = services
        self._kept: OrderedDict[tuple[Any, ...], dict[str, Any]] = OrderedDict()
        self._turn = threading.Lock()

    def _state(self, study_id: str) -> tuple[Any, ...]:
        """What changes whenever a report would. Raises :class:`NotFound`."""
        with self._store.session() as session:
            study = find_study(session, study_id)
            row = StudyParticipant
            people = session.execute(
                select(row.number, row.state, row.samples, row.seen_at)
                .where(row.study_id == study_id, row.preview.is_(False))
                .order_by(row.number)
            )
            # of each, not the newest of all: the clocks of nodes may differ
            digest = hashlib.sha256(repr(people.all()).encode()).hexdigest()
            return study.name, study.state, study.withdrawn, digest

    def _arguments(self, study_id: str) -> list[str]:
        threshold = self._services.uncertain_below(self._services.inference.version)
        cell = self._services.settings.survey_min_cell
        return ["--study", study_id, "--threshold", str(threshold), "--min-cell", str(cell)]

    def report(self, study_id: str, by: str = "", only: str = "") -> dict[str, Any]:
        """The report as it is now; not to be changed by who gets it.

        Raises :class:`NotFound`, :class:`InvalidRequest`, :class:`Conflict`.
        """
        arguments = [*self._arguments(study_id), f"--by={by}", f"--only={only}"]
        key = (*arguments, *self._state(study_id))
        with self._turn:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            made = run_process(self._store.url, arguments)
            made["made_at"] = utcnow().isoformat()
            asked = len(arguments)
            for old in [one for one in self._kept if one[:asked] == key[:asked]]:
                del self._kept[old]  # what it was made of has changed
            self._kept[key] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return made

    def workbook(self, study_id: str, language: str) -> bytes:
        """The report as XLSX in a language. Raises as :meth:`report`."""
        self._state(study_id)
        with tempfile.TemporaryDirectory() as folder, self._turn:
            path = Path(folder) / "report.xlsx"
            more = ["--xlsx", str(path), "--language", language]
            run_process(self._store.url, [*self._arguments(study_id), *more])
            return path.read_bytes()
