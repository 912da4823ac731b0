from __future__ import annotations

import io
from unittest.mock import Mock

import pytest
from sqlalchemy.exc import OperationalError

from tests.survey.doubles import FakeInference, picture
from webapp.app import create_app
from webapp.database.survey_tables import Job
from webapp.domain import EMOTIONS
from webapp.settings import Settings
from webapp.survey.service import surveys_of

API = "/api/v1/surveys"
GOOD = {"name": "Packages", "purpose": "product", "consent": True, "groups": ["A", "B"]}


@pytest.fixture
def survey(client) -> str:
    answer = client.post(API, json=GOOD)
    assert answer.status_code == 201
    return answer.json["id"]


def put(client, survey, path, data, group="A"):
    return client.put(
        f"{API}/{survey}/files", query_string={"path": path, "group": group}, data=data
    )


def run(app, client, survey, what="jobs", **body):
    """Start an analysis and wait for its end; the runner says when."""
    import threading

    ended = threading.Event()
    opened = surveys_of(app).open()
    opened.listeners.append(
        lambda p: ended.set() if p.state in ("done", "failed", "cancelled") else None
    )
    job = client.post(f"{API}/{survey}/{what}", json=body)
    assert job.status_code == 202, job.json
    assert ended.wait(60)
    return job.json["id"]


def test_making_an_application_makes_no_database(tmp_path, app):
    assert not list(tmp_path.iterdir())


def test_create_upload_analyse_and_export(app, client, survey):
    for number in range(6):
        put(client, survey, f"h{number}.jpg", picture(f"happy:{number}"))
        put(client, survey, f"s{number}.jpg", picture(f"sad:{number}"), "B")
    assert put(client, survey, "x.txt", b"text").json["status"] == "refused"
    assert client.get(f"{API}/{survey}").json["ledger"]["counts"]["pending"] == 12
    job = run(app, client, survey)
    shown = client.get(f"{API}/{survey}").json
    assert shown["job"]["state"] == "done", shown["job"]
    assert shown["pictures_deleted"]
    assert shown["ledger"]["counts"]["used"] == 12
    base = f"{API}/{survey}/jobs/{job}/export"
    with client.get(f"{base}/json") as answer:
        assert answer.json["overall"]["faces"] == 12
    for form in ("html", "xlsx", "faces.csv", "pictures.csv"):
        answer = client.get(f"{base}/{form}")
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=Packages-")
        assert answer.headers["Cache-Control"] == "private, no-store"
        answer.close()
    assert client.get(f"{base}/pdf").status_code == 404
    page = client.get(f"/surveys/{survey}/report")
    assert page.status_code == 200
    assert b"12 of 13 files could be used." in page.data
    for path in ("/surveys", f"/surveys/{survey}", f"/surveys/{survey}/review"):
        assert client.get(path).status_code == 200
    assert client.get(f"{API}/{survey}/progress").json["state"] == "done"
    assert put(client, survey, "late.jpg", picture("happy:99")).status_code == 409
    assert client.delete(f"{API}/{survey}").status_code == 204
    for path in (f"{API}/{survey}", f"/surveys/{survey}", f"/surveys/{survey}/report"):
        assert client.get(path).status_code == 404


def test_check_tells_what_is_there(client, survey):
    put(client, survey, "a.jpg", picture("happy:1"))
    size = len(picture("happy:1"))
    asked = [{"path": p, "group": "A", "size": size} for p in ("a.jpg", "b.jpg")]
    answer = client.post(f"{API}/{survey}/files/check", json={"files": asked})
    assert answer.json == {"known": [True, False]}
    for bad in ({"files": "x"}, {"files": [1]}, {}):
        assert client.post(f"{API}/{survey}/files/check", json=bad).status_code == 400


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"purpose": "work"}, 403, "purpose"),
        ({"consent": "yes"}, 400, "consent"),
        ({"name": ""}, 400, "name"),
        ({"keep_until": "soon"}, 400, "keep_until"),
        ({"groups": "A"}, 400, "groups"),
        ({"video_fps": "fast"}, 400, "video_fps"),
    ],
)
def test_refusals_name_the_field(client, change, status, field):
    answer = client.post(API, json=GOOD | change)
    assert answer.status_code == status
    assert answer.json["error"]["detail"]["field"] == field


def test_pages_of_other_sites_change_nothing(client, survey):
    other = {"Origin": "https://elsewhere.example"}
    assert client.delete(f"{API}/{survey}", headers=other).status_code == 403
    assert client.get(f"{API}/{survey}", headers=other).status_code == 200
    own = {"Origin": "http://localhost"}
    assert client.delete(f"{API}/{survey}", headers=own).status_code == 204


