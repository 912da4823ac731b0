"""Rate limits outlive every step of the time of day."""

from __future__ import annotations

import time

import pytest
from flask import Flask
from limits import parse
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

from webapp.app import create_app
from webapp.settings import Settings
from webapp.web.rate_limits import SteadyStorage

LIMIT = parse("3 per minute")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage(clock: Clock) -> SteadyStorage:
    return SteadyStorage(clock=clock)


def test_a_portion_is_refused_until_its_oldest_hit_is_old(
    storage: SteadyStorage, clock: Clock
) -> None:
    limiter = MovingWindowRateLimiter(storage)
    assert [limiter.hit(LIMIT, "a") for _ in range(4)] == [True, True, True, False]
    assert limiter.hit(LIMIT, "b")
    clock.now += 59
    assert not limiter.hit(LIMIT, "a")
    clock.now += 2
    assert limiter.hit(LIMIT, "a")
    limiter.clear(LIMIT, "a")
    assert limiter.get_window_stats(LIMIT, "a").remaining == 3


def test_a_clock_that_is_set_back_refuses_nobody_for_longer(
    storage: SteadyStorage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = MovingWindowRateLimiter(storage)
    for _ in range(3):
        limiter.hit(LIMIT, "a")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    assert 0 < limiter.get_window_stats(LIMIT, "a").reset_time - time.time() <= 61
    clock.now += 61
    assert limiter.hit(LIMIT, "a")


def test_who_left_is_forgotten(storage: SteadyStorage, clock: Clock) -> None:
    for visitor in range(900):
        storage.acquire_entry(str(visitor), 3, 60)
    clock.now += 61
    for _ in range(200):
        storage.acquire_entry("another", 1000, 60)
    assert storage.reset() == 1


def test_it_is_what_one_node_counts_with() -> None:
    app: Flask = create_app(Settings(async_mode="threading"))
    uri = app.config["RATELIMIT_STORAGE_URI"]
    assert isinstance(storage_from_string(uri), SteadyStorage)
