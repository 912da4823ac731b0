"""How many bytes of pictures one owner's surveys keep, or one survey that nobody owns."""

from __future__ import annotations

import threading
import time
from typing import Final

from sqlalchemy import func, select

from webapp.database.store import Store
from webapp.database.survey_tables import Survey, Upload
from webapp.errors import StorageFull

FRESH_S: Final = 10.0  # so long a sum is believed; what we add meanwhile is counted at once


class Quota:
    """Sums of the database, kept for moments: fifty thousand files ask one after another."""

    def __init__(self, store: Store, megabytes: int) -> None:
        self._store = store
        self._most = megabytes * 1_000_000
        self._sums: dict[int | str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def check(self, survey: Survey, size: int) -> None:
        """Raise :class:`StorageFull` where ``size`` bytes more are too many."""
        if not self._most:
            return
        kept = self._kept(survey)
        if kept + size > self._most:
            whose = "This survey" if survey.owner_id is None else "Your surveys"
            raise StorageFull(
                f"{whose} may keep {self._most // 1_000_000:,} MB of pictures and videos and hold "
                f"{kept // 1_000_000:,} MB. Delete pictures that are not needed any more; "
                "MIEN_SURVEY_QUOTA_MB sets the limit.",
                limit=self._most,
                kept=kept,
            )

    def add(self, survey: Survey, size: int) -> None:
        """A file of ``size`` bytes was kept."""
        with self._lock:
            key = survey.owner_id or survey.id
            if key in self._sums:
                kept, at = self._sums[key]
                self._sums[key] = kept + size, at

    def _kept(self, survey: Survey) -> int:
        key, now = survey.owner_id or survey.id, time.monotonic()
        with self._lock:
            self._sums = {one: row for one, row in self._sums.items() if now - row[1] < FRESH_S}
            if key in self._sums:
                return self._sums[key][0]
        same = (
            Survey.id == survey.id
            if survey.owner_id is None
            else (Survey.owner_id == survey.owner_id)
        )
        with self._store.session() as session:
            kept = session.scalar(
                select(func.coalesce(func.sum(Upload.size_bytes), 0))
                .join(Survey, Survey.id == Upload.survey_id)
                .where(same, Survey.pictures_deleted_at.is_(None), Upload.content_key.is_not(None))
            )
        with self._lock:
            self._sums[key] = int(kept or 0), now
        return int(kept or 0)