def test_kept_pictures_examples_and_review(app, client):
    kept = client.post(API, json=GOOD | {"keep_until": "2999-01-01"})
    assert kept.status_code == 400  # more than ten years
    survey = client.post(API, json=GOOD | {"keep_until": "2033-01-01"}).json["id"]
    for number in range(8):
        put(
            client, survey, f"{number}.jpg", picture(f"{'happy' if number % 2 else 'sad'}:{number}")
        )
    job = run(app, client, survey)
    page = client.get(f"/surveys/{survey}/report").data
    assert b"Strongest examples" in page
    base = f"{API}/{survey}/jobs/{job}/review"
    faces = client.get(base).json["faces"]
    assert len(faces) == 8
    image = client.get(f"{API}/{survey}/files/{faces[0]['upload']}/picture")
    assert (image.status_code, image.mimetype) == (200, "image/jpeg")
    image.close()
    for face in faces[:7]:
        answer = client.put(f"{base}/{face['face']}", json={"label": face["emotion"]})
    # seven labels that agree are no proof
    assert answer.json["agreement"] == {"n": 7, "agreed": 7, "kappa": None, "interval": None}
    assert client.delete(f"{base}/{faces[0]['face']}").json["labelled"] == 6
    assert client.put(f"{base}/{faces[0]['face']}", json={"label": "bored"}).status_code == 400
    assert client.put(f"{base}/99999", json={"label": "sad"}).status_code == 404
    again = run(app, client, survey)
    compared = client.get(f"/surveys/{survey}/report?job={again}&against={job}")
    assert b"Difference (points)" in compared.data
    assert client.delete(f"{API}/{survey}/pictures").status_code == 204
    assert client.get(f"{API}/{survey}/files/{faces[0]['upload']}/picture").status_code == 404
    assert b"Strongest examples" not in client.get(f"/surveys/{survey}/report").data


def test_respondents_from_a_csv(client, survey):
    put(client, survey, "A/1.jpg", picture("happy:1"))
    put(client, survey, "A/2.jpg", picture("happy:2"))
    table = "file,respondent\n1.jpg,anna\nA/2.jpg,bo\nnone.jpg,cy\n"
    answer = client.put(f"{API}/{survey}/respondents", data=table.encode())
    assert answer.json == {"matched": 2, "unmatched": ["none.jpg"], "unmatched_count": 1}
    assert client.put(f"{API}/{survey}/respondents", data=b"\xff\xfe").status_code == 400


def test_a_report_of_some_people_and_in_other_groups(app, client, survey):
    for number in range(12):
        put(client, survey, f"{number}.jpg", picture(f"happy:{number}"), "AB"[number % 2])
    rows = [f"{number}.jpg,p{number},{('DE', 'US')[number // 6]}" for number in range(12)]
    table = "\n".join(["file,respondent,market", *rows])
    client.put(f"{API}/{survey}/respondents", data=table.encode())
    run(app, client, survey)
    url = f"/surveys/{survey}/report"
    assert b">market: DE</option>" in client.get(url).data
    page = client.get(url, query_string={"only": "market: US"}).get_data(as_text=True)
    assert "Only market: US." in page
    assert "<dt>Faces read</dt><dd>6</dd>" in page
    page = client.get(url, query_string={"by": "market"}).get_data(as_text=True)
    assert "DE − US" in page
    assert "A − B" not in page
    for bad in ({"only": "market: FR"}, {"by": "age"}):
        assert client.get(url, query_string=bad).status_code == 400


def test_the_report_stays_in_reach_where_a_later_analysis_was_cancelled(app, client):
    survey = client.post(API, json=GOOD | {"keep_until": "2033-01-01"}).json["id"]
    put(client, survey, "a.jpg", picture("happy:1"))
    run(app, client, survey)
    job = run(app, client, survey)
    with surveys_of(app).open().store.session() as session:
        session.get(Job, job).state = "cancelled"
        session.commit()
    page = client.get(f"/surveys/{survey}").get_data(as_text=True)
    link = page[: page.index("data-report")].rpartition("<a ")[2] + page.partition("data-report")[2]
    assert f'href="/surveys/{survey}/report"' in link
    assert not link.partition(">")[0].endswith("hidden")


