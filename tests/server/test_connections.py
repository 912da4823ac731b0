"""One address cannot take every place, nor every file descriptor."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from bench.support.server import running_server
from tests.support.models import activate, make_version
from webapp.server import connections
from webapp.server.connections import ConnectionLimiter
from webapp.settings import Settings


def test_each_address_is_counted_by_itself_and_forgotten() -> None:
    door = ConnectionLimiter(
        Settings(max_connections_per_address=81, live_max_sessions_per_address=16)
    )
    assert door.limit == 81
    with ExitStack() as stack:
        first = [stack.enter_context(door.acquire("a")) for _ in range(82)]
        assert first == [True] * 81 + [False]
        assert stack.enter_context(door.acquire("b"))
    with door.acquire("a") as allowed:
        assert allowed


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({}, 256),
        ({"trusted_proxies": 1}, 0),
        ({"max_connections_per_address": 0}, 0),
        # whoever allows more live connections has to let them in
        ({"live_max_sessions_per_address": 1000}, 1064),
    ],
)
def test_the_limit_follows_the_settings(settings: dict[str, int], limit: int) -> None:
    assert ConnectionLimiter(Settings(**settings)).limit == limit


def test_places_leave_files_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (1024, 2048))
    monkeypatch.setattr(resource, "setrlimit", lambda _what, value: asked.append(value))
    assert connections.places() == 2048 - connections.SPARE_FILES
    assert asked == [(2048, 2048)]


def test_silent_connections_beyond_the_limit_are_closed_and_others_are_served(
    tmp_path: Path,
) -> None:
    make_version(tmp_path / "models", "test-1")
    activate(tmp_path / "models", "test-1")
    environment = {
        "MIEN_MODELS_DIR": str(tmp_path / "models"),
        "MIEN_INSTANCE_DIR": str(tmp_path / "instance"),
        "MIEN_WORKERS": "1",
        "MIEN_MAX_CONNECTIONS_PER_ADDRESS": "80",
    }
    with running_server(environment) as server, ExitStack() as stack:
        parts = urlsplit(server.url)
        target = (parts.hostname or "", parts.port or 0)
        silent = [
            stack.enter_context(socket.create_connection(target, source_address=("127.0.0.2", 0)))
            for _ in range(100)
        ]
        for one in silent[80:]:
            one.settimeout(30)
            assert one.recv(1) == b""
        assert requests.get(server.url, timeout=30).status_code == 200
