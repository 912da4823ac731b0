"""The date that decides what is deleted: a clock that was set wrong must not delete pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from webapp.database.base import utcnow

BELIEVED_S = 3600.0
STEP_S = 5.0  # less is no step but the slow correction of a clock


class Calendar:
    """The present time, which believes a step of the clock after it has stood for an hour.

    Until then it goes on as before the step. A clock that runs ahead for some minutes (a wrong
    time server, a battery that is empty) deletes nothing early; one that was right all the time is
    an hour late at most. Times are aware, in UTC.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = utcnow,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._steady = wall, steady
        self._last, self._at = wall(), steady()
        self._other: float | None = None  # the step that is looked at, s
        self._since = 0.0

    def now(self) -> datetime:
        at, wall = self._steady(), self._wall()
        shown = self._last + timedelta(seconds=at - self._at)
        step = (wall - shown).total_seconds()
        if abs(step) < STEP_S:
            self._other = None
            shown = wall
        elif self._other is None or abs(step - self._other) > STEP_S:
            self._other, self._since = step, at
        elif at - self._since > BELIEVED_S:
            self._other = None
            shown = wall
        self._last, self._at = shown, at
        return shown
