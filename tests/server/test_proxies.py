"""Whose address counts: the caller's behind proxies of ours, never one that anybody may claim."""

from __future__ import annotations

import asyncio

import pytest
import socketio
from flask import Flask, request, session
from flask.testing import FlaskClient

from tests.support.live import FakeInference, LiveClient, served
from webapp.app import create_app
from webapp.errors import SettingsError
from webapp.settings import Settings


def app_with(**settings: object) -> Flask:
    app = create_app(Settings(async_mode="threading", **settings), FakeInference())

    @app.get("/api/v1/who")
    def who() -> dict[str, object]:
        session["seen"] = True
        return {"address": request.remote_addr, "secure": request.is_secure, "host": request.host}

    return app


def who(client: FlaskClient, **headers: str) -> dict[str, object]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.get("/api/v1/who", headers=named).json
    assert answer is not None
    return dict(answer)


CLAIM = {
    "X_Forwarded_For": "203.0.113.9, 198.51.100.4",
    "X_Forwarded_Proto": "https",
    "X_Forwarded_Host": "evil.example",
}


@pytest.mark.parametrize(
    ("proxies", "address", "secure"),
    [
        (0, "127.0.0.1", False),
        (1, "198.51.100.4", True),
        (2, "203.0.113.9", False),  # the second proxy said nothing of the scheme
        (3, "127.0.0.1", False),  # fewer than expected: somebody came past the proxies
    ],
)
def test_only_as_many_headers_are_believed_as_we_have_proxies(
    proxies: int, address: str, secure: bool
) -> None:
    seen = who(app_with(trusted_proxies=proxies).test_client(), **CLAIM)
    assert seen == {"address": address, "secure": secure, "host": "localhost"}


def test_session_cookies_are_secure_where_the_visitor_has_https() -> None:
    client = app_with(trusted_proxies=1, secret_key="s" * 32).test_client()
    plain = client.get("/api/v1/who").headers["Set-Cookie"]
    assert "Secure" not in plain
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    tls = client.get("/api/v1/who", headers={"X-Forwarded-Proto": "https"}).headers["Set-Cookie"]
    assert "Secure" in tls


def test_rate_limits_count_each_visitor_behind_the_proxy_by_itself() -> None:
    client = app_with(trusted_proxies=1, api_rate_per_minute=1).test_client()

    def post(address: str) -> int:
        return client.post(
            "/api/v1/analyze", data=b"x", headers={"X-Forwarded-For": address}
        ).status_code

    assert [post("203.0.113.1"), post("203.0.113.1"), post("203.0.113.2")] == [200, 429, 200]


@pytest.mark.parametrize(("proxies", "both"), [(1, True), (0, False)])
def test_live_connections_count_for_the_visitor_not_for_the_proxy(proxies: int, both: bool) -> None:
    app = app_with(trusted_proxies=proxies, live_max_sessions_per_address=1)

    async def run(url: str) -> None:
        def client(address: str) -> LiveClient:
            return LiveClient(url, headers={"X-Forwarded-For": address})

        async with client("203.0.113.1") as first:
            assert (await first.frame())["faces"]
            if both:
                async with client("203.0.113.2") as second:
                    assert (await second.frame())["faces"]
            else:
                with pytest.raises(socketio.exceptions.ConnectionError):
                    async with client("203.0.113.2"):
                        pass

    with served(app) as url:
        asyncio.run(run(url))


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("Yes", True), ("off", False), ("", False)]
)
def test_switches_are_read(text: str, value: bool) -> None:
    assert Settings.from_environment({"MIEN_HTTPS": text}).https is value


def test_a_switch_that_says_neither_is_refused() -> None:
    with pytest.raises(SettingsError, match="MIEN_HTTPS"):
        Settings.from_environment({"MIEN_HTTPS": "yess"})
