"""Nobody does anything with another's study, link, code or stimulus; on every route there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.studies.people import API, TAKE_PART, Person, Researcher, sample
from tests.support.admin import PASSWORD, TEAM, Browser, add_people, quick_hashes
from webapp.access import passwords, tokens
from webapp.access.auth import access_of
from webapp.database.access_tables import AuditEntry
from webapp.database.base import Base
from webapp.web.open_database import database_of

__all__ = ["quick_hashes"]
NOBODYS = "0" * 32


@pytest.fixture
def closed(make_studies: Callable[..., Flask]) -> Flask:
    return make_studies(require_login=True, secret_key="k" * 40)


@pytest.fixture
def people(closed: Flask, quick_hashes: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    monkeypatch.setattr(passwords, "password_fits", lambda given, _stored: given == PASSWORD)
    return add_people(database_of(closed).open(), TEAM)


class LoggedIn:
    """A browser that somebody is logged in to; it looks like a test client to a Researcher."""

    def __init__(self, app: Flask, name: str) -> None:
        self.browser = Browser(app)
        assert self.browser.log_in(name).status_code == 302
        self._headers = {"X-CSRFToken": self.browser.token("/admin/account")}

    def open(self, path: str, method: str = "GET", **more: Any) -> TestResponse:
        headers = self._headers | more.pop("headers", {})
        return self.browser.client.open(path, method=method, headers=headers, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.open(path, **more)

    def post(self, path: str, **more: Any) -> TestResponse:
        return self.open(path, "POST", **more)

    def delete(self, path: str) -> TestResponse:
        return self.open(path, "DELETE")


@pytest.fixture
def login(closed: Flask, people: dict[str, int]) -> Callable[[str], LoggedIn]:
    return lambda name: LoggedIn(closed, name)


def paths(app: Flask, study: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """``(method, path)`` of every route about one study, its other placeholders filled."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        if "study_id" not in rule.arguments:
            continue
        values = {name: "scores.csv" for name in rule.arguments}
        values |= {"study_id": study["id"]}
        if "stimulus_id" in rule.arguments:
            values["stimulus_id"] = study["stimuli"][0]["id"]
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            yield method, adapter.build(rule.endpoint, values, method)


def everything(app: Flask) -> dict[str, Any]:
    """Every row of the tables of studies."""
    with database_of(app).open().session() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table))))
            for table in Base.metadata.sorted_tables
            if table.name.startswith("stud")
        }


def said(text: str, study: str) -> str:
    return re.sub(r'name="csrf-token" content="[^"]+"', "", text).replace(study, "")


def test_to_a_stranger_a_study_is_one_that_is_not_there(
    closed: Flask, login: Callable[[str], Any], people: dict[str, int]
) -> None:
    study = Researcher(login("mira")).open()
    assert study["owner"] == "mira"
    tom = login("tom")
    _, text = tokens.create(
        database_of(closed).open(), people["tom"], "t", ["studies:read", "studies:write"], None
    )
    program = closed.test_client()
    before, tried = everything(closed), 0
    for method, path in paths(closed, study):
        nowhere = path.replace(study["id"], NOBODYS)
        for ask in (
            lambda url, method=method: tom.open(url, method, json={}),
            lambda url, method=method: program.open(
                url, method=method, json={}, headers={"Authorization": f"Bearer {text}"}
            ),
        ):
            answer, missing = ask(path), ask(nowhere)
            assert answer.status_code in (404, 403), f"{method} {path}: {answer.status_code}"
            assert answer.status_code == missing.status_code
            assert said(answer.text, study["id"]) == said(missing.text, NOBODYS)
            tried += 1
    assert tried > 20
    assert everything(closed) == before
    assert tom.get(API).json == {"studies": []}
    assert login("admin").get(f"{API}/{study['id']}").status_code == 200
    assert len(login("admin").get(API).json["studies"]) == 1


