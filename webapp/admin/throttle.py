"""How often somebody may try a password: per address, and per account whoever asks.

An attempt is counted before it is looked at, so that many at once cannot slip through together.
"""

from __future__ import annotations

from typing import Final, cast

from flask import Flask, current_app, request
from limits import RateLimitItem, parse
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

from webapp.errors import RateLimited

EXTENSION = "mien.throttle"
PER_ADDRESS: Final = "10 per 5 minutes"
PER_ACCOUNT: Final = "20 per 15 minutes"


class Throttle:
    """Counts attempts in the store that the rate limits of the API use."""

    def __init__(self, storage_uri: str = "memory://") -> None:
        self._limiter = MovingWindowRateLimiter(storage_from_string(storage_uri))
        self._address = parse(PER_ADDRESS)
        self._account = parse(PER_ACCOUNT)

    def attempt(self, address: str, account: str) -> None:
        """Count one attempt. Raises :class:`RateLimited`; nothing is verified then."""
        limits: list[tuple[RateLimitItem, str]] = [
            (self._address, f"address {address}"),
            (self._account, f"account {account.strip().lower()[:100]}"),
        ]
        for limit, key in limits:
            if not self._limiter.hit(limit, "login", key):
                raise RateLimited(
                    "Too many attempts to log in. Wait a few minutes and try again.",
                    retry_after_s=limit.get_expiry(),
                )

    def succeeded(self, account: str) -> None:
        """Forget the failures of an account whose owner has just logged in."""
        self._limiter.clear(self._account, "login", f"account {account.strip().lower()[:100]}")


def init_throttle(app: Flask) -> None:
    app.extensions[EXTENSION] = Throttle(app.config.get("RATELIMIT_STORAGE_URI") or "memory://")


def throttle() -> Throttle:
    return cast(Throttle, current_app.extensions[EXTENSION])


def attempt(account: str) -> None:
    throttle().attempt(request.remote_addr or "?", account)
