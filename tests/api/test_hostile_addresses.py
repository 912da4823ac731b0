"""Addresses, queries and forms with what no database takes: no route answers with our own fault."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask

from tests.support.admin import PASSWORD, TEAM, Browser, add_people, make_app, quick_hashes
from webapp.access import passwords
from webapp.studies.service import studies_of
from webapp.survey.service import surveys_of
from webapp.web.open_database import database_of

__all__ = ["make_app", "quick_hashes"]

WORDS = ("%00" * 32, "0" * 31 + "%00", "%ED%A0%80", "a" * 5000)
NAMES = ("name", "next", "token", "password", "again", "path", "group", "filename", "only", "by")
LEFT_OUT = re.compile(r"/(logout|sessions/end|account/password)$")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def app(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    make_app: Callable[..., Flask],
    quick_hashes: None,
) -> Flask:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("postgres_server").database())
    monkeypatch.setattr(passwords, "password_fits", lambda given, _stored: given == PASSWORD)
    return make_app(secret_key="k" * 40, study_begins_per_hour=10_000)


def test_what_no_database_takes_is_found_nowhere(app: Flask) -> None:
    add_people(database_of(app).open(), TEAM)
    browser = Browser(app)
    assert browser.log_in().status_code == 302
    headers = {"X-CSRFToken": browser.token("/admin/account")}
    tried, failed = 0, []
    for rule in app.url_map.iter_rules():
        for word in WORDS:
            path = re.sub(r"<int:\w+>", "1", rule.rule)
            path = re.sub(r"<[^>]+>", word, path)
            if LEFT_OUT.search(path):
                continue
            query = "&".join(f"{name}={word}" for name in NAMES)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                form = None if method == "GET" else f"{query}&csrf_token={headers['X-CSRFToken']}"
                answer = browser.client.open(
                    f"{path}?{query}",
                    method=method,
                    headers=headers,
                    data=form,
                    content_type=form and "application/x-www-form-urlencoded",
                )
                tried += 1
                if answer.status_code == 500:
                    failed.append(f"{method} {rule.rule} {word[:20]}")
                answer.close()
    studies_of(app).close()
    surveys_of(app).close()
    assert failed == []
    assert tried > 400
