"""Every admin route, enumerated: without login, without CSRF token, as a member, by a token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.routing.converters import NumberConverter

from tests.support.admin import Browser
from webapp.access import tokens
from webapp.access.auth import access_of
from webapp.database.base import Base
from webapp.database.store import Store

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
# what somebody without an account must reach; each of them checks CSRF for itself
PUBLIC = {"admin.login", "admin.log_in", "admin.log_out", "admin.setup", "admin.set_up"}
# for everybody with a login, members too
ANYBODY = {
    "admin.account",
    "admin.change_password",
    "admin.end_own_sessions",
    "admin.create_own_token",
    "admin.revoke_own_token",
}


def admin_rules(app: Flask) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if f"{rule.rule}/".startswith("/admin/")]


def routes(app: Flask) -> Iterator[tuple[str, str, str]]:
    """``(endpoint, method, path)`` of every admin route, its placeholders filled."""
    adapter = app.url_map.bind("localhost")
    for rule in admin_rules(app):
        values: dict[str, Any] = {
            name: 1 if isinstance(rule._converters[name], NumberConverter) else "some-1"
            for name in rule.arguments
        }
        path = adapter.build(rule.endpoint, values)
        for method in sorted(rule.methods or ()):
            if method not in ("HEAD", "OPTIONS"):
                yield rule.endpoint, method, path


def everything(store: Store, folder: Path) -> dict[str, Any]:
    """All rows of all tables, and every file beside the database."""
    with store.engine.connect() as connection:
        rows = {
            table.name: [tuple(row) for row in connection.execute(table.select())]
            for table in Base.metadata.sorted_tables
        }
    files = {
        str(path): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("mien.db")
    }
    return {"rows": rows, "files": files}


def test_the_enumeration_sees_the_routes(app: Flask) -> None:
    known = set(routes(app))
    assert ("admin.log_in", "POST", "/admin/login") in known
    assert ("admin.revoke_token", "DELETE", "/admin/api/tokens/1") in known
    assert len(known) >= 18


def test_every_view_says_who_may_come_in(app: Flask) -> None:
    silent = [
        r.endpoint for r in admin_rules(app) if access_of(app.view_functions[r.endpoint]) is None
    ]
    assert silent == []
    public = {
        r.endpoint
        for r in admin_rules(app)
        if access_of(app.view_functions[r.endpoint]) == "public"
    }
    assert public == PUBLIC


def test_a_view_that_forgot_is_closed_even_for_administrators(app: Flask, admin: Browser) -> None:
    assert admin.get("/admin/audit").status_code == 200
    app.view_functions["admin.audit"] = lambda: "open to all"
    assert admin.get("/admin/audit").status_code == 403


def test_without_a_login_nothing_is_shown_or_changed(
    app: Flask, store: Store, people: dict[str, int], tmp_path: Path
) -> None:
    before = everything(store, tmp_path)
    stranger = app.test_client()
    for endpoint, method, path in routes(app):
        if endpoint in PUBLIC and method == "GET":
            continue
        answer = stranger.open(path, method=method, json={})
        if endpoint == "admin.log_out":  # whoever is not logged in is sent to the login
            expected = answer.status_code == 302
        elif endpoint in PUBLIC:
            expected = answer.status_code == 403
        elif method == "GET" and not path.startswith("/admin/api/"):
            expected = answer.status_code == 302 and "/admin/login" in answer.location
        else:
            expected = answer.status_code == 401
        assert expected, f"{method} {path}: {answer.status_code}"
    assert everything(store, tmp_path) == before


def test_without_a_csrf_token_a_session_changes_nothing(
    app: Flask, store: Store, admin: Browser, tmp_path: Path
) -> None:
    before = everything(store, tmp_path)
    for _endpoint, method, path in routes(app):
        if method not in UNSAFE:
            continue
        for headers in ({}, {"X-CSRFToken": "made-up"}, {"Origin": "https://evil.example"}):
            answer = admin.client.open(path, method=method, json={}, headers=headers)
            assert answer.status_code == 403, f"{method} {path}: {answer.status_code}"
            answer = admin.client.open(path, method=method, data={"a": "b"}, headers=headers)
            assert answer.status_code == 403, f"{method} {path} as a form: {answer.status_code}"
    assert everything(store, tmp_path) == before


def test_another_sites_page_is_refused_even_with_the_token(admin: Browser) -> None:
    headers = {"X-CSRFToken": admin.token("/admin/account"), "Origin": "https://evil.example"}
    path = "/admin/api/account/sessions/end"
    assert admin.client.post(path, headers=headers).status_code == 403
    assert admin.get("/admin/account").status_code == 200


def test_a_token_of_another_session_does_not_count(app: Flask, admin: Browser) -> None:
    other = Browser(app, "10.0.0.2")
    other.log_in()
    headers = {"X-CSRFToken": other.token("/admin/account")}
    assert admin.client.post("/admin/logout", headers=headers).status_code == 403


def test_members_are_kept_out_of_everything_but_their_account(
    app: Flask, store: Store, people: dict[str, int], tmp_path: Path
) -> None:
    mira = Browser(app)
    mira.log_in("mira")
    headers = {"X-CSRFToken": mira.token("/admin/account")}
    before = everything(store, tmp_path)
    for endpoint, method, path in routes(app):
        if endpoint in PUBLIC | ANYBODY:
            continue
        answer = mira.client.open(path, method=method, json={}, headers=headers)
        assert answer.status_code == 403, f"{method} {path}: {answer.status_code}"
    assert everything(store, tmp_path) == before


@pytest.mark.parametrize("scopes", [["analyze"], sorted(tokens.SCOPES)])
def test_a_token_opens_only_what_its_scope_names(
    app: Flask, store: Store, people: dict[str, int], scopes: list[str]
) -> None:
    _, text = tokens.create(store, people["admin"], "test", scopes, 1)
    client = app.test_client()
    for endpoint, method, path in routes(app):
        if endpoint in PUBLIC:
            continue
        wanted = access_of(app.view_functions[endpoint])
        answer = client.open(
            path, method=method, json={}, headers={"Authorization": f"Bearer {text}"}
        )
        if wanted in scopes:
            assert answer.status_code not in (401, 403), f"{method} {path}"
        else:
            assert answer.status_code == 403, f"{method} {path}: {answer.status_code}"


def test_admin_pages_are_never_kept_by_caches(admin: Browser) -> None:
    assert "no-store" in admin.get("/admin/audit").headers["Cache-Control"]
