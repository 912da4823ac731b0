"""Rate limits that nodes count together, and what happens while Redis is away."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from bench.support.services import RedisServer
from tests.support.live import JPEG, FakeInference
from webapp.app import create_app
from webapp.errors import SettingsError
from webapp.settings import Settings

pytestmark = pytest.mark.slow


def client(redis: RedisServer) -> FlaskClient:
    settings = Settings(async_mode="threading", message_queue=redis.url, api_rate_per_minute=3)
    return create_app(settings, inference=FakeInference()).test_client()


def analyze(node: FlaskClient) -> int:
    return node.post("/api/v1/analyze", data=JPEG, content_type="image/jpeg").status_code


def test_two_nodes_count_together_and_each_for_itself_without_redis(
    redis_server: RedisServer,
) -> None:
    first = client(redis_server)
    assert [analyze(first) for _ in range(2)] == [200, 200]
    second = client(redis_server)
    assert [analyze(second) for _ in range(2)] == [200, 429]
    redis_server.kill()
    assert analyze(second) == 200  # nobody is refused because Redis is away


def test_another_kind_of_queue_is_refused() -> None:
    with pytest.raises(SettingsError, match="redis://"):
        create_app(Settings(message_queue="amqp://host"))
