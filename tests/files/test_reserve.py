"""Room that uploads leave on the disk: logging in, deleting and the audit go on when it is full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.support.admin import PASSWORD, Browser, quick_hashes
from tests.support.live import FakeInference
from tests.survey.doubles import picture
from webapp.access import accounts
from webapp.app import create_app
from webapp.database.access_tables import ADMIN
from webapp.errors import StorageFull
from webapp.files.reserve import BALLAST_FILE, DiskReserve
from webapp.settings import Settings
from webapp.survey.service import surveys_of
from webapp.web.open_database import database_of

__all__ = ["quick_hashes"]
MB = 1_000_000
API = "/api/v1/surveys"
GOOD = {"name": "Packages", "purpose": "product", "consent": True, "groups": ["A"]}
SetDisk = Callable[[int, int], None]


@pytest.fixture
def set_disk(monkeypatch: pytest.MonkeyPatch) -> SetDisk:
    """``set_disk(free, whole)``, both in MB."""

    def put(free: int, whole: int) -> None:
        monkeypatch.setattr(DiskReserve, "_disk", lambda _self: (free * MB, whole * MB))

    return put


def refused(reserve: DiskReserve, needed: int = 0) -> bool:
    try:
        reserve.check(needed * MB)
    except StorageFull as error:
        assert error.status == 507
        return True
    return False


def test_the_reserve_is_a_tenth_of_a_small_disk_at_most(tmp_path: Path, set_disk: SetDisk) -> None:
    reserve = DiskReserve(tmp_path, 256)
    (tmp_path / BALLAST_FILE).touch()
    for free, whole, needed, full in (
        (300, 100_000, 0, False),
        (300, 100_000, 45, True),
        (200, 100_000, 0, True),
        (200, 1000, 0, False),
        (90, 1000, 0, True),
    ):
        set_disk(free, whole)
        assert refused(reserve, needed) is full, (free, whole, needed)
        assert not refused(DiskReserve(tmp_path, 0), needed)


def test_what_was_given_up_is_not_for_uploads(tmp_path: Path, set_disk: SetDisk) -> None:
    reserve = DiskReserve(tmp_path, 10)
    set_disk(50, 1000)
    reserve.hold()
    held = tmp_path / BALLAST_FILE
    assert held.stat().st_size == 16 * MB
    set_disk(20, 1000)
    reserve.release_if_low()
    assert held.exists()
    assert not refused(reserve)
    set_disk(4, 1000)
    reserve.release_if_low()
    assert not held.exists()
    set_disk(20, 1000)  # the 16 it gave
    assert refused(reserve)
    reserve.hold()
    assert not held.exists()
    set_disk(60, 1000)
    reserve.hold()
    assert held.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 14 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("needs mount: this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def app(small_disk: Path, monkeypatch: pytest.MonkeyPatch, quick_hashes: None) -> Iterator[Flask]:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings = Settings(async_mode="threading", instance_dir=str(small_disk), workers=1)
    made = create_app(settings, inference=FakeInference())
    store = database_of(made).open()
    accounts.set_password(store, accounts.create(store, "admin", ADMIN).id, PASSWORD)
    yield made
    surveys_of(made).close()


def fill(folder: Path) -> None:
    """Take the last byte of the disk, as another program may."""
    with (folder / "other").open("wb", buffering=0) as stream:
        for size in (100_000, 4096, 1):
            try:
                while True:
                    stream.write(bytes(size))
            except OSError:
                continue
    assert os.statvfs(folder).f_bavail == 0


def test_a_full_disk_is_logged_in_to_deleted_from_and_goes_on(app: Flask, small_disk: Path) -> None:
    browser = Browser(app)
    assert browser.log_in().status_code == 302

    def put(survey: str, number: int) -> Any:
        data = picture(f"happy:{number}") + os.urandom(1 * MB)
        where = f"{API}/{survey}/files?path={number}.jpg&group=A"
        return browser.client.put(where, data=data, headers=headers)

    headers = {"X-CSRFToken": browser.token("/admin/account")}
    survey = browser.client.post(API, json=GOOD, headers=headers).json["id"]
    answers = [put(survey, number) for number in range(14)]
    stored = sum(answer.status_code == 200 for answer in answers)
    assert 5 < stored < 12
    assert {answer.status_code for answer in answers[stored:]} == {507}
    assert answers[-1].json["error"]["code"] == "storage_full"

    fill(small_disk)
    stranger = Browser(app, "10.0.0.2")
    assert stranger.log_in(password="wrong wrong wrong").status_code != 302
    again = Browser(app)
    assert again.log_in().status_code == 302
    assert put(survey, 99).status_code == 507
    status = again.get("/admin/api/status").json
    assert status["disk"]["data"]["free_bytes"] < status["disk"]["data"]["reserve_bytes"] + 2 * MB
    assert "login" in again.get("/admin/audit").text
    headers = {"X-CSRFToken": again.token("/admin/account")}
    assert again.client.delete(f"{API}/{survey}", headers=headers).status_code == 204
    assert again.client.get(f"{API}/{survey}").status_code == 404

    new = again.client.post(API, json=GOOD, headers=headers).json["id"]
    browser = again
    assert put(new, 1).status_code == 200


def test_a_server_starts_on_a_full_disk(app: Flask, small_disk: Path) -> None:
    database_of(app).close()
    fill(small_disk)
    again = create_app(Settings(async_mode="threading", instance_dir=str(small_disk)))
    assert Browser(again).log_in().status_code == 302
    database_of(again).close()
