"""Who analyses a picture next where several surveys want to: owners take turns."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from webapp.domain import FrameResult
from webapp.survey.analysis.outcomes import Analyzer


class FairTurns:
    """At most ``most`` turns at a time, given out round robin between owners.

    An owner who asks for one picture gets the next turn but one for each other owner who waits,
    however many pictures those still have. Within one owner, who asked first is first.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: dict[str, deque[threading.Event]] = {}  # the next owner first
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, owner: str) -> Iterator[None]:
        """Wait for a turn and have it for as long as the context lasts."""
        mine = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                mine.set()
            else:
                self._waiting.setdefault(owner, deque()).append(mine)
        try:
            mine.wait()
            yield
        finally:
            self._end(owner, mine)

    def _end(self, owner: str, mine: threading.Event) -> None:
        with self._lock:
            if not mine.is_set():  # this thread or greenlet was ended while it waited
                self._waiting[owner].remove(mine)
                if not self._waiting[owner]:
                    del self._waiting[owner]
            elif not self._waiting:
                self._free += 1
            else:
                next_owner = next(iter(self._waiting))
                waiting = self._waiting.pop(next_owner)
                waiting.popleft().set()
                if waiting:
                    self._waiting[next_owner] = waiting  # behind the others


class InTurn:
    """An :class:`Analyzer` that waits for its owner's turn before each picture."""

    def __init__(self, service: Analyzer, turns: FairTurns, owner: str) -> None:
        self._service, self._turns, self._owner = service, turns, owner

    @property
    def version(self) -> str:
        return self._service.version

    def analyze(self, image: bytes, **options: Any) -> FrameResult:
        """As :meth:`Analyzer.analyze`."""
        with self._turns.turn(self._owner):
            return self._service.analyze(image, **options)
