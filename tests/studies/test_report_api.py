"""The report and the exports of a study over HTTP, made by the real process."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.studies.people import API, Person, Researcher, sample
from webapp.database.base import utcnow
from webapp.database.study_tables import StudyParticipant
from webapp.domain import EMOTIONS
from webapp.studies.service import studies_of


def reaction(at_ms: int, emotion: str, shown_ms: int = 5000) -> list[dict[str, Any]]:
    """Neutral, and one second of an expression around a time."""
    return [
        sample(t, emotion if abs(t - at_ms) <= 500 else "neutral", 0.8)
        for t in range(0, shown_ms, 300)
    ]


@pytest.fixture
def watched(researcher: Researcher, client: FlaskClient) -> tuple[dict[str, Any], list[Person]]:
    """A study in which eight people smile at the first picture, and one has no face."""
    study = researcher.open(2)
    people = []
    for number in range(9):
        market = "=HYPERLINK(1)" if number == 0 else ("DE", "FR")[number % 2]
        person = Person(client, study, pid=f"P-{number}", columns={"market": market})
        assert person.ask("PUT", "/check", json={"passed": True, "size": 180}).status_code == 204
        unseen = [sample(t, face="none", scores=None) for t in range(0, 5000, 300)]
        first = reaction(2000, "happy") if number < 8 else unseen
        person.watch(person.order[0], first)
        person.watch(person.order[1], reaction(9000, "sad") if number < 8 else unseen)
        answers = {
            "age": ("young", "old")[number % 2],
            "liking": 1 + number % 5,
            "why": f"word-{number}",
        }
        assert person.finish(**answers).status_code == 200
        people.append(person)
    return study, people


def test_the_report_adds_up_and_finds_the_reaction(
    client: FlaskClient, watched: tuple[dict[str, Any], list[Person]]
) -> None:
    study, _ = watched
    base = f"{API}/{study['id']}"
    answer = client.get(f"{base}/report")
    assert answer.status_code == 200, answer.json
    report = answer.json
    assert report["people"]["finished"] == 9
    assert report["people"]["used"] == 8
    assert [(one["reason"], one["people"]) for one in report["left_out"]] == [("face_not_seen", 1)]
    first, second = report["stimuli"]
    assert (first["people"], second["people"]) == (8, 8)
    assert report["people"]["used"] + sum(one["people"] for one in report["left_out"]) == 9
    peaks = [one for one in first["moments"] if one["emotion"] == "happy"]
    assert [one["kind"] for one in peaks] == ["peak"]
    assert abs(peaks[0]["t_ms"] - 2000) <= 500
    assert peaks[0]["t_low_ms"] <= peaks[0]["t_ms"] <= peaks[0]["t_high_ms"]
    assert second["moments"] == []
    curve = first["curve"]
    for place in range(len(curve["t_ms"])):
        means = [curve["emotions"][emotion]["mean"][place] for emotion in EMOTIONS]
        assert sum(means) == pytest.approx(1, abs=1e-3)
    assert first["retention"]["share"] == [1.0] * len(first["retention"]["share"])
    assert first["attention"]["present"][3] == pytest.approx(8 / 9, abs=1e-3)
    (age, liking, why) = report["answers"]
    assert [(one["value"], one["people"]) for one in age["values"]] == [("young", 5), ("old", 4)]
    assert liking["mean"] == pytest.approx(25 / 9, abs=1e-3)
    assert len(why["texts"]) == 9
    assert {row["measure"] for row in report["comparison"]["rows"]} == {*EMOTIONS, "valence"}
    keys = {part["key"] for part in report["parts"]}
    assert keys == {"age", "liking", "column:market", "column:device"}


def test_parts_of_the_report(
    client: FlaskClient, watched: tuple[dict[str, Any], list[Person]]
) -> None:
    base = f"{API}/{watched[0]['id']}/report"
    young = client.get(base, query_string={"only": "age=young", "by": "column:market"}).json
    assert young["only"] == {"key": "age", "value": "young"}
    assert young["people"]["used"] == 4
    (first, _) = young["stimuli"]
    assert first["moments"] == []  # four people are too few
    assert first["curve"]["emotions"]["happy"]["low"][0] is None
    assert sum(one["people"] for one in first["segments"]) == first["people"] == 4
    options = ({"by": "--help"}, {"by": "-x"}, {"only": "--min-cell=1"})  # words, and no more
    for wrong in ({"by": "other"}, {"only": "other=x"}, {"by": "x\x00"}, *options):
        assert client.get(base, query_string=wrong).status_code == 400
    assert client.get(base, query_string={"only": "age=ancient"}).status_code == 409


def test_exports_hold_what_was_sent(
    client: FlaskClient, watched: tuple[dict[str, Any], list[Person]]
) -> None:
    base = f"{API}/{watched[0]['id']}/exports"
    scores = list(
        csv.DictReader(io.StringIO(client.get(f"{base}/scores.csv").text.lstrip("\ufeff")))
    )
    assert len(scores) == 9 * 2 * 17
    assert len({(row["person"], row["stimulus_id"], row["t_ms"]) for row in scores}) == len(scores)
    assert scores[0]["neutral"] == "0.8"
    people = list(
        csv.DictReader(io.StringIO(client.get(f"{base}/people.csv").text.lstrip("\ufeff")))
    )
    assert [row["pid"] for row in people] == [f"P-{number}" for number in range(9)]
    assert people[0]["market"] == "'=HYPERLINK(1)"  # no formula for whoever opens it
    assert people[1]["age"] == "old"
    assert people[0]["check_passed"] == "True"
    book = client.get(f"{base}/report.xlsx")
    assert book.status_code == 200
    with zipfile.ZipFile(io.BytesIO(book.data)) as archive:
        names = archive.read("xl/workbook.xml").decode()
    for sheet in ("Means", "Curves", "Moments", "Comparison", "People", "Who is counted"):
        assert f'name="{sheet}"' in names
    german = client.get(f"{base}/report.xlsx", headers={"Accept-Language": "de"})
    with zipfile.ZipFile(io.BytesIO(german.data)) as archive:
        names, texts, chart = (
            archive.read(f"xl/{part}.xml").decode()
            for part in ("workbook", "sharedStrings", "charts/chart1")
        )
        assert "xl/charts/chart2.xml" in archive.namelist()
    assert "Kurven!$D$2:$D$22" in chart
    assert "Liked it?" in texts
    for sheet in ("Diagramme", "Mittelwerte", "Wer gezählt wird", "Verfahren"):
        assert f'name="{sheet}"' in names
    assert "Ausgelassen: in mehr als der Hälfte der Messwerte" in texts
    assert client.get(f"{base}/report.json").json["people"]["used"] == 8
    assert client.get(f"{base}/other.csv").status_code == 404


def test_who_withdraws_is_in_no_report_and_export(
    app: Flask, client: FlaskClient, watched: tuple[dict[str, Any], list[Person]]
) -> None:
    study, people = watched
    base = f"{API}/{study['id']}"
    assert "word-3" in str(client.get(f"{base}/report").json)
    assert people[3].withdraw().status_code == 200
    report = client.get(f"{base}/report").json
    assert (report["people"]["used"], report["people"]["withdrawn"]) == (7, 1)
    assert "word-3" not in str(report)
    for form in ("scores.csv", "people.csv", "report.json", "report.xlsx"):
        answer = client.get(f"{base}/exports/{form}")
        assert answer.status_code == 200
        if form.endswith(".csv"):
            rows = list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))
            assert {row["person"] for row in rows} == {str(n) for n in range(1, 10)} - {"4"}
        if form == "report.xlsx":
            with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
                text = b"".join(archive.read(name) for name in archive.namelist())
            assert b"word-2" in text
            assert b"word-3" not in text


def test_a_report_is_new_whatever_the_clock_of_a_node_says(
    app: Flask, client: FlaskClient, watched: tuple[dict[str, Any], list[Person]]
) -> None:
    study, people = watched
    with studies_of(app).open().store.session() as session:
        row = session.get_one(StudyParticipant, people[0].begun["participant"])
        row.seen_at = utcnow() + timedelta(hours=1)
        row = session.get_one(StudyParticipant, people[1].begun["participant"])
        row.state = "started"
    path = f"{API}/{study['id']}/report"
    first = client.get(path).json
    assert client.get(path).json["made_at"] == first["made_at"]
    assert people[1].ask("PUT", "/answers", json={"why": "later"}).status_code == 204
    assert "later" in str(client.get(path).json)


def test_a_study_that_nobody_took_has_no_report_yet(
    researcher: Researcher, client: FlaskClient
) -> None:
    study = researcher.open(1)
    base = f"{API}/{study['id']}"
    assert client.get(f"{base}/report").status_code == 409
    assert client.get(f"{base}/exports/report.xlsx").status_code == 409
    assert client.get(f"{base}/exports/scores.csv").text.count("\n") == 1
    Person(client, study)
    answer = client.get(f"{base}/report")
    assert answer.json["error"]["detail"]["left_out"][0]["reason"] == "nothing_read"
