"""Pages of a stranger's name that leads to us reach nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.live import FakeInference
from webapp.app import create_app
from webapp.settings import Settings
from webapp.survey.service import surveys_of
from webapp.web.hosts import HostCheck


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        ("", "localhost:5000", 200),
        ("", "127.0.0.1", 200),
        ("", "[::1]:5000", 200),
        ("", "mien.local", 200),
        ("", "evil.test", 421),
        ("", "127.0.0.1.evil.test", 421),
        ("", "localhost@evil.test", 421),
        ("", "[::1", 421),
        ("mien.example.org", "MIEN.example.org.", 200),
        ("mien.example.org", "x.mien.example.org", 421),
        (".example.org", "x.example.org:443", 200),
        (".example.org", "badexample.org", 421),
        ("*", "evil.test", 200),
    ],
)
def test_only_our_own_names_are_answered(
    tmp_path: Path, allowed: str, host: str, status: int
) -> None:
    settings = Settings(async_mode="threading", instance_dir=str(tmp_path), allowed_hosts=allowed)
    app = create_app(settings, FakeInference())
    try:
        for path in ("/api/v1/surveys", "/socket.io/?EIO=4&transport=polling"):
            answer = app.test_client().get(path, headers={"Host": host})
            assert answer.status_code == status, path
            if status == 421:
                assert answer.json["error"]["code"] == "host_not_allowed"
    finally:
        surveys_of(app).close()


def test_behind_our_own_proxies_their_names_are_ours() -> None:
    check = HostCheck(lambda _environ, _start: [], Settings(trusted_proxies=1))
    assert check.allows("mien.example")
    named = Settings(trusted_proxies=1, allowed_hosts="mien.example")
    assert not HostCheck(lambda _environ, _start: [], named).allows("evil.test")
