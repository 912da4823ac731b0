from __future__ import annotations

import csv
import io
import json
from contextlib import nullcontext

import numpy as np
import pytest

from tests.survey.doubles import FakeInference, picture
from webapp.card import HeadSpec, ModelCard
from webapp.domain import EMOTIONS
from webapp.survey.analysis.runner import JobRunner
from webapp.survey.report.build import build, build_in_process
from webapp.survey.report.content import build_report, compare_reports, model_facts
from webapp.survey.report.exports import safe_cell
from webapp.survey.report.records import read_records
from webapp.survey.report.timeline import cluster_videos, curve


def card() -> ModelCard:
    confusion = (np.eye(7) * 80 + 3).tolist()
    return ModelCard(
        "test-1",
        "r",
        "2026-01-01",
        heads=(HeadSpec("ferplus"),),
        serving_head="ferplus",
        files={"model.tflite": "ab" * 32},
        metrics={"accuracy": 0.8, "serving": {"ferplus": {"confusion": confusion}}},
    )


@pytest.fixture
def job(send, survey, catalog, settings):
    for number in range(12):
        send(f"anna/{number}.jpg", picture(f"happy:{number}"), "A")
        send(f"bo/{number}.jpg", picture(f"sad:{number}"), "B")
    send("=cmd|x.jpg", picture("none:1"), "A")
    send("copy.jpg", picture("happy:1"), "B")
    send("</script><b>.jpg", picture("bad:1"), "B")
    runner = JobRunner(
        catalog, settings, lambda _v: nullcontext(FakeInference()), lambda _job: None
    )
    started = runner.jobs.start(survey.id, model_facts(card()))
    runner.run_one()
    return started


@pytest.fixture
def records(store, job):
    with store.session() as session:
        found = read_records(session, job.id)
        session.expunge_all()
        return found


def test_the_report_holds_what_the_survey_found(records, settings):
    report = build_report(records, settings)
    assert report["ledger"]["adds_up"]
    assert report["ledger"]["uploaded"] == 27
    assert report["overall"]["faces"] == 24
    happy = report["overall"]["emotions"][EMOTIONS.index("happy")]
    assert (happy["count"], happy["share"]) == (12, 0.5)
    assert happy["corrected"] == pytest.approx(0.42, abs=0.1)
    assert report["overall"]["emotions"][0]["corrected"] < 0.1
    assert [group["faces"] for group in report["groups"]] == [12, 12]
    rows = {row["measure"]: row for row in report["comparison"]["rows"]}
    assert rows["happy"]["difference"] == 1.0
    # twelve of twelve against none of twelve: as clear as it can be, and not certain
    assert rows["happy"]["significant"]
    assert 0.5 < rows["happy"]["interval"][0] < rows["happy"]["interval"][1] <= 1.0
    disgust = report["overall"]["emotions"][EMOTIONS.index("disgust")]
    assert disgust["share_interval"][0] == 0.0
    assert 0.05 < disgust["share_interval"][1] < 0.2  # no face of 24 shows it
    assert disgust["corrected_interval"][0] == 0.0
    assert report["model"]["files"] == {"model.tflite": "ab" * 32}
    assert len(report["examples"]["sad"]) == 6
    assert "Of 27 uploaded files, 24 could be used and 3 were left out" in report["plain"][0]
    json.dumps(report, allow_nan=False)


def test_the_same_job_gives_the_same_report(records, settings):
    assert build_report(records, settings) == build_report(records, settings)


def test_a_card_without_a_confusion_matrix_gives_plain_shares_only(records, settings):
    records.job.model = {**records.job.model, "confusion": None}
    report = build_report(records, settings)
    assert report["method"]["correction"] is None
    assert report["overall"]["emotions"][0]["corrected"] is None
    assert "correcting" not in " ".join(report["plain"])


def test_a_survey_without_a_face_says_so(send, survey, catalog, settings, store):
    send("a.jpg", picture("none:1"))
    runner = JobRunner(
        catalog, settings, lambda _v: nullcontext(FakeInference()), lambda _job: None
    )
    job = runner.jobs.start(survey.id, model_facts(card()))
    runner.run_one()
    folder = build(store, catalog.folders.root, job.id, settings)
    report = json.loads((folder / "report.json").read_text())
    assert report["plain"][0].startswith("The one uploaded file could not")
    assert "The one uploaded file could not be used" in (folder / "report.html").read_text()


def test_every_export_agrees_with_the_report(store, catalog, job, settings, survey):
    from openpyxl import load_workbook

    build_in_process(store, catalog.folders.root, job, settings)
    folder = catalog.folders.job(survey.id, job.id)
    report = json.loads((folder / "report.json").read_text())
    pictures = list(csv.DictReader(io.StringIO((folder / "pictures.csv").read_text("utf-8-sig"))))
    faces = list(csv.DictReader(io.StringIO((folder / "faces.csv").read_text("utf-8-sig"))))
    assert len(pictures) == report["ledger"]["uploaded"] == 27
    for category, count in report["ledger"]["counts"].items():
        assert sum(row["category"] == category for row in pictures) == count
    assert len(faces) == report["overall"]["faces"]
    assert sum(row["emotion"] == "happy" for row in faces) == 12
    assert any(row["file"] == "'=cmd|x.jpg" for row in pictures)
    book = load_workbook(folder / "report.xlsx")
    ledger = list(book["Ledger"].values)
    assert ledger[-1][0] == "All"
    assert ledger[-1][-1] == sum(ledger[-1][1:-1]) == 27
    assert book["Faces"].max_row == 25
    assert not [c for row in book["Pictures"].iter_rows() for c in row if c.data_type == "f"]
    html = (folder / "report.html").read_text()
    assert "<b>.jpg" not in html
    assert "src=" not in html.split("<body>")[0]
    assert "The categories add up to the 27 uploaded files." in html


def test_formulas_in_names_are_text():
    assert safe_cell("=1+1") == "'=1+1"
    assert safe_cell("a=1") == "a=1"
    assert safe_cell(-5) == -5


def test_two_reports_are_compared_by_group_and_emotion(records, settings):
    first = build_report(records, settings)
    second = json.loads(json.dumps(first))
    second["overall"]["emotions"][3]["share"] = 0.6
    rows = compare_reports(first, second)
    assert len(rows) == 21
    changed = [row for row in rows if row["difference"]]
    assert [(row["group"], row["emotion"]) for row in changed] == [("All", "happy")]
    assert changed[0]["difference"] == pytest.approx(0.1)


def test_videos_of_two_kinds_are_told_apart():
    rng = np.random.default_rng(1)
    kinds = np.repeat(np.eye(7)[[3, 4]], 6, axis=0) + rng.normal(0, 0.02, (12, 7))
    labels, silhouette = cluster_videos(kinds)
    assert len(set(labels[:6])) == len(set(labels[6:])) == 1
    assert labels[0] != labels[6]
    assert silhouette > 0.8
    assert cluster_videos(kinds[:3]) is None
    assert cluster_videos(np.ones((8, 7)) / 7) is None


def test_a_curve_leaves_seconds_without_a_face_out(records):
    from dataclasses import replace

    face = records.faces[0]
    points = curve([replace(face, t_ms=t) for t in (0, 400, 2100)])
    assert [(p["t_s"], p["faces"]) for p in points] == [(0.0, 2), (2.0, 1)]
