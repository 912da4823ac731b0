"""How many bytes one owner's surveys keep, or one that nobody owns, and how many files one has.

Each is summed by the database, and the sum is believed for moments: fifty thousand files ask one
after another. Close to a limit it is summed anew behind a lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.database.locks import lock
from webapp.database.store import Store
from webapp.database.survey_tables import Survey, Upload
from webapp.errors import PayloadTooLarge, StorageFull
from webapp.files.kinds import ARCHIVE

FRESH_S: Final = 10.0  # so long a sum is believed; what we add meanwhile is counted at once
# Closer to the limit than this the database is asked before each file that is kept.
CLOSE_BYTES: Final = 1_000_000_000
CLOSE_FILES: Final = 5_000


class _Believed:
    """Sums of the database by their keys; what we add is counted at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sums: dict[int | str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def get(self, key: int | str, summed: Callable[[Session], int]) -> int:
        now = time.monotonic()
        with self._lock:
            self._sums = {one: row for one, row in self._sums.items() if now - row[1] < FRESH_S}
            if key in self._sums:
                return self._sums[key][0]
        with self._store.session() as session:
            found = summed(session)
        with self._lock:
            self._sums[key] = found, now
        return found

    def add(self, key: int | str, more: int) -> None:
        with self._lock:
            if key in self._sums:
                found, at = self._sums[key]
                self._sums[key] = found + more, at


class FileLimit:
    """How many files a survey may have. A ZIP counts by its members; of ZIPs there may be as many
    beside them.
    """

    def __init__(self, store: Store, most: int) -> None:
        self._most = most
        self._believed = _Believed(store)

    def check(self, survey: Survey) -> None:
        """Raise :class:`PayloadTooLarge` where one file more is too many."""
        self._compare(self._count(survey))

    def close(self, survey: Survey) -> bool:
        """Whether one file more comes so close to the limit that :meth:`hold` is needed."""
        return self._most - self._count(survey) < CLOSE_FILES

    def hold(self, session: Session, survey: Survey, kind: str, more: int = 1) -> None:
        """As :meth:`check`, for ``more`` files that the session records while others wait."""
        lock(session, f"files of {survey.id}")
        self._compare(_files(session, survey, kind) + more - 1)

    def add(self, survey: Survey, more: int = 1) -> None:
        """Files were recorded."""
        self._believed.add(survey.id, more)

    def _count(self, survey: Survey) -> int:
        return self._believed.get(survey.id, lambda session: _files(session, survey))

    def _compare(self, there: int) -> None:
        if there >= self._most:
            raise PayloadTooLarge(
                f"Expected at most {self._most} files in one survey.", limit=self._most
            )


def _files(session: Session, survey: Survey, kind: str = "") -> int:
    """How many files there are, or how many ZIPs for that kind."""
    alike = Upload.kind == ARCHIVE if kind == ARCHIVE else Upload.kind != ARCHIVE
    query = select(func.count()).select_from(Upload).where(Upload.survey_id == survey.id, alike)
    return session.scalar(query) or 0


class Quota:
    """How many bytes may be kept."""

    def __init__(self, store: Store, megabytes: int) -> None:
        self._most = megabytes * 1_000_000
        self._believed = _Believed(store)

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
        self._believed.add(_key(survey), size)

    def _kept(self, survey: Survey) -> int:
        return self._believed.get(_key(survey), lambda session: _sum(session, survey))


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
