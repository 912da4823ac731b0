"""Logging in and out, limits, and what the answers do not tell."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
from argon2 import PasswordHasher, extract_parameters
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from tests.support.admin import PASSWORD, Browser
from webapp.access import accounts, passwords, sessions
from webapp.database.access_tables import AuditEntry
from webapp.database.store import Store


def actions(store: Store) -> list[tuple[str, str, str]]:
    with store.session() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(row.actor, row.action, row.subject) for row in rows]


def test_logging_in_and_out(app: Flask, store: Store, people: dict[str, int]) -> None:
    browser = Browser(app)
    asked = browser.get("/admin/audit?area=login")
    assert asked.status_code == 302
    assert asked.location == "/admin/login?next=/admin/audit?area%3Dlogin"
    landed = browser.log_in("Admin ", next="/admin/audit?area=login")
    assert landed.status_code == 302
    assert landed.location == "/admin/audit?area=login"
    cookies = landed.headers.getlist("Set-Cookie")
    cookie = next(one for one in cookies if one.startswith("mien_session"))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    assert browser.get("/admin/audit").status_code == 200
    token = browser.token("/admin/account")
    assert browser.client.post("/admin/logout", data={"csrf_token": token}).status_code == 302
    assert browser.get("/admin/audit").status_code == 302
    assert actions(store) == [("admin", "login", "admin"), ("admin", "logout", "admin")]


def test_over_tls_the_cookie_is_secure(app: Flask, people: dict[str, int]) -> None:
    client = app.test_client()
    page = client.get("/admin/login", base_url="https://mien.localhost")
    assert "Secure" in page.headers["Set-Cookie"]


@pytest.mark.parametrize(("hours", "status"), [(-1, 200), (1, 200), (13, 302)])
def test_a_login_outlives_a_step_of_the_clock(
    admin: Browser, monkeypatch: pytest.MonkeyPatch, hours: int, status: int
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)
    assert admin.get("/admin/audit").status_code == status


def test_without_a_database_nobody_is_told_to_log_in(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: object) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(sessions, "find", away)
    answer = admin.get("/admin/audit")
    assert answer.status_code == 503
    assert "cannot be read at the moment" in answer.text


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "/\\evil.example", "admin", ""]
)
def test_a_login_leads_to_our_own_pages_only(
    app: Flask, people: dict[str, int], target: str
) -> None:
    assert Browser(app).log_in(next=target).location == "/admin"


def test_a_wrong_password_and_an_unknown_name_are_answered_alike(
    app: Flask, store: Store, people: dict[str, int]
) -> None:
    def words(name: str) -> tuple[int, str]:
        answer = Browser(app).log_in(name, "this is wrong")
        text = re.sub(r'value="[^"]*"', "", answer.text)
        return answer.status_code, text

    assert words("admin") == words("nobody-of-that-name")
    assert words("admin")[0] == 401
    # a password typed into the name field must not be kept
    assert "nobody-of-that-name" not in json.dumps(actions(store))
    assert ("nobody", "login.failed", "an unknown name") in actions(store)


@pytest.mark.parametrize("name", ["admin", "nobody", "invited"])
def test_every_attempt_verifies_exactly_one_hash(
    store: Store, people: dict[str, int], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Constant time by construction: whatever the account's state, one argon2 pass is made."""
    accounts.create(store, "invited")
    asked: list[str | None] = []

    def fits(_password: str, stored: str | None) -> bool:
        asked.append(stored)
        return False

    monkeypatch.setattr(passwords, "password_fits", fits)
    assert accounts.log_in(store, name, "some password") is None
    assert len(asked) == 1
    assert (asked[0] is None) == (name != "admin")


