"""Rate limiting of one connection by a token bucket."""

from __future__ import annotations

from collections.abc import Callable


class TokenBucket:
    """Lets ``per_second`` events through on average and ``burst`` at once.

    Source: the token bucket of RFC 2697's metering, in the lazy form that refills on use.
    """

    __slots__ = ("_burst", "_clock", "_filled_at", "_per_second", "_tokens")

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float]) -> None:
        if per_second <= 0 or burst < 1:
            raise ValueError(
                f"Expected per_second > 0 and burst >= 1. Received {per_second}, {burst}."
            )
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._filled_at = clock()

    def take(self) -> float:
        """Take one token: 0.0 if there was one, otherwise the seconds until there is."""
        now = self._clock()
        self._tokens = min(
            self._burst, self._tokens + max(0.0, now - self._filled_at) * self._per_second
        )
        self._filled_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._per_second
