"""What pages take from finished reports: not all of them, and not read twice."""

from __future__ import annotations

import json
import os

from webapp.survey.ledger import LABELS, current_ledger, ledger_of, settled_ledger
from webapp.survey.report.page_cache import MAX_COMPARISON_ROWS, chart_data, read_report, shown_rows


def row(number: int, *, significant: bool = False) -> dict:
    return {
        "groups": ["A", "B"],
        "measure": "happy",
        "difference": number / 1000,
        "interval": [0.0, 0.1],
        "effect": number / 1000,
        "significant": significant,
        "untested": None,
    }


def report(rows: list[dict]) -> dict:
    return {
        "emotions": ["happy"],
        "overall": {"emotions": [], "faces": 1},
        "groups": [{"name": "A", "faces": 1, "emotions": [], "valence": {}}],
        "comparison": {"rows": rows},
        "method": {"correction": {"shown": False}, "confusion": [[1]]},
        "video": None,
        "examples": {"happy": ["long"]},
    }


def test_a_long_comparison_keeps_the_clear_and_large_differences_in_order():
    rows = [row(n, significant=n < 3) for n in range(MAX_COMPARISON_ROWS * 2)]
    shown = shown_rows(report(rows))
    assert len(shown) == MAX_COMPARISON_ROWS
    assert shown[:3] == rows[:3]  # significant, though small
    assert shown[-1] == rows[-1]
    assert [r["difference"] for r in shown] == sorted(r["difference"] for r in shown)
    assert shown_rows(report(rows[:5])) == rows[:5]


def test_charts_get_only_what_they_draw():
    pairs = [[row(n) | {"groups": ["A", str(n)]} for _ in range(7)] for n in range(5)]
    pairs[1][3]["significant"], pairs[2][0]["interval"] = True, None
    rows = [one for pair in pairs for one in pair] + [row(0) | {"measure": "valence"}]
    drawn = chart_data(report(rows))["comparison"]["rows"]
    # whole pairs, tested or not: first the one with a clear difference, then the largest
    assert [r["groups"][1] for r in drawn] == ["1"] * 7 + ["4"] * 7
    assert "effect" not in drawn[0]
    charts = chart_data(report(rows))
    assert "examples" not in charts
    assert charts["groups"] == [{"name": "A", "faces": 1, "emotions": []}]


def test_a_report_made_again_is_read_again(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"a": 1}))
    assert read_report(path) is read_report(path)
    path.write_text(json.dumps({"a": 2}))
    os.utime(path, ns=(1, 1))
    assert read_report(path) == {"a": 2}


def test_the_kept_ledger_holds_until_a_file_comes(store, survey, send):
    from tests.survey.doubles import picture
    from webapp.survey.analysis.job_table import JobQueue

    send("a.jpg", picture("happy:1"))
    jobs = JobQueue(store)
    job = jobs.start(survey.id, {"version": "test-1"})
    assert settled_ledger(job) is None
    jobs.claim()
    marked = dict.fromkeys(LABELS, 0) | {"used": 1}
    jobs.set_state(
        job.id, "done", summary={"ledger": {"uploaded": 1, "counts": marked, "by_group": {}}}
    )
    with store.session() as session:
        job = session.get_one(type(job), job.id)
        assert current_ledger(session, survey.id, job).counts == marked
    send("b.jpg", picture("happy:2"))
    with store.session() as session:
        assert current_ledger(session, survey.id, job) == ledger_of(session, survey.id, job.id)