def test_nobody_unknown_gets_in_but_who_has_a_link_takes_part(
    closed: Flask, login: Callable[[str], Any]
) -> None:
    study = Researcher(login("mira")).open(1)
    program = closed.test_client()
    for method, path in [*paths(closed, study), ("GET", API), ("POST", API)]:
        answer = program.open(path, method=method, json={})
        assert answer.status_code in (401, 302), f"{method} {path}"
    person = Person(program, study)
    person.watch(person.order[0], [sample(0)])
    assert person.finish().status_code == 200
    assert person.withdraw().status_code == 200
    # a code is good for nothing else
    for method, path in paths(closed, study):
        answer = program.open(path, method=method, json={}, headers=person.headers)
        assert answer.status_code in (401, 302), f"{method} {path}"


def test_what_is_public_is_listed_here(closed: Flask) -> None:
    public = {
        rule.rule
        for rule in closed.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        and access_of(closed.view_functions[rule.endpoint]) == "public"
        and ("participation" in rule.endpoint or "study" in rule.endpoint)
    }
    me = f"{TAKE_PART}/me"
    assert public == {
        TAKE_PART,
        f"{TAKE_PART}/links/<link>",
        me,
        f"{me}/batches",
        f"{me}/answers",
        f"{me}/check",
        f"{me}/finish",
        f"{me}/leave",
        f"{me}/stimuli/<stimulus_id>",
        f"{me}/stimuli/<stimulus_id>/shown",
        "/api/v1/withdrawals",
    }


def test_tokens_need_their_scope(
    closed: Flask, login: Callable[[str], Any], people: dict[str, int]
) -> None:
    study = Researcher(login("mira")).open(1)
    store, program = database_of(closed).open(), closed.test_client()
    for scopes, read, write in (
        (["surveys:read", "surveys:write"], 403, 403),
        (["studies:read"], 200, 403),
        (["studies:write"], 403, 200),
    ):
        _, text = tokens.create(store, people["mira"], "t", scopes, None)
        headers = {"Authorization": f"Bearer {text}"}
        base = f"{API}/{study['id']}"
        assert program.get(base, headers=headers).status_code == read
        assert program.post(f"{base}/close", headers=headers).status_code == write


def test_another_persons_code_and_stimulus_lead_nowhere(
    closed: Flask, login: Callable[[str], Any]
) -> None:
    """Two studies of two researchers, one person in each."""
    mira, tom = Researcher(login("mira")), Researcher(login("tom"))
    program = closed.test_client()
    first, second = mira.open(1), tom.open(1)
    ours, theirs = Person(program, first), Person(program, second)
    before = everything(closed)
    other = theirs.order[0]
    assert ours.send(other, [sample(0)], seq=1).status_code == 404
    assert ours.ask("POST", f"/stimuli/{other}/shown").status_code == 404
    address = ours.begun["order"][0]["url"]
    assert program.get(address.replace(ours.order[0], other)).status_code == 404
    assert program.get(address.split("?")[0]).status_code == 404
    assert program.get(address + "x").status_code == 404
    # a stimulus of another study below our own
    for method in ("GET", "PATCH", "DELETE"):
        path = f"{API}/{first['id']}/stimuli/{other}"
        body = {"json": {"name": "mine"}} if method == "PATCH" else {}
        assert mira.client.open(path, method, **body).status_code in (404, 409)
    for scheme, code in (
        ("Study", ours.begun["withdrawal_code"]),
        ("Study", ours.begun["participant"]),
        ("Study", ""),
        ("Bearer", ours.begun["code"]),
        ("Basic", ours.begun["code"]),
    ):
        answer = program.get(f"{TAKE_PART}/me", headers={"Authorization": f"{scheme} {code}"})
        assert answer.status_code == 401
    for code in (ours.begun["code"], ours.begun["participant"], ""):
        answer = program.post("/api/v1/withdrawals", json={"withdrawal_code": code})
        assert answer.status_code == 404
    assert everything(closed) == before


def test_who_did_what_to_a_study_is_in_the_audit_log(
    closed: Flask, login: Callable[[str], Any]
) -> None:
    mira = login("mira")
    study = Researcher(mira).open(1)
    mira.post(f"{API}/{study['id']}/close")
    mira.delete(f"{API}/{study['id']}")
    with database_of(closed).open().session() as session:
        actions = [one.action for one in session.scalars(select(AuditEntry))]
    assert [one for one in actions if one.startswith("study")] == [
        "study.open",
        "study.close",
        "study.delete",
    ]
