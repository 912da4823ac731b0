"""Requests that once ended in "internal error": each is refused with words, in the one shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from bench.support.fuzz_api import one_shape
from tests.support.live import FakeInference
from webapp.app import create_app
from webapp.errors import RateLimited
from webapp.settings import Settings
from webapp.survey.service import surveys_of
from webapp.web.bodies import Room
from webapp.web.strict_input import MAX_ID

API = "/api/v1/surveys"
GOOD: dict[str, Any] = {"name": "x", "purpose": "product", "consent": True}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings = Settings(async_mode="threading", instance_dir=str(tmp_path))
    app = create_app(settings, FakeInference())
    yield app.test_client()
    surveys_of(app).close()


@pytest.fixture
def survey(client: FlaskClient) -> str:
    made = client.post(API, json=GOOD).json
    assert made is not None
    return str(made["id"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**GOOD, "name": "\ud800"}, 400),
        ({**GOOD, "name": "a\x00b"}, 400),
        ({**GOOD, "name": 5}, 400),
        ({**GOOD, "deep": {"\udfff": 1}}, 400),
        ({**GOOD, "deep": [10**400]}, 400),
        ({**GOOD, "video_fps": 10**400}, 400),
        ({**GOOD, "video_fps": float("nan")}, 400),
        ({**GOOD, "purpose_text": "long " * 500}, 400),
        ({**GOOD, "groups": [None]}, 400),
        ({**GOOD, "keep_until": "0001-01-01T00:00+14:00"}, 400),
        ({**GOOD, "keep_until": "9999-12-31T23:59:59-14:00"}, 400),
        ({**GOOD, "name": "Zoë 🙂"}, 201),
    ],
)
def test_a_new_survey(client: FlaskClient, body: dict[str, Any], status: int) -> None:
    answer = client.post(API, json=body)
    assert answer.status_code == status
    assert status < 400 or one_shape(answer.json)


@pytest.mark.parametrize("text", ["[" * 50_000, '{"a":' * 10_000, "1" * 5000, "\xff", "{"])
def test_json_that_is_none(client: FlaskClient, text: str) -> None:
    answer = client.post(API, data=text.encode("latin-1"), content_type="application/json")
    assert answer.status_code == 400
    assert one_shape(answer.json)


@pytest.mark.parametrize(
    ("file", "status"),
    [
        ({"path": "a", "size": []}, 200),
        ({"path": "a", "size": {}, "sha256": []}, 200),
        ({"path": "\ud800"}, 400),
        ({}, 400),
    ],
)
def test_files_to_check(client: FlaskClient, survey: str, file: Any, status: int) -> None:
    answer = client.post(f"{API}/{survey}/files/check", json={"files": [file]})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("file,respondent\n" + "a" * 200_000 + ",x", 400),
        ('file,respondent\na\rb,"x\n', 400),  # a quote that is never closed
        ("", 400),
    ],
)
def test_a_table_of_respondents(client: FlaskClient, survey: str, text: str, status: int) -> None:
    assert client.put(f"{API}/{survey}/respondents", data=text).status_code == status


@pytest.mark.parametrize("body", [[1], {"model": ["x"]}, {"model": 5}, "x"])
def test_an_analysis_of_no_model(client: FlaskClient, survey: str, body: Any) -> None:
    assert client.post(f"{API}/{survey}/jobs", json=body).status_code == 400


@pytest.mark.parametrize("number", [MAX_ID + 1, 10**30])
@pytest.mark.parametrize(
    "path", ["{s}/jobs/{n}/review", "{s}/files/{n}/picture", "{s}/jobs/{n}/stills/{n}-{n}.jpg"]
)
def test_numbers_that_no_database_holds(
    client: FlaskClient, survey: str, path: str, number: int
) -> None:
    answer = client.get(f"{API}/{path.format(s=survey, n=number)}")
    assert answer.status_code == 404
    assert one_shape(answer.json)


@pytest.mark.parametrize("survey_id", ["%00", "%ff", "a" * 5000, "..", "%27%20or%201=1"])
def test_surveys_that_cannot_be(client: FlaskClient, survey_id: str) -> None:
    assert client.get(f"{API}/{survey_id}").status_code == 404


@pytest.mark.parametrize("origin", ["http://[::1", "http://evil", "", "\x7f"])
def test_origins_that_are_none(client: FlaskClient, origin: str) -> None:
    answer = client.post(API, json=GOOD, headers={"Origin": origin})
    assert answer.status_code == 403
    assert one_shape(answer.json)


def test_group_names_and_paths_lose_what_no_database_takes(
    client: FlaskClient, survey: str
) -> None:
    query = {"path": "\x00a\x00.jpg", "group": "\x00"}
    assert client.put(f"{API}/{survey}/files", query_string=query, data=b"x").status_code == 200
    shown = client.get(f"{API}/{survey}").json
    assert shown is not None
    assert shown["groups"] == ["All pictures"]


def test_bodies_are_small_unless_a_view_takes_more(client: FlaskClient, survey: str) -> None:
    for method, path in (("POST", API), ("PUT", f"{API}/{survey}/tags")):
        answer = client.open(path, method=method, data=b"x" * 70_000)
        assert answer.status_code in (400, 413), path
    deep: Any = []
    for _ in range(40):
        deep = [deep]
    many: list[Any] = [[]] * 200_000
    for files in (many, deep):
        answer = client.post(f"{API}/{survey}/files/check", json={"files": files})
        assert answer.status_code == 400
        assert one_shape(answer.json)


def test_pictures_on_their_way_have_room_in_all_and_for_one_address() -> None:
    room = Room(total=100, each=50)
    with room.held("a", 40), room.held("b", 40):
        for address, size in (("a", 11), ("c", 21)):
            with pytest.raises(RateLimited), room.held(address, size):
                pass
        with room.held("a", 10):
            pass
    with room.held("a", 1000):  # alone, whatever the settings allow for a picture
        pass
