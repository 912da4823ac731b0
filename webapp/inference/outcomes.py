"""How many requests each version answered and failed, by the second, for the last two minutes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from webapp.errors import (
    InferenceTimeout,
    InferenceUnavailable,
    MienError,
    ModelInvalid,
    WorkerCrashed,
)

KEPT_S = 120.0
# what a version can be the cause of; a damaged picture is nobody's fault here
_OURS = (ModelInvalid, WorkerCrashed, InferenceTimeout, InferenceUnavailable)


@dataclass(frozen=True, slots=True)
class Share:
    """Requests of one version in some time."""

    answered: int = 0
    failed: int = 0

    @property
    def errors(self) -> float:
        """Failed of all, in ``[0, 1]``; 0 without a request."""
        total = self.answered + self.failed
        return self.failed / total if total else 0.0


class Outcomes:
    """Counts by version and second. A failure counts for the version that was serving then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: deque[tuple[int, str, list[int]]] = deque()

    def answered(self, version: str) -> None:
        self._count(version, 0)

    def failed(self, version: str, error: MienError) -> None:
        """Count an error that the version may be to blame for; others are left out."""
        if isinstance(error, _OURS) or type(error) is MienError:
            self._count(version, 1)

    def _count(self, version: str, place: int) -> None:
        now = int(self._clock())
        with self._lock:
            for second, name, counts in reversed(self._rows):
                if second != now:
                    break
                if name == version:
                    counts[place] += 1
                    return
            counts = [0, 0]
            counts[place] = 1
            self._rows.append((now, version, counts))
            while self._rows and self._rows[0][0] < now - KEPT_S:
                self._rows.popleft()

    def share(self, version: str, since: float) -> Share:
        """The requests of a version from ``since`` (of the clock, whole seconds) on."""
        with self._lock:
            rows = [counts for second, name, counts in self._rows
                    if name == version and second >= int(since)]  # fmt: skip
        return Share(sum(c[0] for c in rows), sum(c[1] for c in rows))
