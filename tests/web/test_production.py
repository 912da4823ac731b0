"""What ``MIEN_PRODUCTION`` refuses, each with what to set."""

from __future__ import annotations

import pytest

from webapp.app import create_app
from webapp.errors import SettingsError
from webapp.settings import Settings
from webapp.web.production import check_production

KEY = "an0therKey-thatNobodyKnows-4711-xyz"
CLOSED = {
    "production": True,
    "secret_key": KEY,
    "require_login": True,
    "allowed_hosts": "mien.example.org",
    "host": "0.0.0.0",
    "trusted_proxies": 1,
}


def faults(**changes: object) -> list[str]:
    """The names that the refusal tells to set; empty where it starts."""
    environ = {"FLASK_DEBUG": "1"} if changes.pop("debug", False) else {}
    try:
        check_production(Settings(**(CLOSED | changes)), environ)  # type: ignore[arg-type]
    except SettingsError as error:
        lines = error.message.splitlines()[1:]
        assert all(line.startswith("- ") and "\n" not in line for line in lines)
        return [line[2:].partition(":")[0] for line in lines]
    return []


def test_what_is_closed_starts() -> None:
    assert faults() == []
    assert faults(trusted_proxies=0, https=True) == []
    assert faults(trusted_proxies=0, host="127.0.0.1") == []
    assert faults(trusted_proxies=0, host="::1") == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"async_mode": "threading"}, "MIEN_ASYNC_MODE"),
        ({"secret_key": ""}, "MIEN_SECRET_KEY"),
        ({"secret_key": "short"}, "MIEN_SECRET_KEY"),
        ({"secret_key": "changeme" * 8}, "MIEN_SECRET_KEY"),
        ({"require_login": False}, "MIEN_REQUIRE_LOGIN"),
        ({"allowed_hosts": ""}, "MIEN_ALLOWED_HOSTS"),
        ({"allowed_hosts": "a.example.org, *"}, "MIEN_ALLOWED_HOSTS"),
        ({"allowed_hosts": " , "}, "MIEN_ALLOWED_HOSTS"),
        ({"trusted_proxies": 0}, "MIEN_HTTPS"),
        ({"trusted_proxies": 0, "host": "mien.example.org"}, "MIEN_HTTPS"),
        ({"media_url": "s3://surveys"}, "MIEN_MESSAGE_QUEUE"),
        ({"models_url": "s3://models"}, "MIEN_MESSAGE_QUEUE"),
        ({"survey_executor": "celery"}, "MIEN_MESSAGE_QUEUE"),
        ({"worker_sandbox": "off"}, "MIEN_WORKER_SANDBOX"),
        (
            {"trusted_proxies": 0, "https": True, "max_connections_per_address": 0},
            "MIEN_MAX_CONNECTIONS_PER_ADDRESS",
        ),
        ({"debug": True}, "FLASK_DEBUG"),
    ],
)
def test_what_is_open_is_named(changes: dict[str, object], name: str) -> None:
    assert faults(**changes) == [name]


def test_everything_that_is_open_is_named_at_once() -> None:
    assert len(faults(secret_key="", require_login=False, allowed_hosts="")) == 3


def test_an_application_is_not_made_while_it_is_open() -> None:
    with pytest.raises(SettingsError, match="MIEN_REQUIRE_LOGIN"):
        create_app(Settings(async_mode="threading", production=True, secret_key=KEY))
    create_app(Settings(**CLOSED))  # type: ignore[arg-type]
    create_app(Settings(async_mode="threading"))
