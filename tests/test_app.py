"""The application as a whole: health, headers, error shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.live import FakeInference, Worker
from webapp import __version__
from webapp.app import create_app
from webapp.errors import Conflict
from webapp.settings import Settings
from webapp.survey.service import surveys_of
from webapp.web.headers import content_security_policy, origin_allowed


@pytest.fixture
def inference() -> FakeInference:
    return FakeInference()


@pytest.fixture
def app(inference: FakeInference) -> Flask:
    settings = Settings(async_mode="threading", allowed_hosts="mien.example")
    return create_app(settings, inference=inference)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_healthz_answers_without_workers(client: FlaskClient, inference: FakeInference) -> None:
    inference.workers = []
    assert client.get("/healthz").json == {"ok": True}


def test_readyz_follows_the_workers(client: FlaskClient, inference: FakeInference) -> None:
    inference.workers = [Worker("ready"), Worker("starting")]
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json == {"ok": True, "model": "fake-1", "workers": {"ready": 1, "total": 2}}
    inference.workers = [Worker("starting")]
    assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize("damage", ["all", "head", "middle"])
def test_a_damaged_database_is_not_ready_and_never_an_internal_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings = Settings(async_mode="threading", instance_dir=str(tmp_path))
    whole = create_app(settings, FakeInference())
    assert whole.test_client().get("/api/v1/surveys").status_code == 200
    assert whole.test_client().get("/readyz").status_code == 200
    surveys_of(whole).close()  # and the database: its journal is written into the file

    file = tmp_path / "mien.db"
    data = bytearray(file.read_bytes())
    begin, end = {"all": (0, len(data)), "head": (0, 50), "middle": (5000, 60_000)}[damage]
    data[begin:end] = b"\xa5" * (end - begin)
    file.write_bytes(data)
    client = create_app(settings, FakeInference()).test_client()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["ok"]) == (503, False)
    assert "damaged" in answer.json["database"]
    for path in ("/api/v1/surveys", "/surveys", "/admin/login", "/readyz"):
        assert client.get(path).status_code in (200, 302, 503), path
    assert client.get("/healthz").status_code == 200


def test_metrics_count_pictures_and_errors_by_code(client: FlaskClient) -> None:
    client.post("/api/v1/analyze", data=b"jpeg", content_type="image/jpeg")
    client.post("/api/v1/analyze", data=b"", content_type="image/jpeg")
    text = client.get("/metrics").text
    assert 'mien_frames_total{source="api"} 1.0' in text
    assert 'mien_errors_total{code="invalid_request",source="api"} 1.0' in text
    assert 'mien_frame_seconds_count{source="api"} 1.0' in text
    assert 'mien_workers{state="ready"} 1.0' in text


def test_two_applications_do_not_share_metrics() -> None:
    first, second = (
        create_app(Settings(async_mode="threading"), FakeInference()).test_client()
        for _ in range(2)
    )
    first.post("/api/v1/analyze", data=b"jpeg", content_type="image/jpeg")
    assert 'mien_frames_total{source="api"}' not in second.get("/metrics").text


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/models", "/no-such-page"])
def test_every_response_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path, headers={"Host": "mien.example:8443"}).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self' ws://mien.example:8443 wss://mien.example:8443;" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Permissions-Policy"].startswith("camera=(self), microphone=()")


def test_a_host_that_is_no_host_does_not_reach_the_policy() -> None:
    assert "evil" not in content_security_policy("evil; script-src *")
    assert "ws://[::1]:5000" in content_security_policy("[::1]:5000")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://mien.example", True),
        ("https://mien.example", True),
        ("https://partner.example", True),
        ("https://evil.example", False),
        ("https://mien.example.evil.example", False),
        ("https://mien.example:444", False),
        ("null", False),
        ("file://mien.example", False),
    ],
)
def test_sockets_open_for_our_own_pages_only(origin: str | None, allowed: bool) -> None:
    environ = {"HTTP_HOST": "mien.example"}
    assert origin_allowed(origin, environ, frozenset({"https://partner.example"})) is allowed


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/v1/analyze", 405, "method_not_allowed"),
        ("DELETE", "/api/v1/models", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
    ],
)
def test_http_errors_under_api_have_the_one_shape(
    client: FlaskClient, method: str, path: str, status: int, code: str
) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert answer.json is not None
    assert set(answer.json) == {"error"}
    assert set(answer.json["error"]) == {"code", "message", "detail"}
    assert answer.json["error"]["code"] == code
    if status == 405:
        assert answer.headers["Allow"]


def test_errors_elsewhere_are_pages(client: FlaskClient) -> None:
    answer = client.get("/no-such-page")
    assert answer.status_code == 404
    assert answer.mimetype in ("text/html", "text/plain")


def test_an_unforeseen_error_is_hidden_from_the_client_and_logged(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/api/v1/broken")
    def broken() -> str:
        raise RuntimeError("secret detail")

    answer = app.test_client().get("/api/v1/broken")
    assert answer.status_code == 500
    assert answer.json is not None
    assert answer.json["error"]["code"] == "internal"
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text


def test_our_own_errors_keep_code_status_and_detail(app: Flask) -> None:
    @app.get("/api/v1/taken")
    def taken() -> str:
        raise Conflict("This name is taken.", name="faces")

    answer = app.test_client().get("/api/v1/taken")
    assert answer.status_code == 409
    assert answer.json == {
        "error": {"code": "conflict", "message": "This name is taken.", "detail": {"name": "faces"}}
    }


@pytest.mark.parametrize("page", ["/", "/recordings", "/surveys", "/privacy", "/api/docs", "/none"])
def test_every_page_links_privacy_and_interface_and_names_the_version(
    client: FlaskClient, page: str
) -> None:
    text = client.get(page, headers={"Accept": "text/html"}).text
    footer = text[text.index("<footer") : text.index("</footer>")]
    assert 'href="/privacy"' in footer and 'href="/api/docs"' in footer
    assert __version__ in footer
    assert client.get("/privacy").status_code == client.get("/api/docs").status_code == 200
