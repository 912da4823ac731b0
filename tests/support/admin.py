from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.live import FakeInference
from webapp.access import accounts, passwords
from webapp.app import create_app
from webapp.database.access_tables import ADMIN, MEMBER
from webapp.database.store import Store
from webapp.models.registry import Registry
from webapp.settings import Settings
from webapp.web.open_database import database_of

PASSWORD = "a long enough password"
TEAM = {"admin": ADMIN, "mira": MEMBER, "tom": MEMBER}
_hashes: dict[str, str] = {}


def add_people(store: Store, roles: dict[str, str]) -> dict[str, int]:
    """Accounts with these roles, all with :data:`PASSWORD`; their ids by name."""
    ids = {name: accounts.create(store, name, role).id for name, role in roles.items()}
    for account in ids.values():
        accounts.set_password(store, account, PASSWORD)
    return ids


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords hashed once in a run: a real hash takes a process and a fifth of a second."""
    real = passwords.hash_password

    def remembered(password: str) -> str:
        if password not in _hashes:
            _hashes[password] = real(password)
        return _hashes[password]

    monkeypatch.setattr(passwords, "hash_password", remembered)


class Browser:
    """A test client with its cookies, which sends the CSRF token of its session like our pages."""

    def __init__(self, app: Flask, address: str = "10.0.0.1") -> None:
        self.client: FlaskClient = app.test_client()
        self.client.environ_base["REMOTE_ADDR"] = address

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(path, **more)

    def token(self, path: str = "/admin/login") -> str:
        found = re.search(r'name="csrf[_-]token" (?:value|content)="([^"]+)"', self.get(path).text)
        assert found, f"{path} carries no CSRF token"
        return found.group(1)

    def log_in(self, name: str = "admin", password: str = PASSWORD, **fields: str) -> TestResponse:
        form = {"csrf_token": self.token(), "name": name, "password": password} | fields
        return self.client.post("/admin/login", data=form)

    def send(self, method: str, path: str, body: Any = None) -> TestResponse:
        """A request as ``static/js/admin/api.js`` sends it."""
        headers = {"X-CSRFToken": self.token("/admin/account")}
        return self.client.open(path, method=method, json=body, headers=headers)


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    made: list[Flask] = []

    def make(**settings: Any) -> Flask:
        models = tmp_path / "models"
        models.mkdir(exist_ok=True)
        values: dict[str, Any] = {"async_mode": "threading", "instance_dir": str(tmp_path)}
        app = create_app(
            Settings(**values | {"models_dir": str(models)} | settings),
            inference=FakeInference(),
            registry=Registry(models),
        )
        made.append(app)
        return app

    yield make
    for app in made:
        database_of(app).close()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def store(app: Flask) -> Store:
    return database_of(app).open()


@pytest.fixture
def people(store: Store, quick_hashes: None) -> dict[str, int]:
    """An administrator and a member; their ids by name."""
    return add_people(store, {"admin": ADMIN, "mira": MEMBER})


@pytest.fixture
def admin(app: Flask, people: dict[str, int]) -> Browser:
    """A browser in which the administrator is logged in."""
    browser = Browser(app)
    assert browser.log_in().status_code == 302
    return browser