def test_the_dummy_hash_costs_what_a_real_one_costs() -> None:
    real = passwords.answer({"password": PASSWORD})["hash"]
    assert extract_parameters(passwords.DUMMY_HASH) == extract_parameters(real)
    assert real.startswith("$argon2id$")
    verified: list[str] = []

    class Spy(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            verified.append(str(hash))
            return super().verify(hash, password)

    import argon2

    original, argon2.PasswordHasher = argon2.PasswordHasher, Spy  # type: ignore[misc]
    try:
        assert passwords.answer({"password": PASSWORD, "hash": None}) == {"ok": False}
        assert passwords.answer({"password": PASSWORD, "hash": real}) == {"ok": True}
        assert passwords.answer({"password": "other", "hash": real}) == {"ok": False}
        assert passwords.answer({"password": "other", "hash": "damaged"}) == {"ok": False}
    finally:
        argon2.PasswordHasher = original  # type: ignore[misc]
    assert verified[:3] == [passwords.DUMMY_HASH, real, real]


def test_hashes_are_made_outside_of_this_process() -> None:
    hashed = passwords.hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$")
    assert passwords.password_fits(PASSWORD, hashed)
    assert not passwords.password_fits(PASSWORD + "x", hashed)
    assert not passwords.password_fits(PASSWORD, None)
    loaded = "import sys, webapp.app; print('argon2' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", loaded], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_an_address_runs_out_of_attempts_even_with_the_right_password(
    app: Flask, store: Store, people: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "password_fits", lambda *_: False)
    browser = Browser(app, "10.0.0.9")
    assert [browser.log_in(f"name{n}", "wrong password").status_code for n in range(10)] == [
        401
    ] * 10
    monkeypatch.undo()
    refused = browser.log_in()
    assert refused.status_code == 429
    assert "Too many attempts" in refused.text
    assert browser.get("/admin/audit").status_code == 302
    assert ("nobody", "login.limited", "admin") in actions(store)
    assert Browser(app, "10.0.0.10").log_in().status_code == 302  # others are not affected


