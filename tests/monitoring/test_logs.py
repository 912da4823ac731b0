"""What the log says, and what it must never say."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from bench.support.server import READY, running_server
from tests.support.live import FakeInference, LiveClient, served
from tests.support.models import server_environment
from tests.support.pictures import face_frames
from webapp.app import create_app
from webapp.monitoring import logs
from webapp.settings import Settings

SECRET_NAME = "Anna-Example-passport.jpg"


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    caplog.set_level(logging.DEBUG)
    return _Events(caplog)


class _Events(list):  # type: ignore[type-arg]
    """The structured lines so far."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def named(self, event: str) -> list[dict[str, Any]]:
        found = [r.msg for r in self._caplog.records if isinstance(r.msg, dict)]
        return [line for line in found if line["event"] == event]


def test_each_request_has_an_identity_that_the_visitor_can_quote(records: _Events) -> None:
    client = create_app(Settings(async_mode="threading"), FakeInference()).test_client()
    answers = [client.get("/api/v1/models?name=" + SECRET_NAME) for _ in range(2)]
    ids = [answer.headers["X-Request-ID"] for answer in answers]
    lines = records.named("request")
    assert [line["request"] for line in lines] == ids
    assert len(set(ids)) == 2
    assert lines[0]["route"] == "/api/v1/models"
    assert lines[0]["status"] == 200
    assert "address" not in lines[0]
    assert SECRET_NAME not in str(lines)
    text = client.get("/metrics").text
    assert 'mien_http_seconds_count{method="GET",route="/api/v1/models",status="200"} 2.0' in text
    assert 'mien_build_info{model="fake-1"' in text


def test_inventions_of_strangers_become_neither_lines_nor_labels(records: _Events) -> None:
    client = create_app(Settings(async_mode="threading"), FakeInference()).test_client()
    client.open("/no/such/" + SECRET_NAME, method="BREW", headers={"X-Request-ID": "x" * 20})
    (line,) = records.named("request")
    assert (line["method"], line["route"], line["status"]) == ("other", "none", 404)
    assert line["request"] != "x" * 20  # nobody stands before us who may say so
    assert 'mien_http_seconds_count{method="other",route="none"' in client.get("/metrics").text


def test_settings_open_the_log_to_addresses_and_to_a_proxys_identities(records: _Events) -> None:
    settings = Settings(async_mode="threading", log_addresses=True, trusted_proxies=1)
    client = create_app(settings, FakeInference()).test_client()
    headers = {"X-Request-ID": "from-the-proxy-1", "X-Forwarded-For": "203.0.113.9"}
    answer = client.get("/api/v1/models", headers=headers)
    assert answer.headers["X-Request-ID"] == "from-the-proxy-1"
    client.get("/api/v1/models", headers={"X-Request-ID": "bad one\x7f"})
    first, second = records.named("request")
    assert (first["request"], first["address"]) == ("from-the-proxy-1", "203.0.113.9")
    assert second["request"] != "bad one\x7f"


@pytest.mark.parametrize(("limit_ms", "told"), [(1, True), (60_000, False), (0, False)])
def test_slow_frames_are_traced_on_demand(
    records: _Events, limit_ms: int, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    inference = FakeInference()
    app = create_app(Settings(async_mode="threading", slow_frame_ms=limit_ms), inference)
    clock = iter(range(10_000))
    monkeypatch.setattr(app.extensions["mien.live"], "_clock", lambda: next(clock) * 0.1)

    async def run(url: str) -> None:
        async with LiveClient(url) as client:
            assert "faces" in await client.frame()

    with served(app) as url:
        asyncio.run(run(url))
    lines = records.named("slow frame")
    assert len(lines) == told
    for line in lines:
        assert line["total_ms"] == 1.0
        assert line["size"] == "640x480"
        assert line["live"] == records.named("live connection opened")[0]["live"]


def test_packets_that_a_client_broke_do_not_fill_the_log() -> None:
    import socketio

    def record(fail: Callable[[], object]) -> logging.LogRecord:
        try:
            fail()
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked at
            return logging.LogRecord("x", logging.ERROR, "", 0, "m", (), sys.exc_info())
        raise AssertionError

    assert not logs._is_ours(record(lambda: socketio.packet.Packet(encoded_packet="Z")))
    assert logs._is_ours(record(lambda: Settings.from_environment({"MIEN_NO_SUCH_SETTING": "1"})))
    assert logs._is_ours(logging.LogRecord("x", logging.ERROR, "", 0, "m", (), None))


@pytest.mark.slow
def test_json_lines_hold_no_name_no_address_and_nothing_else(tmp_path: Path) -> None:
    environment = server_environment(tmp_path, MIEN_LOG_FORMAT="json", MIEN_LOG_LEVEL="DEBUG")
    with running_server(environment) as server:
        picture = face_frames()[0]
        analyze = server.url + "api/v1/analyze?path=" + SECRET_NAME
        files = {"image": (SECRET_NAME, picture)}
        assert requests.post(analyze, files=files, timeout=30).status_code == 200
        assert requests.post(analyze, files={SECRET_NAME: b""}, timeout=30).status_code == 400
        assert requests.get(server.url + SECRET_NAME, timeout=30).status_code == 404

        async def run() -> None:
            async with LiveClient(server.url) as client:
                assert (await client.frame(picture))["faces"]

        asyncio.run(run())
        assert server.stop() == 0
        output = "".join(server.output)
        begin = next(i for i, line in enumerate(server.output) if line.startswith(READY))
    assert SECRET_NAME not in output
    lines = [json.loads(line) for line in server.output[begin + 1 :] if line.startswith("{")]
    assert {"request", "live connection opened"} <= {line["event"] for line in lines}
    assert all({"event", "level", "logger", "timestamp"} <= set(line) for line in lines)
    assert "127.0.0.1" not in "".join(json.dumps(line) for line in lines)
    others = [line for line in server.output if not line.startswith("{")]
    assert all(server.url in line for line in others), others
