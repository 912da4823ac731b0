"""How far a job is: counts, rate over the last seconds, and the time that is left."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

WINDOW_S = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """A job as the page shows it; ``rate`` in files/s, ``eta_s`` in seconds or None."""

    survey: str
    job: int
    state: str
    done: int
    total: int
    rate: float | None = None
    eta_s: float | None = None
    counts: dict[str, int] | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "survey": self.survey,
            "job": self.job,
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "rate": None if self.rate is None else round(self.rate, 1),
            "eta_s": None if self.eta_s is None else round(self.eta_s, 1),
            "counts": self.counts or {},
            "error": self.error,
        }


class RateMeter:
    """Files per second over the last ``WINDOW_S`` seconds."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def mark(self, done: int) -> float | None:
        """Note that ``done`` files are finished now and return the rate, or None too early."""
        now = time.monotonic()
        self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW_S:
            self._marks.popleft()
        since, before = self._marks[0]
        elapsed = now - since
        return (done - before) / elapsed if elapsed > 0.2 else None
