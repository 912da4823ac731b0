"""How many bytes of pictures one owner's surveys keep, or one survey that nobody owns."""

from __future__ import annotations

import threading
import time
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.database.locks import lock
from webapp.database.store import Store
from webapp.database.survey_tables import Survey, Upload
from webapp.errors import StorageFull

FRESH_S: Final = 10.0  # so long a sum is believed; what we add meanwhile is counted at once
# Closer to the limit than this the database is asked before each file that is kept.
CLOSE_BYTES: Final = 1_000_000_000


class Quota:
    """Sums of the database, kept for moments: fifty thousand files ask one after another."""

    def __init__(self, store: Store, megabytes: int) -> None:
        self._store = store
        self._most = megabytes * 1_000_000
        self._sums: dict[int | str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def check(self, survey: Survey, size: int) -> None:
        """Raise :class:`StorageFull` where ``size`` bytes more are too many."""
        if self._most:
            self._compare(survey, self._kept(survey), size)

    def close(self, survey: Survey, size: int) -> bool:
        """Whether ``size`` bytes more come so close to the limit that :meth:`hold` is needed."""
        return bool(self._most) and self._most - self._kept(survey) - size < CLOSE_BYTES

    def hold(self, session: Session, survey: Survey, size: int) -> None:
        """As :meth:`check`, counted anew within the transaction that records the file, while
        others wait: uploads at one time cannot pass the limit together.
        """
        lock(session, f"uploads of {_key(survey)}")
        self._compare(survey, _sum(session, survey), size)

    def _compare(self, survey: Survey, kept: int, size: int) -> None:
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
            key = _key(survey)
            if key in self._sums:
                kept, at = self._sums[key]
                self._sums[key] = kept + size, at

    def _kept(self, survey: Survey) -> int:
        key, now = _key(survey), time.monotonic()
        with self._lock:
            self._sums = {one: row for one, row in self._sums.items() if now - row[1] < FRESH_S}
            if key in self._sums:
                return self._sums[key][0]
        with self._store.session() as session:
            kept = _sum(session, survey)
        with self._lock:
            self._sums[key] = kept, now
        return kept


def _key(survey: Survey) -> int | str:
    return survey.owner_id or survey.id


def _sum(session: Session, survey: Survey) -> int:
    owner = survey.owner_id
    kept = session.scalar(
        select(func.coalesce(func.sum(Upload.size_bytes), 0))
        .join(Survey, Survey.id == Upload.survey_id)
        .where(Survey.id == survey.id if owner is None else Survey.owner_id == owner)
        .where(Survey.pictures_deleted_at.is_(None), Upload.content_key.is_not(None))
    )
    return int(kept or 0)
