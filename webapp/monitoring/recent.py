"""What happened in the last minute: results, how long they took, and what went wrong.

Everything is bounded: a slot for each second, a histogram in each slot, short lists of errors.
No picture, name, address or message of a user is kept, only codes and places in the program.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

WINDOW_S: Final = 60
KEPT: Final = 50
_FASTEST_S: Final = 0.0005
_STEP: Final = 1.1  # bucket edges grow by this: a percentile is right to 5 %
_BUCKETS: Final = math.ceil(math.log(120 / _FASTEST_S, _STEP))
_TEXT: Final = 200


def _bucket(seconds: float) -> int:
    place = math.ceil(math.log(max(seconds, _FASTEST_S) / _FASTEST_S, _STEP))
    return min(place, _BUCKETS - 1)


def _middle(bucket: int) -> float:
    """Seconds in the (geometric) middle of a bucket."""
    return float(_FASTEST_S * _STEP ** (bucket - 0.5))


@dataclass
class _Second:
    at: int
    buckets: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Rates:
    """One source over the window: results/s, and percentiles in seconds (None without results)."""

    results: int
    per_s: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    errors: dict[str, int]


class Recent:
    """Results and errors by source ("live", "api") over the last :data:`WINDOW_S` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._started = clock()
        self._seconds: dict[str, deque[_Second]] = {}
        self._errors: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def answered(self, source: str, seconds: float) -> None:
        with self._lock:
            self._now(source).buckets[_bucket(seconds)] += 1

    def failed(self, source: str, code: str) -> None:
        with self._lock:
            self._now(source).errors[code] += 1
            last = self._errors[-1] if self._errors else None
            if last and (last["source"], last["code"]) == (source, code):
                last.update(count=last["count"] + 1, at=_now_text())  # a flood is one line
            else:
                self._errors.append({"at": _now_text(), "source": source, "code": code, "count": 1})

    def _now(self, source: str) -> _Second:
        second = int(self._clock())
        seconds = self._seconds.setdefault(source, deque(maxlen=WINDOW_S + 1))
        if not seconds or seconds[-1].at != second:
            seconds.append(_Second(second))
        return seconds[-1]

    def rates(self) -> dict[str, Rates]:
        """By source, whatever had a result or an error since the start."""
        with self._lock:
            now = self._clock()
            covered = max(1.0, min(float(WINDOW_S), now - self._started))
            return {
                source: _rates(
                    [second for second in seconds if second.at > now - WINDOW_S], covered
                )
                for source, seconds in self._seconds.items()
            }

    def errors(self) -> list[dict[str, Any]]:
        """The last errors, newest first: ``{"at", "source", "code", "count"}``."""
        with self._lock:
            return [dict(error) for error in reversed(self._errors)]


def _rates(seconds: list[_Second], covered: float) -> Rates:
    buckets: Counter[int] = Counter()
    errors: Counter[str] = Counter()
    for second in seconds:
        buckets.update(second.buckets)
        errors.update(second.errors)
    total = sum(buckets.values())

    def percentile(share: float) -> float | None:
        wanted, seen = share * total, 0
        for bucket in sorted(buckets):
            seen += buckets[bucket]
            if seen >= wanted:
                return _middle(bucket)
        return None

    return Rates(
        total,
        total / covered,
        percentile(0.5) if total else None,
        percentile(0.95) if total else None,
        percentile(0.99) if total else None,
        dict(errors),
    )


def _now_text() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class RecentLog(logging.Handler):
    """Keeps the last warnings and errors of the log, without what was filled into them.

    The pattern of a log line is ours; its arguments may hold a file's or a person's name.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        pattern = record.msg.get("event", "") if isinstance(record.msg, dict) else record.msg
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        line = {
            "at": datetime.fromtimestamp(record.created, timezone.utc).isoformat(
                timespec="seconds"
            ),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": str(pattern)[:_TEXT],
            "exception": kind,
        }
        last = self._lines[-1] if self._lines else None
        if last and all(last[key] == line[key] for key in ("level", "logger", "text")):
            last.update(at=line["at"], count=last["count"] + 1)
        else:
            self._lines.append(line | {"count": 1})

    def lines(self) -> list[dict[str, Any]]:
        """Newest first: ``{"at", "level", "logger", "text", "exception", "count"}``."""
        return [dict(line) for line in reversed(self._lines)]


recent_log: Final = RecentLog()


def keep_log() -> None:
    """Begin to keep warnings of the whole process; may be called again."""
    root = logging.getLogger()
    if recent_log not in root.handlers:
        root.addHandler(recent_log)
