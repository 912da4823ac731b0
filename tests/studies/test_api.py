"""Studies over HTTP, as a researcher makes them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.studies.people import API, FIELDS, Person, Researcher, picture
from webapp.studies.service import studies_of

GONE = "0" * 32


def test_a_draft_is_opened_closed_and_deleted(researcher: Researcher, client: FlaskClient) -> None:
    study = researcher.draft()
    assert (study["state"], study["link"], study["notice_version"]) == ("draft", None, 1)
    base = f"{API}/{study['id']}"
    refused = client.post(f"{base}/open")
    assert refused.status_code == 409
    assert refused.json["error"]["detail"]["lacks"] == ["at least one picture or video"]
    shown = researcher.add(study["id"], name="Red", show_ms="2000").json
    assert (shown["kind"], shown["show_ms"], shown["width"], shown["name"]) == (
        "picture",
        2000,
        64,
        "Red",
    )
    opened = client.post(f"{base}/open").json
    assert opened["state"] == "open"
    assert len(opened["link"]) > 24
    assert client.post(f"{base}/close").json["state"] == "closed"
    assert [one["id"] for one in client.get(API).json["studies"]] == [study["id"]]
    assert client.delete(base).status_code == 204
    assert client.get(base).status_code == 404
    assert client.get(API).json["studies"] == []


def test_answers_have_the_documented_shape(researcher: Researcher, client: FlaskClient) -> None:
    study = researcher.open()
    document = client.get("/api/v1/openapi.json").json
    paths = document["paths"]
    schema = paths["/api/v1/studies/{study_id}"]["get"]["responses"]["200"]["content"]
    jsonschema.validate(study, schema["application/json"]["schema"])
    begun = Person(client, study).begun
    schema = paths["/api/v1/participations"]["post"]["responses"]["201"]["content"]
    jsonschema.validate(begun, schema["application/json"]["schema"])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"name": ""}, 400),
        ({"name": None}, 400),
        ({"purpose": "work"}, 403),
        ({"purpose": "education"}, 403),
        ({"purpose": "nothing"}, 400),
        ({"purpose": 5}, 400),
        ({"purpose": "other", "purpose_text": "short"}, 400),
        ({"purpose": "other", "purpose_text": "long " * 500}, 400),
        ({"purpose": "other", "purpose_text": ["a text that is none"]}, 400),
        ({"presentation": "backwards"}, 400),
        ({"fixation_ms": -1}, 400),
        ({"fixation_ms": True}, 400),
        ({"target": 0}, 400),
        ({"keep_days": 10**6}, 400),
        ({"ends_at": "2001-01-01"}, 400),
        ({"ends_at": "soon"}, 400),
        ({"ends_at": "9999-12-31T23:59:59-14:00"}, 400),
        ({"notice_language": "english please"}, 400),
        ({"notice_language": "abc-12345678-12345678"}, 400),  # one character more than is kept
        ({"return_hosts": ["javascript:alert(1)"]}, 400),
        ({"return_hosts": ["http://panel.example"]}, 400),
        ({"return_hosts": "https://panel.example"}, 400),
        ({"questions": {"before": [{"id": "a b", "kind": "text", "text": "?"}]}}, 400),
        ({"questions": {"before": [{"id": "a", "kind": "choice", "text": "?"}]}}, 400),
        ({"questions": {"before": [{"id": "a", "kind": "scale", "text": "?", "max": 0}]}}, 400),
        ({"questions": {"before": [{"id": "a", "kind": "text", "text": "?"}] * 2}}, 400),
        ({"questions": [1]}, 400),
        ({"owner_id": 1}, 400),
        ({"state": "open"}, 400),
        ({"completion_secret": "mine"}, 400),
    ],
)
def test_what_no_study_can_be(
    client: FlaskClient, researcher: Researcher, change: dict[str, Any], status: int
) -> None:
    assert client.post(API, json=FIELDS | change).status_code == status
    study = researcher.draft()
    changed = client.patch(f"{API}/{study['id']}", json=change)
    assert changed.status_code == status
    assert researcher.show(study["id"]) == study


def test_only_drafts_change_what_is_shown(researcher: Researcher, client: FlaskClient) -> None:
    study = researcher.open()
    base = f"{API}/{study['id']}"
    one = study["stimuli"][0]["id"]
    for answer in (
        client.patch(base, json={"questions": {}}),
        client.patch(base, json={"presentation": "random"}),
        researcher.add(study["id"]),
        client.patch(f"{base}/stimuli/{one}", json={"name": "x"}),
        client.delete(f"{base}/stimuli/{one}"),
    ):
        assert answer.status_code == 409
    changed = client.patch(base, json={"name": "Other", "target": 9})
    assert (changed.json["name"], changed.json["target"]) == ("Other", 9)
    assert client.patch(base, json={"contact": ""}).status_code == 409


def test_the_notice_has_a_version_that_counts_what_people_agree_to(
    researcher: Researcher, client: FlaskClient
) -> None:
    study = researcher.draft()
    base = f"{API}/{study['id']}"
    assert client.patch(base, json={"name": "Other"}).json["notice_version"] == 1
    assert client.patch(base, json={"notice_text": "New."}).json["notice_version"] == 2
    assert client.patch(base, json={"notice_text": "New."}).json["notice_version"] == 2
    assert client.patch(base, json={"keep_days": 3}).json["notice_version"] == 3


def test_stimuli_are_put_in_order_and_read_in_ranges(
    researcher: Researcher, client: FlaskClient
) -> None:
    study = researcher.draft()
    base = f"{API}/{study['id']}/stimuli"
    ids = [researcher.add(study["id"], c, name=c).json["id"] for c in ("red", "green", "blue")]
    client.patch(f"{base}/{ids[2]}", json={"position": 0, "name": "first", "show_ms": 900})
    stimuli = researcher.show(study["id"])["stimuli"]
    assert [one["name"] for one in stimuli] == ["first", "red", "green"]
    assert client.delete(f"{base}/{ids[0]}").status_code == 204
    assert [one["position"] for one in researcher.show(study["id"])["stimuli"]] == [0, 1]
    whole = picture("green").getvalue()
    with client.get(f"{base}/{ids[1]}") as answer:
        assert (answer.data, answer.mimetype) == (whole, "image/png")
    with client.get(f"{base}/{ids[1]}", headers={"Range": "bytes=2-5"}) as answer:
        assert (answer.status_code, answer.data) == (206, whole[2:6])
    for change in ({"show_ms": 1}, {"show_ms": "long"}, {"position": -1}, {"name": ""}):
        assert client.patch(f"{base}/{ids[1]}", json=change).status_code == 400


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"text, no picture", 415),
        (b"GIF89a" + b"0" * 100, 415),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 100, 422),
        (b"\x00\x00\x00\x18ftypmp42" + b"0" * 100, 422),
        (b"%PDF-1.7", 415),
    ],
)
def test_files_that_no_browser_plays_are_refused_and_not_kept(
    researcher: Researcher, client: FlaskClient, tmp_path: Any, data: bytes, status: int
) -> None:
    study = researcher.draft()
    form = {"file": (io.BytesIO(data), "x.png")}
    answer = client.post(f"{API}/{study['id']}/stimuli", data=form)
    assert answer.status_code == status, answer.json
    assert researcher.show(study["id"])["stimuli"] == []
    assert [path for path in tmp_path.rglob("*") if path.is_file() and "mien.db" not in path.name
            and path.name != "reserve"] == []  # fmt: skip


def test_limits_and_quotas(make_studies: Callable[..., Flask]) -> None:
    limits = {"study_max_studies": 2, "study_max_stimuli": 1, "study_max_stimulus_bytes": 10_000}
    client = make_studies(**limits).test_client()
    researcher = Researcher(client)
    study = researcher.draft()
    researcher.draft()
    assert client.post(API, json=FIELDS).status_code == 409
    large = {"file": (io.BytesIO(picture().getvalue() + b"0" * 20_000), "x.png")}
    assert client.post(f"{API}/{study['id']}/stimuli", data=large).status_code == 413
    assert researcher.add(study["id"]).status_code == 201
    assert researcher.add(study["id"]).status_code == 409


def test_the_quota_counts_an_owners_stimuli(make_studies: Callable[..., Flask]) -> None:
    app = make_studies(study_quota_mb=1)
    researcher = Researcher(app.test_client())
    study = researcher.draft()
    assert researcher.add(study["id"]).status_code == 201
    opened = studies_of(app).open()
    from webapp.database.study_tables import StudyStimulus

    with opened.store.session() as session:
        session.query(StudyStimulus).one().bytes = 1_000_000
    assert researcher.add(study["id"]).status_code == 507


def test_a_link_is_replaced_and_revoked(researcher: Researcher, client: FlaskClient) -> None:
    study = researcher.open()
    base = f"{API}/{study['id']}/link"
    new = client.post(base).json
    assert new["link"] != study["link"]
    assert Person(client, study).answer.status_code == 404
    assert Person(client, new).answer.status_code == 201
    assert client.delete(base).json["link"] is None
    assert Person(client, new).answer.status_code == 404


def test_pages_of_other_sites_change_nothing(researcher: Researcher, client: FlaskClient) -> None:
    study = researcher.draft()
    headers = {"Origin": "https://evil.example"}
    for method, path in (("POST", ""), ("DELETE", f"/{study['id']}"), ("POST", "/demo")):
        answer = client.open(f"{API}{path}", method=method, json=FIELDS, headers=headers)
        assert answer.status_code == 403


def test_the_sweep_removes_files_of_studies_that_are_gone(
    app: Flask, researcher: Researcher, tmp_path: Any
) -> None:
    study = researcher.open()
    orphan = tmp_path / "studies" / GONE / "stimuli"
    orphan.mkdir(parents=True)
    studies_of(app).open().sweep()
    assert not orphan.exists()
    assert (tmp_path / "studies" / study["id"]).exists()


def test_a_node_reads_a_shared_store_once_and_keeps_no_copy_of_what_is_gone(
    make_studies: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_studies(media_url=f"file://{tmp_path / 'shared'}")
    client, opened = app.test_client(), studies_of(app).open()
    researcher = Researcher(client)
    study = researcher.draft()
    base = f"{API}/{study['id']}/stimuli"
    ids = [researcher.add(study["id"], colour).json["id"] for colour in ("red", "green", "blue")]
    fetched: list[Path] = []
    real = opened.files.local
    monkeypatch.setattr(opened.files, "local", lambda path: (fetched.append(path), real(path))[1])
    for part in ("bytes=0-3", "bytes=4-9", "bytes=0-"):
        for one in ids[:2]:
            with client.get(f"{base}/{one}", headers={"Range": part}) as answer:
                assert answer.status_code == 206
    assert len(fetched) == 2
    copies = tmp_path / "studies-copies"
    assert sorted(path.name for path in copies.iterdir()) == sorted(ids[:2])
    assert client.delete(f"{base}/{ids[0]}").status_code == 204
    assert [path.name for path in copies.iterdir()] == [ids[1]]
    assert client.get(f"{base}/{ids[0]}").status_code == 404
    assert client.delete(f"{API}/{study['id']}").status_code == 204
    opened.sweep()
    assert not copies.exists()
    assert [path for path in tmp_path.rglob("*") if path.is_file() and "mien.db" not in path.name
            and path.name != "reserve"] == []  # fmt: skip


def test_the_demo_study_is_open_and_can_be_taken(client: FlaskClient) -> None:
    study = client.post(f"{API}/demo").json
    assert study["state"] == "open"
    film, picture = study["stimuli"]
    assert (film["media_type"], film["duration_ms"]) == ("video/mp4", 20_000)
    assert (picture["media_type"], picture["show_ms"]) == ("image/webp", 5000)
    person = Person(client, study)
    with client.get(person.begun["order"][0]["url"]) as answer:
        assert answer.data[4:8] == b"ftyp"
