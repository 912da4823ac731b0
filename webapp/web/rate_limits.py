"""Rate limits that are counted in this process, by a clock that nobody can set.

The library's own storage goes by the time of day: set back by an hour, it would refuse whoever had
used up a portion for an hour more. Only moving windows are kept, which is what we limit by.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from limits.storage import Storage
from limits.storage.base import MovingWindowSupport

SCHEME: Final = "steady"
SWEEP_EVERY: Final = 1000  # hits; keys of visitors who left are dropped then


class SteadyStorage(Storage, MovingWindowSupport):
    """Times of hits by key on the monotonic clock; times of day only where they are asked for."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 - the library's own name and type

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        clock: Callable[[], float] = time.monotonic,
        **_options: Any,
    ) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._clock = clock
        self._lock = threading.Lock()
        self._hits: dict[str, deque[float]] = {}
        self._kept_s: dict[str, float] = {}
        self._until_sweep = SWEEP_EVERY

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count ``amount`` hits of ``key``, or False: more than ``limit`` in ``expiry`` s."""
        with self._lock:
            now = self._clock()
            self._sweep(now)
            hits = self._hits.setdefault(key, deque())
            self._kept_s[key] = expiry
            self._forget(hits, now - expiry)
            if len(hits) + amount > limit:
                return False
            hits.extend([now] * amount)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """``(time of day of the oldest hit in the window, hits in it)``."""
        with self._lock:
            now = self._clock()
            hits = self._hits.get(key)
            if hits is not None:
                self._forget(hits, now - expiry)
            if not hits:
                return time.time(), 0
            return time.time() - (now - hits[0]), len(hits)

    @staticmethod
    def _forget(hits: deque[float], before: float) -> None:
        while hits and hits[0] < before:
            hits.popleft()

    def _sweep(self, now: float) -> None:
        self._until_sweep -= 1
        if self._until_sweep > 0:
            return
        self._until_sweep = SWEEP_EVERY
        for key in [k for k, hits in self._hits.items() if self._gone(k, hits, now)]:
            del self._hits[key], self._kept_s[key]

    def _gone(self, key: str, hits: deque[float], now: float) -> bool:
        return not hits or hits[-1] < now - self._kept_s[key]

    def check(self) -> bool:
        return True

    def clear(self, key: str) -> None:
        with self._lock:
            self._hits.pop(key, None)
            self._kept_s.pop(key, None)

    def reset(self) -> int:
        with self._lock:
            count = len(self._hits)
            self._hits.clear()
            self._kept_s.clear()
            return count

    # what the library asks of every storage and only the fixed window uses

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        raise NotImplementedError

    def get(self, key: str) -> int:
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        raise NotImplementedError
