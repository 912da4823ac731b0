from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from contextlib import nullcontext

import numpy as np
import pytest
from markupsafe import escape

from tests.survey.doubles import FakeInference, picture
from webapp import ROOT
from webapp.card import HeadSpec, Mixture, ModelCard
from webapp.domain import EMOTIONS
from webapp.errors import InvalidRequest
from webapp.languages import speaking
from webapp.survey.analysis.runner import JobRunner
from webapp.survey.report.build import build, build_in_process
from webapp.survey.report.content import build_report
from webapp.survey.report.exports import safe_cell
from webapp.survey.report.facts import compare_reports, model_facts
from webapp.survey.report.formats import likelihood
from webapp.survey.report.part import choices, chosen, part_report
from webapp.survey.report.records import read_records
from webapp.survey.report.sheets import COLOURS
from webapp.survey.report.timeline import _curve_of_group, cluster_videos, curve


def card() -> ModelCard:
    confusion = (np.eye(7) * 80 + 3).tolist()
    return ModelCard(
        "test-1",
        "r",
        "2026-01-01",
        heads=(HeadSpec("ferplus"), HeadSpec("fer2013", 1)),
        serving_head="ferplus",
        mixture=Mixture({"fer2013": 0.1, "ferplus": 0.9}, adjustment=(0.5, *[0.0] * 6)),
        files={"model.tflite": "ab" * 32},
        metrics={"accuracy": 0.8, "serving": {"ferplus": {"confusion": confusion}}},
    )


@pytest.fixture
def job(send, survey, catalog, settings):
    for number in range(12):
        send(f"p{number}.jpg", picture(f"happy:{number}"), "A")
        send(f"q{number}.jpg", picture(f"sad:{number}"), "B")
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
    assert happy["corrected"] is None  # 24 faces do not bear a correction
    assert "less certain" in report["method"]["correction"]["reason"]
    assert [group["faces"] for group in report["groups"]] == [12, 12]
    rows = {row["measure"]: row for row in report["comparison"]["rows"]}
    assert rows["happy"]["difference"] == 1.0
    # twelve of twelve against none of twelve: as clear as it can be, and not certain
    assert rows["happy"]["significant"]
    assert 0.5 < rows["happy"]["interval"][0] < rows["happy"]["interval"][1] <= 1.0
    disgust = report["overall"]["emotions"][EMOTIONS.index("disgust")]
    assert disgust["share_interval"][0] == 0.0
    assert 0.05 < disgust["share_interval"][1] < 0.2  # no face of 24 shows it
    assert report["model"]["files"] == {"model.tflite": "ab" * 32}
    assert len(report["examples"]["sad"]) == 6
    assert report["story"]["headline"].startswith("“B” drew more sad faces") or report["story"][
        "headline"
    ].startswith("“A” drew more happy faces than “B”: 100\u00a0% against 0\u00a0%")
    assert "24 of 27 files could be used." in report["story"]["note"]
    assert report["exclusion"]["tests"] == 1
    assert not report["exclusion"]["uneven"]
    json.dumps(report, allow_nan=False)


def test_the_same_job_gives_the_same_report(records, settings):
    assert build_report(records, settings) == build_report(records, settings)


