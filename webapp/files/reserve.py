"""Room on the disk that uploads leave for logging in, deleting and the database.

Two parts. Uploads stop while less than the reserve is free. And a file that holds nothing is given
up once the disk is almost full whoever filled it: SQLite needs room for its journal even to delete.
"""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from webapp.errors import StorageFull

BALLAST_FILE: Final = "reserve"
BALLAST_BYTES: Final = 16_000_000
SMALL_DISK: Final = 10  # a reserve takes at most this part of a disk: a tenth
LOW_BYTES: Final = 8_000_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DiskReserve:
    """The reserve on the disk that ``folder`` is on; ``megabytes`` is MIEN_DISK_RESERVE_MB."""

    folder: Path
    megabytes: int

    def _disk(self) -> tuple[int, int]:
        """Free and whole bytes; the folder need not be there yet."""
        for folder in (self.folder, *self.folder.resolve().parents):
            with contextlib.suppress(OSError):
                found = os.statvfs(folder)
                return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        return 0, 0

    @property
    def _ballast(self) -> Path:
        return self.folder / BALLAST_FILE

    def check(self, needed: int = 0) -> None:
        """Raise :class:`StorageFull` where ``needed`` bytes more would touch the reserve."""
        free, whole = self._disk()
        kept = self._kept(whole)
        if not self._ballast.exists():  # it was given up, and what it gave is for others
            kept += _ballast_bytes(whole)
        if self.megabytes and free - needed < kept:
            raise StorageFull(
                "There is no room for this on the server's disk; nothing of it was kept. Delete "
                "surveys or models that nobody needs, or ask the administrator for room.",
                free=max(0, free - kept),
                needed=needed,
            )

    def to_json(self) -> dict[str, Any]:
        """Free and whole bytes of the disk, and what uploads must leave free."""
        free, whole = self._disk()
        reserve = self._kept(whole) if self.megabytes else 0
        return {"free_bytes": free, "total_bytes": whole, "reserve_bytes": reserve}

    def _kept(self, whole: int) -> int:
        return min(self.megabytes * 1_000_000, whole // SMALL_DISK)

    def hold(self) -> None:
        """Make the file to give up, where there is room for it."""
        free, whole = self._disk()
        size = _ballast_bytes(whole)
        if not self.megabytes or self._ballast.exists() or free < self._kept(whole) + 2 * size:
            return
        partial = self._ballast.with_suffix(".partial")
        try:
            with partial.open("wb") as stream:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(stream.fileno(), 0, size)
                else:
                    stream.write(bytes(size))
            partial.replace(self._ballast)
        except OSError as error:
            _log.warning("No room could be reserved on the disk: %s", error)
            partial.unlink(missing_ok=True)

    def release_if_low(self) -> None:
        """Give the file up where hardly anything is free; cheap enough before each transaction."""
        free, whole = self._disk()
        if free < min(LOW_BYTES, self._kept(whole) // 2):
            with contextlib.suppress(OSError):
                self._ballast.unlink()
                _log.error("The disk is almost full (%d bytes free): the reserve is used.", free)


def _ballast_bytes(whole: int) -> int:
    return min(BALLAST_BYTES, whole // 8)
