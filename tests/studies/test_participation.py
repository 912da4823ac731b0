"""Taking part: the link, the codes, going on, answering, finishing, withdrawing."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.studies.people import API, TAKE_PART, Person, Researcher, sample
from webapp.database.base import utcnow
from webapp.database.study_tables import Study, StudyBatch, StudyParticipant
from webapp.studies.service import studies_of


def test_somebody_takes_part_from_the_notice_to_the_end(
    researcher: Researcher, client: FlaskClient
) -> None:
    study = researcher.open()
    notice = client.get(f"{TAKE_PART}/links/{study['link'].removeprefix('/s/')}").json
    assert (notice["stimuli"], notice["shown_ms"]) == (2, 10_000)
    person = Person(client, study, pid="P-1", device="phone", columns={"market": "DE"},
                    **{"return": "https://panel.example/back?x=1"})  # fmt: skip
    assert person.answer.status_code == 201
    assert person.answer.headers["Cache-Control"] == "private, no-store"
    assert person.begun["return_allowed"]
    assert person.begun["receipt"]["notice_sha256"] == notice["notice_sha256"]
    with client.get(person.begun["order"][0]["url"], headers={"Range": "bytes=0-3"}) as answer:
        assert (answer.status_code, answer.data) == (206, b"\x89PNG")
    assert person.ask("PUT", "/check", json={"light": "ok", "ms": 900}).status_code == 204
    assert person.ask("PUT", "/answers", json={"age": "young"}).status_code == 204
    early = person.ask("POST", "/finish")
    assert early.status_code == 409
    assert early.json["error"]["detail"] == {"stimuli": person.order, "questions": ["liking"]}
    for stimulus in person.order:
        person.watch(stimulus, [sample(t) for t in range(0, 5000, 333)])
    ended = person.finish(liking=5).json
    code = hmac.new(study["completion_secret"].encode(), b"P-1", hashlib.sha256).hexdigest()[:20]
    assert ended["completion_code"] == code
    assert ended["return_url"] == f"https://panel.example/back?x=1&pid=P-1&code={code}"
    assert person.ask("POST", "/finish").json == ended
    assert person.send(person.order[0], [sample(0)]).status_code == 409
    assert researcher.show(study["id"])["people"]["finished"] == 1


def test_somebody_goes_on_after_a_pause(researcher: Researcher, client: FlaskClient) -> None:
    person = Person(client, researcher.open())
    person.watch(person.order[0], [sample(0), sample(300)])
    person.ask("PUT", "/answers", json={"age": "old", "why": "so"})
    person.ask("PUT", "/answers", json={"why": None})
    now = person.ask("GET", "").json
    assert (now["next"], now["acknowledged"]) == (person.order[1], 1)
    assert now["shown"] == {person.order[0]: "ended"}
    assert now["answers"] == {"age": "old"}
    assert "code" not in now
    assert "withdrawal_code" not in now


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://panel.example/a", True),
        ("https://panel.example:444/a", False),
        ("https://panel.example.evil.test/", False),
        ("https://panel.example@evil.test/", False),
        ("http://panel.example/", False),
        ("//panel.example/", False),
        ("javascript:alert(1)", False),
        ("https://evil.test/?https://panel.example", False),
        ("https://panel.example\\@evil.test", False),
    ],
)
def test_people_are_sent_to_allowed_addresses_only(
    researcher: Researcher, client: FlaskClient, address: str, allowed: bool
) -> None:
    person = Person(client, researcher.open(1), **{"return": address})
    assert person.begun["return_allowed"] is allowed
    person.watch(person.order[0], [sample(0)])
    assert (person.finish().json["return_url"] is not None) is allowed


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"consent": False}, 400),
        ({"consent": "true"}, 400),
        ({"notice_version": 99}, 409),
        ({"notice_version": None}, 400),
        ({"link": "x" * 32}, 404),
        ({"link": ""}, 404),
        ({"link": 5}, 400),
        ({"device": "fridge"}, 400),
        ({"pid": "x" * 201}, 400),
        ({"columns": {"a": 5}}, 400),
        ({"columns": {str(n): "x" for n in range(21)}}, 400),
        ({"columns": [1]}, 400),
    ],
)
def test_who_cannot_begin(
    researcher: Researcher, client: FlaskClient, more: dict[str, Any], status: int
) -> None:
    assert Person(client, researcher.open(1), **more).answer.status_code == status


def test_closed_ended_and_full_studies_say_so(
    app: Flask, researcher: Researcher, client: FlaskClient
) -> None:
    study = researcher.open(1, target=2)
    first, second = Person(client, study), Person(client, study)
    full = Person(client, study).answer
    assert (full.status_code, full.json["error"]["detail"]["reason"]) == (410, "full")
    assert Person(client, study, preview=True).answer.status_code == 410
    # who has not been seen for long gives the place up, and may still come back
    with studies_of(app).open().store.session() as session:
        row = session.get_one(StudyParticipant, second.begun["participant"])
        row.seen_at = utcnow() - timedelta(hours=1)
    assert Person(client, study).answer.status_code == 201
    assert second.ask("GET", "").status_code == 200
    client.post(f"{API}/{study['id']}/close")
    assert Person(client, study).answer.json["error"]["detail"]["reason"] == "closed"
    first.watch(first.order[0], [sample(0)])
    assert first.finish().status_code == 200
    other = researcher.open(1)
    with studies_of(app).open().store.session() as session:
        session.get_one(Study, other["id"]).ends_at = utcnow() - timedelta(seconds=1)
    assert Person(client, other).answer.json["error"]["detail"]["reason"] == "ended"


@pytest.mark.parametrize("presentation", ["fixed", "random", "latin"])
def test_the_order_is_what_the_study_says(
    researcher: Researcher, client: FlaskClient, presentation: str
) -> None:
    study = researcher.open(4, presentation=presentation)
    ids = [one["id"] for one in study["stimuli"]]
    orders = [Person(client, study).order for _ in range(8)]
    assert all(sorted(order) == sorted(ids) for order in orders)
    if presentation == "fixed":
        assert all(order == ids for order in orders)
    if presentation == "latin":
        for place in range(4):
            assert set(Counter(order[place] for order in orders).values()) == {2}


def test_a_preview_of_a_draft_counts_nowhere(researcher: Researcher, client: FlaskClient) -> None:
    study = researcher.draft()
    assert client.post(f"{API}/{study['id']}/preview").status_code == 409
    researcher.add(study["id"])
    begun = client.post(f"{API}/{study['id']}/preview")
    assert begun.status_code == 201
    person = Person.__new__(Person)
    person.client, person.begun, person.seq = client, begun.json, 0
    person.watch(person.order[0], [sample(0)])
    assert person.finish().json == {"completion_code": None, "return_url": None}
    assert researcher.show(study["id"])["people"]["begun"] == 0


def test_answers_that_fit_no_question(researcher: Researcher, client: FlaskClient) -> None:
    person = Person(client, researcher.open())
    for answers in ({"liking": 6}, {"liking": 1.5}, {"liking": True}, {"age": "ancient"},
                    {"age": ["young"]}, {"why": "x" * 3000}, {"other": 1}, [1]):  # fmt: skip
        assert person.ask("PUT", "/answers", json=answers).status_code == 400
    for checks in ({"a": {}}, {"a": "x" * 3000}, [1]):
        assert person.ask("PUT", "/check", json=checks).status_code == 400
    for number in ("NaN", "1e999"):  # which Python reads, and neither PostgreSQL nor a browser
        text = f'{{"bright": {number}}}'
        answer = person.ask("PUT", "/check", data=text, content_type="application/json")
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"t_ms": -1}, {"t_ms": 10**7}, {"t_ms": "0"}, {"t_ms": None}, {"face": "two"},
        {"face": "none"}, {"scores": [1]}, {"scores": [0.5] * 7},
        {"scores": [2, -1, 0, 0, 0, 0, 0]},
        {"scores": "x"}, {"rate": "fast"}, {"rate": -1}, {"scores": [True, 0, 0, 0, 0, 0, 0]},
    ],
)  # fmt: skip
def test_samples_that_cannot_be(
    researcher: Researcher, client: FlaskClient, wrong: dict[str, Any]
) -> None:
    person = Person(client, researcher.open(1))
    assert person.send(person.order[0], [sample(0), sample(300, **wrong)]).status_code == 400
    assert person.send(person.order[0], [sample(0)], seq=1).status_code == 200


def test_batches_are_bounded(researcher: Researcher, client: FlaskClient) -> None:
    person = Person(client, researcher.open(1))
    stimulus = person.order[0]
    assert person.send(stimulus, [sample(0)] * 201, seq=1).status_code == 400
    assert person.send(stimulus, []).status_code == 400
    assert person.ask("POST", "/batches", data=b"x" * 200_000).status_code in (400, 413)
    for number in range(1, 6):
        assert person.send(stimulus, [sample(0)] * 200, seq=number).status_code == 200
    # 5 s of picture and 10 s of patience at 10 frames a second, and 1000 to spare
    assert person.send(stimulus, [sample(0)] * 200, seq=6).status_code == 409


def test_limits_of_one_person_are_nobody_elses(make_studies: Callable[..., Flask]) -> None:
    client = make_studies(study_requests_per_minute=3, study_begins_per_hour=2).test_client()
    study = Researcher(client).open(1)
    first, second = Person(client, study), Person(client, study)
    assert Person(client, study).answer.status_code == 429
    assert [first.ask("GET", "").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert second.ask("GET", "").status_code == 200


def test_who_withdraws_is_nowhere(
    app: Flask, researcher: Researcher, client: FlaskClient, stored: Callable[[], bytes]
) -> None:
    study = researcher.open(1)
    stays = Person(client, study, pid="stays-here-77")
    goes = Person(client, study, pid="goes-away-4711", columns={"market": "Atlantis-4711"})
    for person in (stays, goes):
        person.watch(person.order[0], [sample(0)])
        person.finish(why="a word of " + ("goes-4711" if person is goes else "stays-77"))
    client.post(f"{API}/{study['id']}/close")
    code = goes.begun["withdrawal_code"]
    typed = code.replace("-", " ").lower().replace("0", "o")
    answer = client.post("/api/v1/withdrawals", json={"withdrawal_code": typed})
    assert (answer.status_code, answer.json) == (200, {"deleted": True})
    assert goes.ask("GET", "").status_code == 401
    assert goes.send(goes.order[0], [sample(0)]).status_code == 401
    assert client.get(goes.begun["order"][0]["url"]).status_code == 404
    assert goes.withdraw().status_code == 404
    with studies_of(app).open().store.session() as session:
        (left,) = session.scalars(select(StudyParticipant))
        assert left.pid == "stays-here-77"
        assert [one.participant_id for one in session.scalars(select(StudyBatch))] == [left.id]
    people = researcher.show(study["id"])["people"]
    assert (people["finished"], people["withdrawn"]) == (1, 1)
    kept = stored()
    assert b"stays-here-77" in kept
    for trace in (b"4711", b"Atlantis", goes.begun["participant"].encode()):
        assert trace not in kept


def test_what_is_past_its_days_is_deleted(
    app: Flask, researcher: Researcher, client: FlaskClient
) -> None:
    study = researcher.open(1, keep_days=30)
    old, new = Person(client, study), Person(client, study)
    client.post(f"{API}/{study['id']}/preview")
    opened = studies_of(app).open()
    assert opened.participants.sweep(utcnow()) == 0
    with opened.store.session() as session:
        session.get_one(StudyParticipant, old.begun["participant"]).created_at = (
            utcnow() - timedelta(days=31)
        )
        for row in session.scalars(select(StudyParticipant)):
            row.seen_at = utcnow() - timedelta(hours=25)
    assert opened.participants.sweep(utcnow()) == 2  # with the preview
    assert old.ask("GET", "").status_code == 401
    assert new.ask("GET", "").json["state"] == "left"
    assert new.ask("POST", "/finish").status_code == 409


def test_codes_are_stored_as_hashes_only(
    researcher: Researcher, client: FlaskClient, stored: Callable[[], bytes]
) -> None:
    person = Person(client, researcher.open(1))
    kept = stored()
    assert person.begun["participant"].encode() in kept
    for secret in (person.begun["code"], person.begun["withdrawal_code"]):
        assert secret.encode() not in kept
        assert secret.replace("-", "").encode() not in kept
