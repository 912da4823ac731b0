"""How often a worker may be started again: Erlang's "maximum restart intensity" with back-off.

A worker that cannot live must not burn the machine: within the budget restarts are immediate,
beyond it they are delayed ever longer.
"""

from __future__ import annotations

from collections import deque

BUDGET_WINDOW_S = 60.0
BACKOFF_FIRST_S = 1.0
BACKOFF_MOST_S = 30.0


class RestartBudget:
    """When the next restart may happen: at once ``budget`` times a minute, then ever later.

    Once spent, the delays double until a process has lived for a whole minute.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._recent: deque[float] = deque()
        self._excess = 0

    def delay_s(self, now: float, lived_s: float) -> float:
        """Count a restart at ``now`` (monotonic) and give the delay before it, both in seconds.

        ``lived_s`` is how long the process served that has ended.
        """
        if lived_s > BUDGET_WINDOW_S:
            self._excess = 0
        while self._recent and now - self._recent[0] > BUDGET_WINDOW_S:
            self._recent.popleft()
        self._recent.append(now)
        if not self._excess and len(self._recent) <= self._budget:
            return 0.0
        self._excess += 1
        return min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2.0 ** (self._excess - 1))
