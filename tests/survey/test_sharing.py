"""Where a login is required: whose surveys are, and that nobody else can tell that they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.routing.converters import NumberConverter
from werkzeug.test import TestResponse

from tests.support.admin import PASSWORD, TEAM, Browser, add_people, make_app, quick_hashes
from webapp.access import accounts, passwords, tokens
from webapp.access.connections import connections_of
from webapp.database.access_tables import AuditEntry
from webapp.database.store import Store
from webapp.database.survey_tables import Job, Survey
from webapp.survey.report.build import _earlier_figures
from webapp.survey.service import surveys_of
from webapp.web.open_database import database_of

__all__ = ["make_app", "quick_hashes"]

API = "/api/v1/surveys"
NEW = {"name": "Packages", "purpose": "product", "consent": True, "groups": ["A"]}
NOBODYS = "0" * 32


@pytest.fixture
def closed(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    app = make_app(require_login=True, secret_key="k" * 40)
    yield app
    surveys_of(app).close()


@pytest.fixture
def store(closed: Flask) -> Store:
    return database_of(closed).open()


@pytest.fixture
def people(store: Store, quick_hashes: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    # verifying takes a process each time, and is not what is tested here
    monkeypatch.setattr(passwords, "password_fits", lambda given, _stored: given == PASSWORD)
    return add_people(store, TEAM)


class Person:
    """A browser that somebody is logged in to."""

    def __init__(self, app: Flask, name: str) -> None:
        self.browser = Browser(app)
        assert self.browser.log_in(name).status_code == 302
        self._headers = {"X-CSRFToken": self.browser.token("/admin/account")}

    def open(self, method: str, path: str, **more: Any) -> TestResponse:
        return self.browser.client.open(path, method=method, headers=self._headers, **more)

    def seen(self) -> list[str]:
        return [one["name"] for one in self.open("GET", API).json["surveys"]]


@pytest.fixture
def person(closed: Flask, people: dict[str, int]) -> Callable[[str], Person]:
    return lambda name: Person(closed, name)


@pytest.fixture
def survey(person: Callable[[str], Person]) -> str:
    """A survey of Mira's."""
    made = person("mira").open("POST", API, json=NEW)
    assert made.status_code == 201
    assert made.json["owner"] == "mira"
    return str(made.json["id"])


