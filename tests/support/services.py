"""Fixtures for tests that need Redis or PostgreSQL: private ones, or a skip with the reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.support.services import (
    Missing,
    PostgresServer,
    RedisServer,
    private_postgres,
    private_redis,
)


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis of the test's own, which it may kill and start again."""
    try:
        with private_redis() as server:
            yield server
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole run; each test makes itself a database."""
    try:
        with private_postgres() as server:
            yield server
    except Missing as missing:
        pytest.skip(str(missing))