def test_a_card_without_a_confusion_matrix_gives_plain_shares_only(records, settings):
    records.job.model = {**records.job.model, "confusion": None}
    report = build_report(records, settings)
    assert report["method"]["correction"] == {
        "shown": False,
        "reason": "the model's card holds no usable confusion matrix",
        "available": False,
    }
    assert report["overall"]["emotions"][0]["corrected"] is None


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
    summary = book["Summary"]
    assert summary["A2"].value == report["story"]["headline"]
    assert len(summary._charts) == 2  # shares and differences, as Excel draws them
    assert summary.freeze_panes and book["Groups"].freeze_panes == "A2"
    german = load_workbook(folder / "report.de.xlsx")
    assert {
        row[0] for row in german["Gruppen"].iter_rows(min_row=2, max_row=8, values_only=True)
    } == {"Alle"}
    untested = next(german["Vergleich"].iter_rows(max_row=1, values_only=True)).index(
        "nicht geprüft, weil"
    )
    reasons = {row[untested] for row in german["Vergleich"].iter_rows(min_row=2, values_only=True)}
    assert not any("Project-Id-Version" in (reason or "") for reason in reasons)
    assert len(reasons) > 1, "tested and untested"
    method = dict(german["Verfahren"].iter_rows(min_row=2, max_col=2, values_only=True))
    assert method["Modell"] == (
        "test-1: 90 % ferplus und 10 % fer2013, für seltene Ausdrücke angepasst"
    )
    assert report["method"]["confusion_source"] == "test pictures, ferplus labels"
    assert "Holm" in method["Tests"] and "Korn" in method["Intervalle"]
    for name, digest in report["model"]["files"].items():
        assert any(f"{name} {digest}" in row for row in german["Verfahren"].values)
    html = (folder / "report.html").read_text()
    assert "<b>.jpg" not in html
    assert "src=" not in html.split("<body>")[0]
    assert "The categories add up to the 27 uploaded files." in html
    english = dict(book["Method"].iter_rows(min_row=2, max_col=2, values_only=True))
    for term in ("Thresholds", "People", "Intervals", "Tests", "Correction"):
        assert f"<dt>{term}</dt><dd>{escape(english[term])}</dd>" in html


def test_no_face_is_shown_as_read_beyond_doubt():
    with speaking("en"):
        assert [likelihood(value) for value in (0.4, 0.99, 0.9996)] == ["40 %", "99 %", "over 99 %"]


def test_the_workbook_has_the_colours_of_the_page():
    tokens = (ROOT / "static/css/tokens.css").read_text(encoding="utf-8")
    for emotion, colour in COLOURS.items():
        assert f"--emotion-{emotion}: {colour};" in tokens


def test_formulas_in_names_are_text():
    assert safe_cell("=1+1") == "'=1+1"
    assert safe_cell("a=1") == "a=1"
    assert safe_cell("x;=1+1|'.png") == "x;'=1+1|'.png"
    assert safe_cell("\n=1+1").startswith("'")
    assert safe_cell("\uff1d1+1") == "'\uff1d1+1"
    for start in ("=1", "+1", "-1", "@a", " =1", '"=1"', "\t=1", "\uff0b1", "\uff20a"):
        for before in ("", ";", "a;", "a\t", "a,", "a|", "a\n", "a;b; "):
            cell = safe_cell(before + start)
            for piece in re.split(r"[;,\t|\n\r]", cell):
                opened = unicodedata.normalize("NFKC", piece).strip().strip('"')
                assert not opened.startswith(("=", "+", "-", "@")), (before + start, cell)
    for unseen in ("\ufeff", "\u200b", "\u2060", "\xad"):
        assert safe_cell(f"a;{unseen}=1") == f"a;'{unseen}=1"
        assert safe_cell(f"{unseen}=1").startswith("'")
    assert safe_cell("\ufe661") == "'\ufe661"  # a small equals sign
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


@pytest.mark.slow
def test_videos_of_two_kinds_are_told_apart_and_one_kind_is_not_split():
    rng = np.random.default_rng(1)
    kinds = np.repeat(np.eye(7)[[3, 4]], 6, axis=0) * 0.8 + rng.dirichlet(np.full(7, 20), 12) * 0.2
    labels, silhouette = cluster_videos(kinds)
    assert len(set(labels[:6])) == len(set(labels[6:])) == 1
    assert labels[0] != labels[6]
    assert silhouette > 0.5
    assert cluster_videos(kinds[:5]) is None
    assert cluster_videos(np.ones((8, 7)) / 7) is None
    found = 0
    for seed in range(6):
        logits = np.random.default_rng(seed).normal([0, -1, -1, 1.5, 0, 0, 2], 0.8, (12, 7))
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        found += cluster_videos(shares, seed) is not None
    assert found <= 1


def test_a_group_curve_has_a_band_from_five_videos_on(records):
    from dataclasses import replace

    faces = records.faces
    few = _curve_of_group({n: [replace(faces[n], t_ms=0)] for n in range(4)})
    assert "low" not in few[0]
    many = _curve_of_group({n: [replace(faces[n], t_ms=0)] for n in range(9)})
    means = np.mean([face.probabilities for face in faces[:9]], axis=0)
    np.testing.assert_allclose(many[0]["means"], means, atol=1e-4)
    assert (np.array(many[0]["low"]) <= many[0]["means"]).all()
    assert max(many[0]["high"]) > max(many[0]["means"])