def test_an_account_runs_out_of_attempts_from_many_addresses(
    app: Flask, people: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fits(password: str, _stored: str | None) -> bool:
        asked.append(password)
        return False

    monkeypatch.setattr(passwords, "password_fits", fits)
    answers = [
        Browser(app, f"10.0.1.{n}").log_in("ADMIN" if n % 2 else "admin").status_code
        for n in range(25)
    ]
    assert answers == [401] * 20 + [429] * 5
    assert len(asked) == 20  # beyond the limit nothing is verified any more


def test_strangers_cannot_lock_out_a_browser_that_logged_in_before(
    app: Flask, people: dict[str, int]
) -> None:
    from webapp.access.throttle import EXTENSION

    known = Browser(app, "10.0.4.1")
    assert known.log_in().status_code == 302
    known.send("POST", "/admin/logout")
    for n in range(20):
        app.extensions[EXTENSION].attempt(f"10.0.5.{n}", "admin")
    assert Browser(app, "10.0.4.2").log_in().status_code == 429
    assert known.log_in().status_code == 302
    # for its own account only
    for n in range(20):
        app.extensions[EXTENSION].attempt(f"10.0.6.{n}", "mira")
    known.send("POST", "/admin/logout")
    assert known.log_in("mira").status_code == 429


@pytest.mark.parametrize("target", ["/%0d%0aX", "/%0aX: y", "/%00", "//evil.test", "/\\evil.test"])
def test_a_login_leads_nowhere_strange(app: Flask, people: dict[str, int], target: str) -> None:
    browser = Browser(app)
    assert browser.get(f"/admin/login?next={target}").status_code == 200
    browser.log_in()
    answer = browser.get(f"/admin/login?next={target}")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin")


STRANGE = [
    "//evil.test",
    "///evil.test",
    "//evil.test/surveys/",
    "/%5Cevil.test",
    "/%5C%5Cevil.test/%2e%2e",
    "/%2f%2fevil.test",
    "/%2f%5cevil.test",
    "/%09/evil.test",
    "/..//evil.test",
    "/surveys//evil.test",
    "/admin//evil.test/",
    "/%0d%0aLocation:%20//evil.test",
    "/%E2%80%A8//evil.test",
    "/@evil.test",
    "/%40evil.test%2f..",
    "/" + "a" * 5000,
]


@pytest.mark.parametrize("path", STRANGE)
def test_no_redirect_leaves_the_server(
    make_app: Callable[..., Flask], people: dict[str, int], path: str
) -> None:
    """Neither that of a page which asks for a login, nor that of the login itself."""
    app = make_app(require_login=True, secret_key="k" * 40)
    browser = Browser(app)
    asked = browser.client.get(
        "/", environ_overrides={"RAW_URI": path, "PATH_INFO": unquote(path, "latin-1")}
    )
    answers = [asked, browser.get(f"/admin/login?next={path}")]
    answers += [browser.log_in(next=path), browser.get(f"/admin/login?next={path}")]
    answers.append(browser.get(f"/admin/login?next={quote(path, safe='')}"))
    redirects = 0
    for answer in answers:
        assert answer.status_code < 500
        if 300 <= answer.status_code < 400:
            redirects += 1
            location = answer.headers["Location"]
            assert location.isprintable()
            landed = urlsplit(urljoin("http://localhost/x", location.replace("\\", "/")))
            assert (landed.scheme, landed.netloc) == ("http", "localhost"), location
    assert redirects >= 3


def test_a_member_who_is_logged_in_is_not_sent_to_the_administrators(
    app: Flask, people: dict[str, int]
) -> None:
    mira = Browser(app)
    assert mira.log_in("mira").location == "/"
    assert mira.get("/admin/login").location == "/"
    assert mira.get("/admin/login?next=/surveys").location == "/surveys"


def test_a_success_forgets_the_accounts_failures(app: Flask, people: dict[str, int]) -> None:
    from webapp.access.throttle import EXTENSION

    throttle = app.extensions[EXTENSION]
    for n in range(19):
        throttle.attempt(f"10.0.2.{n}", "admin")
    assert Browser(app).log_in().status_code == 302
    for n in range(20):
        throttle.attempt(f"10.0.3.{n}", "admin")


def test_logging_out_everywhere_ends_every_session(app: Flask, people: dict[str, int]) -> None:
    desk, laptop, other = Browser(app), Browser(app, "10.0.0.2"), Browser(app, "10.0.0.3")
    desk.log_in()
    laptop.log_in()
    other.log_in("mira")
    assert laptop.send("POST", "/admin/api/account/sessions/end").status_code == 200
    assert desk.get("/admin/audit").status_code == 302
    assert laptop.get("/admin/audit").status_code == 302
    assert other.get("/admin/account").status_code == 200


def test_a_session_survives_a_restart_with_the_kept_key(
    make_app: Callable[..., Flask], people: dict[str, int]
) -> None:
    first, second = (make_app(secret_key="k" * 40) for _ in range(2))
    browser = Browser(first)
    browser.log_in()
    cookie = browser.client.get_cookie("mien_session")
    assert cookie is not None
    later = second.test_client()
    later.set_cookie("mien_session", cookie.value)
    assert later.get("/admin/audit").status_code == 200


def test_changing_the_password(app: Flask, people: dict[str, int], admin: Browser) -> None:
    elsewhere = Browser(app, "10.0.0.2")
    elsewhere.log_in()
    body = {"current": "not this one", "password": "another long password"}
    path = "/admin/api/account/password"
    refused = admin.send("POST", path, body)
    assert refused.status_code == 400
    assert refused.json is not None
    assert refused.json["error"]["detail"] == {"field": "current"}
    short = admin.send("POST", path, {"current": PASSWORD, "password": "short"})
    assert short.status_code == 400
    assert admin.send("POST", path, body | {"current": PASSWORD}).status_code == 200
    assert admin.get("/admin/audit").status_code == 200  # this browser stays
    assert elsewhere.get("/admin/audit").status_code == 302
    assert Browser(app, "10.0.0.4").log_in().status_code == 401
    assert Browser(app, "10.0.0.4").log_in(password=body["password"]).status_code == 302