def test_people_are_guessed_confirmed_and_used(app, client, survey):
    for person in range(6):
        for number in range(3):
            path = f"p{person}/{number}.jpg"
            put(client, survey, path, picture(f"happy:{person}{number}"))
    guess = client.get(f"{API}/{survey}/respondents").json["guess"]
    assert guess["words"] == "6 people, 3 pictures each"
    german = client.get(f"{API}/{survey}/respondents", headers={"Accept-Language": "de"}).json
    assert german["guess"]["words"] == "6 Personen, je 3 Bilder"
    run(app, client, survey)
    page = client.get(f"/surveys/{survey}/report").get_data(as_text=True)
    assert "Who is who was guessed from file names: 6 people, 3 pictures each." in page
    bad = client.post(f"{API}/{survey}/respondents", json={"rule": "face"})
    assert bad.json["error"]["detail"]["field"] == "rule"
    said = client.post(f"{API}/{survey}/respondents", json={"rule": guess["rule"]})
    assert said.json == {"matched": 18}
    assert client.get(f"{API}/{survey}/respondents").json == {"guess": None}


def test_tags_are_kept_and_listed(client, survey):
    url = f"{API}/{survey}/tags"
    assert client.put(url, json={"tags": [" wave 2", "wave 2", ""]}).json == {"tags": ["wave 2"]}
    assert client.get(f"{API}/{survey}").json["tags"] == ["wave 2"]
    assert b'data-tag="wave 2"' in client.get("/surveys").data
    for tags in ("x", [1], ["a,b"], ["x" * 31], [str(n) for n in range(11)]):
        assert client.put(url, json={"tags": tags}).json["error"]["detail"]["field"] == "tags"


@pytest.mark.slow
def test_the_report_is_made_again_with_labels(app, client):
    survey = client.post(API, json=GOOD | {"keep_until": "2033-01-01"}).json["id"]
    for number in range(45):
        put(client, survey, f"{number}.jpg", picture(f"happy:{number}"))
    job = run(app, client, survey)
    review = f"{API}/{survey}/jobs/{job}/review"
    for _ in range(3):
        for face in client.get(review).json["faces"]:
            label = EMOTIONS[face["face"] % 7]
            client.put(f"{review}/{face['face']}", json={"label": label})
    assert run(app, client, survey, f"jobs/{job}/report") == job
    with client.get(f"{API}/{survey}/jobs/{job}/export/json") as answer:
        report = answer.json
    assert report["method"]["confusion_source"] == "45 review labels of this survey"
    assert client.post(f"{API}/{survey}/jobs/99/report").status_code == 404


def test_an_unfinished_survey_has_no_report(client, survey):
    assert client.get(f"/surveys/{survey}/report").status_code == 404
    assert client.post(f"{API}/{survey}/jobs", json={}).status_code == 400
    assert client.get(f"{API}/{survey}/progress").json == {"state": None}


def test_the_pages_name_no_survey_of_others(client):
    assert b"There is no survey yet." in client.get("/surveys").data
    new = client.get("/surveys/new").data
    assert b"Article 5(1)(f)" in new


def test_watching_over_socket_io(app, client, survey, monkeypatch):
    from flask_socketio import SocketIOTestClient

    socket: SocketIOTestClient = app.extensions["socketio"].test_client(app, namespace="/surveys")
    ack = socket.emit("watch", {"survey": survey}, namespace="/surveys", callback=True)
    assert ack == {"state": None}
    bad = socket.emit("watch", {"survey": "none"}, namespace="/surveys", callback=True)
    assert bad["error"]["code"] == "not_found"
    with monkeypatch.context() as away:
        lost = OperationalError("SELECT", {}, Exception("no answer"))
        away.setattr(surveys_of(app).open(), "progress", Mock(side_effect=lost))
        nothing = socket.emit("watch", {"survey": survey}, namespace="/surveys", callback=True)
        assert nothing["error"]["code"] == "database_unavailable"
    put(client, survey, "a.jpg", picture("happy:1"))
    run(app, client, survey)
    told = [e["args"][0] for e in socket.get_received("/surveys") if e["name"] == "progress"]
    assert told[-1]["state"] == "done"
    assert all(one["survey"] == survey for one in told)


def test_a_body_that_is_not_json(client):
    answer = client.post(API, data=io.BytesIO(b"{"), content_type="application/json")
    assert answer.status_code == 400


def test_an_address_makes_so_many_surveys_an_hour(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings = Settings(async_mode="threading", instance_dir=str(tmp_path), surveys_per_hour=2)
    app = create_app(settings, FakeInference())
    here = app.test_client()
    assert [here.post(API, json=GOOD).status_code for _ in range(3)] == [201, 201, 429]
    elsewhere = here.post(API, json=GOOD, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 201
    assert here.get(API).status_code == 200
    surveys_of(app).close()