def test_review_labels_replace_the_cards_matrix(records, settings):
    labels = np.eye(7) * 10
    labels[4, 3] = 15
    report = build_report(replace_labels(records, labels), settings)
    assert report["method"]["confusion_source"] == "85 review labels of this survey"
    assert report["method"]["confusion"][4][3] > 14


def replace_labels(records, labels):
    from dataclasses import replace

    return replace(records, labels=labels)


def test_pictures_unlike_the_test_set_have_no_corrected_share(records, settings):
    from dataclasses import replace

    small = tuple(replace(face, box=(0.0, 0.0, 30.0, 30.0)) for face in records.faces)
    report = build_report(replace(records, faces=small), settings)
    assert report["method"]["unlike_test_set"] == ["many faces are small"]
    assert "differ from the model's test set" in report["method"]["correction"]["reason"]
    assert any("many faces are small" in one["text"] for one in report["story"]["takeaways"])


def test_uneven_exclusion_is_told(records, settings):
    from dataclasses import replace

    lost = [
        replace(f, upload=1000 + i, path=f"x{i}", category="no_face", group="B")
        for i, f in enumerate(records.files[:20])
    ]
    report = build_report(replace(records, files=records.files + tuple(lost)), settings)
    assert report["exclusion"]["uneven"][0]["groups"] == ["A", "B"]
    said = [one["text"] for one in report["story"]["takeaways"]]
    assert any("of the files of “B” were left out" in text for text in said)


def test_people_segments_and_norms(records, settings):
    from dataclasses import replace

    faces = tuple(replace(f, respondent=f"p{n // 2}") for n, f in enumerate(records.faces))
    files = tuple(
        replace(f, attributes={"age": "young" if f.upload // 2 % 2 else "old", "id": str(f.upload)})
        for f in records.files
    )
    earlier = [{"happy": n / 10, "valence": 0.0} for n in range(5)]
    report = build_report(replace(records, faces=faces, files=files), settings, earlier)
    assert report["method"]["people"] == "named"
    assert len(report["people"]) == 24  # twelve people in each of two groups
    assert [segment["column"] for segment in report["segments"]] == ["age"]
    rows = report["segments"][0]["rows"]
    assert [(row["value"], row["group"]) for row in rows[:3]] == [
        ("old", None),
        ("old", "A"),
        ("old", "B"),
    ]
    assert sum(row["faces"] for row in rows if row["group"] is None) == 24
    assert report["norms"]["percentiles"]["happy"] == 100
    assert build_report(records, settings, earlier[:4])["norms"] is None


def test_a_curve_leaves_seconds_without_a_face_out(records):
    from dataclasses import replace

    face = records.faces[0]
    points = curve([replace(face, t_ms=t) for t in (0, 400, 2100)])
    assert [(p["t_s"], p["faces"]) for p in points] == [(0.0, 2), (2.0, 1)]


def test_a_part_of_the_people_and_other_groups_recompute_every_figure(records, settings):
    from dataclasses import replace

    files = tuple(
        replace(f, attributes={"age": "young" if f.upload // 2 % 2 else "old"} if n < 20 else None)
        for n, f in enumerate(records.files)
    )
    told = replace(records, files=files)
    whole = build_report(told, settings)
    only, by = choices(whole)
    assert (list(only), by) == (["age: old", "age: young"], ["age"])
    part = part_report(told, settings, only["age: young"], "")
    assert part["overall"]["faces"] == sum(
        row["faces"]
        for row in whole["segments"][0]["rows"]
        if (row["value"], row["group"]) == ("young", None)
    )
    assert part["ledger"]["uploaded"] == 10
    assert part["ledger"]["adds_up"]
    assert {one["certainty"] for one in (part["story"], *part["story"]["takeaways"])}.isdisjoint(
        {"clear"}
    )
    other = part_report(told, settings, None, "age")
    assert other["survey"]["groups"] == ["old", "young"]
    assert sum(group["faces"] for group in other["groups"]) == 20  # of the others nothing is told
    with pytest.raises(InvalidRequest, match="no part called"):
        chosen(whole, "age: 7", "")
    with pytest.raises(InvalidRequest, match="no column called"):
        chosen(whole, "", "market")