def paths(app: Flask, survey: str) -> Iterator[tuple[str, str]]:
    """``(method, path)`` of every route about one survey, its other placeholders filled."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        if "survey_id" not in rule.arguments:
            continue
        values: dict[str, Any] = {
            name: 1 if isinstance(rule._converters[name], NumberConverter) else "html"
            for name in rule.arguments
        }
        for method in sorted(rule.methods or ()):
            yield method, adapter.build(rule.endpoint, values | {"survey_id": survey}, method)


def said(text: str, survey: str) -> str:
    """An answer without the survey's id, and without the page's CSRF token, which has a time."""
    return re.sub(r'name="csrf-token" content="[^"]+"', "", text).replace(survey, "")


def test_to_a_stranger_a_survey_is_one_that_is_not_there(
    closed: Flask, person: Callable[[str], Person], survey: str, people: dict[str, int]
) -> None:
    """On every route, page, export and upload, with a browser and with a token."""
    tom = person("tom")
    _, text = tokens.create(
        database_of(closed).open(), people["tom"], "t", ["surveys:read", "surveys:write"], None
    )
    program = closed.test_client()
    tried = 0
    for method, path in paths(closed, survey):
        nowhere = path.replace(survey, NOBODYS)
        for ask in (
            lambda url, method=method: tom.open(method, url, json={}),
            lambda url, method=method: program.open(
                url, method=method, json={}, headers={"Authorization": f"Bearer {text}"}
            ),
        ):
            here, there = ask(path), ask(nowhere)
            assert here.status_code == there.status_code, f"{method} {path}"
            assert here.status_code in (403, 404), f"{method} {path}: {here.status_code}"
            assert said(here.text, survey) == said(there.text, NOBODYS)
            assert set(here.headers.keys()) == set(there.headers.keys())
        tried += 1
    assert tried > 60
    assert tom.seen() == []
    assert "Packages" not in tom.open("GET", "/surveys").text
    assert surveys_of(closed).open().catalog.get(survey).name == "Packages"


def test_owner_and_administrators_see_it_and_programs_act_for_their_owner(
    closed: Flask, person: Callable[[str], Person], survey: str, people: dict[str, int]
) -> None:
    store = database_of(closed).open()
    for name, seen in (("mira", ["Packages"]), ("admin", ["Packages"]), ("tom", [])):
        assert person(name).seen() == seen
        _, text = tokens.create(store, people[name], "t", ["surveys:read"], None)
        headers = {"Authorization": f"Bearer {text}"}
        answer = closed.test_client().get(API, headers=headers)
        assert [one["name"] for one in answer.json["surveys"]] == seen
    page = person("admin").open("GET", "/surveys").text
    assert "mira" in page


def test_an_invitation_opens_a_survey_until_it_is_taken_back(
    closed: Flask, person: Callable[[str], Person], survey: str
) -> None:
    mira, tom = person("mira"), person("tom")
    shares = f"{API}/{survey}/shares"
    for _ in range(2):  # inviting twice changes nothing
        answer = mira.open("PUT", f"{shares}/Tom")
        assert answer.status_code == 200
        assert [guest["name"] for guest in answer.json["guests"]] == ["tom"]
    assert tom.seen() == ["Packages"]
    assert tom.open("GET", f"/surveys/{survey}").status_code == 200
    assert tom.open("PUT", f"{API}/{survey}/tags", json={"tags": ["x"]}).status_code == 200
    shown = tom.open("GET", shares).json
    assert (shown["owner"], shown["may_share"]) == ("mira", False)
    assert tom.open("PUT", f"{shares}/admin").status_code == 403
    assert mira.open("DELETE", f"{shares}/tom").status_code == 204
    assert mira.open("DELETE", f"{shares}/tom").status_code == 404
    assert tom.open("GET", f"{API}/{survey}").status_code == 404
    with database_of(closed).open().session() as session:
        done = session.execute(select(AuditEntry.actor, AuditEntry.action)).all()
    assert ("mira", "survey.share") in done
    assert ("mira", "survey.unshare") in done


def test_whoever_was_invited_may_leave_and_delete(
    person: Callable[[str], Person], survey: str
) -> None:
    mira, tom = person("mira"), person("tom")
    shares = f"{API}/{survey}/shares"
    mira.open("PUT", f"{shares}/tom")
    assert tom.open("DELETE", f"{shares}/mira").status_code == 403
    assert tom.open("DELETE", f"{shares}/tom").status_code == 204
    assert tom.seen() == []
    mira.open("PUT", f"{shares}/tom")
    assert tom.open("DELETE", f"{API}/{survey}").status_code == 204
    assert mira.seen() == []


@pytest.mark.parametrize(
    ("name", "status"),
    [("nobody", 404), ("mira", 400), ("%00", 400), ("a" * 300, 400), ("%20", 400), ("ä", 400)],
)
def test_who_cannot_be_invited(
    person: Callable[[str], Person], survey: str, name: str, status: int
) -> None:
    answer = person("mira").open("PUT", f"{API}/{survey}/shares/{name}")
    assert answer.status_code == status
    assert answer.json["error"]["message"]


def test_surveys_of_nobody_are_for_administrators(
    closed: Flask, person: Callable[[str], Person], survey: str, people: dict[str, int]
) -> None:
    """Those from before owners were kept, and those of an account that is gone."""
    store = database_of(closed).open()
    accounts.remove(store, people["mira"])
    assert person("tom").seen() == []
    admin = person("admin")
    assert admin.open("GET", f"{API}/{survey}").json["owner"] is None
    assert admin.open("PUT", f"{API}/{survey}/shares/tom").status_code == 200
    assert person("tom").seen() == ["Packages"]


def test_an_owner_can_have_so_many_surveys(
    make_app: Callable[..., Flask], quick_hashes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    app = make_app(survey_max_surveys=2)
    client = app.test_client()
    answers = [client.post(API, json=NEW) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert "Delete some first" in answers[2].json["error"]["message"]
    client.delete(f"{API}/{answers[0].json['id']}")
    assert client.post(API, json=NEW).status_code == 201
    surveys_of(app).close()


def test_one_address_makes_so_many_surveys_an_hour(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    app = make_app(surveys_per_hour=2)
    client = app.test_client()
    answers = [client.post(API, json=NEW) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert "Too many requests" in answers[2].json["error"]["message"]
    assert client.get(API).status_code == 200
    surveys_of(app).close()


def test_without_a_required_login_there_is_nothing_to_share(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    app = make_app()
    client = app.test_client()
    survey = client.post(API, json=NEW).json
    assert survey["owner"] is None
    shares = f"{API}/{survey['id']}/shares"
    assert client.get(shares).json == {"owner": None, "guests": [], "may_share": False}
    assert client.put(f"{shares}/tom").status_code == 409
    assert client.delete(f"{shares}/tom").status_code == 409
    assert 'data-action="share"' not in client.get(f"/surveys/{survey['id']}").text
    surveys_of(app).close()


def test_a_watcher_is_told_only_of_what_it_may_see(
    closed: Flask, person: Callable[[str], Person], survey: str, people: dict[str, int]
) -> None:
    """The Socket.IO namespace: entering a survey's room, and leaving it when a share ends."""
    store = database_of(closed).open()
    mira = person("mira")
    _, text = tokens.create(store, people["tom"], "t", ["surveys:read"], None)
    namespace = closed.extensions["socketio"].server.namespace_handlers["/surveys"]

    tom = closed.extensions["socketio"].test_client(
        closed, namespace="/surveys", auth={"token": text}
    )

    def call(event: str, survey: str) -> dict[str, Any]:
        told = tom.emit(event, {"survey": survey}, namespace="/surveys", callback=True)
        return cast("dict[str, Any]", told)

    (sid,) = namespace._who
    refused, nowhere = call("watch", survey)["error"], call("watch", NOBODYS)["error"]
    assert (refused["code"], refused["message"]) == (nowhere["code"], nowhere["message"])
    mira.open("PUT", f"{API}/{survey}/shares/tom")
    assert call("watch", survey) == {"state": None}
    assert survey in namespace.rooms(sid)
    # events that are called like the library's own change nothing
    assert call("disconnect", survey)["error"]["code"] == "invalid_request"
    assert call("connect", survey)["error"]["code"] == "invalid_request"
    mira.open("DELETE", f"{API}/{survey}/shares/tom")
    connections_of(closed).look()
    assert survey not in namespace.rooms(sid)
    accounts.remove(store, people["tom"])
    assert call("watch", survey)["error"]["code"] == "unauthorized"
    tom.disconnect(namespace="/surveys")


def test_norms_are_of_the_owners_surveys_alone(
    closed: Flask, store: Store, people: dict[str, int]
) -> None:
    catalog = surveys_of(closed).open().catalog
    from webapp.survey.catalog import NewSurvey

    jobs = {}
    for owner in ("mira", "tom", None, "mira"):
        made = catalog.create(
            NewSurvey("S", "product", True), None if owner is None else people[owner]
        )
        with store.session() as session:
            job = Job(
                survey_id=made.id, state="done", model_version="m", model={}, software="1",
                summary={"figures": {"happy": len(jobs)}},
            )  # fmt: skip
            session.add(job)
            session.flush()
            jobs[made.id] = job
    with store.session() as session:
        assert _earlier_figures(session, list(jobs.values())[-1]) == [{"happy": 0}]
        assert session.scalars(select(Survey.owner_id)).all().count(people["mira"]) == 2
