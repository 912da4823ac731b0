from __future__ import annotations

import os
from pathlib import Path

import pytest

from webapp.errors import SettingsError
from webapp.settings import SETTINGS, Settings


def test_defaults_need_no_environment() -> None:
    assert Settings.from_environment({}) == Settings()


def test_every_row_says_what_it_is() -> None:
    assert all(s.help.endswith(".") and s.unit for s in SETTINGS)
    assert len({s.name for s in SETTINGS}) == len(SETTINGS)


def test_values_are_read_with_the_type_of_their_default() -> None:
    settings = Settings.from_environment(
        {"MIEN_PORT": "8080", "MIEN_HOST": "0.0.0.0", "OTHER": "ignored"}
    )
    assert (settings.port, settings.host) == (8080, "0.0.0.0")
    assert Settings.from_environment({"MIEN_PORT": "8080"}, port=1).port == 1


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"MIEN_PROT": "1"}, "MIEN_PROT"),
        ({"MIEN_PORT": "many"}, "expected int"),
        ({"MIEN_PORT": "-1"}, "at least 0"),
        ({"MIEN_PORT": "65536"}, "at most 65535"),
        ({"MIEN_MAX_FRAME_BYTES": "7000000"}, "at most 6000000"),
        ({"MIEN_ASYNC_MODE": "threads"}, "eventlet, threading"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_environment(environment)


def test_an_unknown_override_is_refused() -> None:
    with pytest.raises(TypeError, match="prot"):
        Settings(prot=1)


def test_settings_are_frozen_and_unknown_names_are_errors() -> None:
    settings = Settings()
    with pytest.raises(AttributeError, match="cannot assign"):
        settings.port = 1
    with pytest.raises(AttributeError, match="prot"):
        _ = settings.prot


@pytest.mark.parametrize(("cores", "workers"), [(1, 2), (2, 2), (8, 7), (None, 2)])
def test_workers_leave_a_core_to_the_web_process_but_are_never_alone(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, workers: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert Settings().worker_count == workers
    assert Settings(workers=3).worker_count == 3


def test_the_models_folder_is_a_path() -> None:
    assert Settings(models_dir="here").models_path == Path("here")


def test_what_tells_the_tests_where_things_are_is_no_setting() -> None:
    assert Settings.from_environment({"MIEN_TEST_DATA": "anywhere"}).port == 5000
    with pytest.raises(SettingsError, match="MIEN_TESTS"):
        Settings.from_environment({"MIEN_TESTS": "1"})
