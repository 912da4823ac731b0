"""How often somebody may try a password: per address, and per account whoever asks.

A browser that the account's owner logged in with before is counted for itself: others who use an
account's attempts up lock nobody out who is known (OWASP's "device cookies").
An attempt is counted before it is looked at, so that many at once cannot slip through together.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import suppress
from typing import Any, Final, cast

from flask import Flask, Response, current_app, request
from itsdangerous import BadData, URLSafeSerializer
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from webapp.errors import RateLimited
from webapp.web.headers import cookie_name
from webapp.web.message_queue import RedisTrouble

EXTENSION = "mien.throttle"
DEVICE_COOKIE = "mien_device"
PER_ADDRESS: Final = "10 per 5 minutes"
PER_ACCOUNT: Final = "20 per 15 minutes"
_log = logging.getLogger(__name__)


class Throttle:
    """Counts attempts in the store that the rate limits of the API use."""

    def __init__(self, storage_uri: str = "memory://", **options: Any) -> None:
        self._shared = MovingWindowRateLimiter(storage_from_string(storage_uri, **options))
        self._own = MovingWindowRateLimiter(MemoryStorage())  # while the shared one is away
        self._address = parse(PER_ADDRESS)
        self._account = parse(PER_ACCOUNT)

    def attempt(self, address: str, account: str | None, device: str | None = None) -> None:
        """Count one attempt; ``account`` None for a set-up link, which nobody can guess. ``device``
        names a browser that this account's owner used before.

        Raises :class:`RateLimited`; nothing is verified then.
        """
        limits: list[tuple[RateLimitItem, str]] = [(self._address, f"address {address}")]
        if account is not None:
            limits.append((self._account, _account_key(account, device)))
        for limit, key in limits:
            if not self._hit(limit, key):
                raise RateLimited(
                    "Too many attempts to log in. Wait a few minutes and try again.",
                    retry_after_s=limit.get_expiry(),
                )

    def _hit(self, limit: RateLimitItem, key: str) -> bool:
        try:
            return self._shared.hit(limit, "login", key)
        except RedisTrouble:  # this node goes on counting for itself; nobody gets in freely
            _log.warning("Attempts to log in are counted by this node alone: no answer from Redis.")
            return self._own.hit(limit, "login", key)

    def succeeded(self, account: str, device: str | None = None) -> None:
        """Forget the failures of an account whose owner has just logged in."""
        key = _account_key(account, device)
        self._own.clear(self._account, "login", key)
        with suppress(*RedisTrouble):
            self._shared.clear(self._account, "login", key)


def _account_key(account: str, device: str | None) -> str:
    return f"device {device}" if device else f"account {account.strip().lower()[:100]}"


def _devices() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or "", salt="mien.device")


def known_device(account: str) -> str | None:
    """The name of the browser that asks, where this account's owner used it before."""
    try:
        owner, device = _devices().loads(request.cookies.get(cookie_name(DEVICE_COOKIE), ""))
    except (BadData, TypeError, ValueError):
        return None
    return str(device) if owner == account.strip().lower() else None


def remember_device(response: Response, account: str) -> None:
    """Have the browser that just logged in known for a year; the cookie opens nothing."""
    name = known_device(account) or secrets.token_urlsafe(16)
    response.set_cookie(
        cookie_name(DEVICE_COOKIE),
        str(_devices().dumps([account.strip().lower(), name])),
        max_age=365 * 86_400,
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
        path="/",
    )


def init_throttle(app: Flask) -> None:
    uri = app.config["RATELIMIT_STORAGE_URI"]
    app.extensions[EXTENSION] = Throttle(uri, **app.config.get("RATELIMIT_STORAGE_OPTIONS", {}))


def throttle() -> Throttle:
    return cast(Throttle, current_app.extensions[EXTENSION])


def attempt(account: str | None) -> None:
    device = known_device(account) if account is not None else None
    throttle().attempt(request.remote_addr or "?", account, device)
