"""``python -m bench.survey_pages --pictures 10000 --json -``: server time of every survey page.

A survey of that size is filled and reported under the active model's card, then each page and
request is made several times in the process that serves it; the median and the slowest are given,
and beside them the processor time, which other load on the machine does not change.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
import time
from typing import Any

import click
import numpy as np

from bench.support.output import write_report
from webapp.app import create_app
from webapp.database.survey_tables import Upload
from webapp.domain import EMOTIONS, Box, EmotionScores, Face
from webapp.models.registry import Registry
from webapp.settings import Settings
from webapp.survey.analysis.outcomes import Judgement, UsedFace
from webapp.survey.catalog import NewSurvey
from webapp.survey.ledger import ledger_of
from webapp.survey.report.build import build_in_process
from webapp.survey.report.facts import model_facts
from webapp.survey.service import Surveys, surveys_of

ROUNDS = 5


def fill(
    opened: Surveys, pictures: int, group_count: int, model: dict[str, Any]
) -> tuple[str, int]:
    """A finished analysis of ``pictures`` pictures of invented faces; ids of survey and job."""
    rng = np.random.default_rng(0)
    names = [f"Package {number}" for number in range(group_count)]
    survey = opened.catalog.create(NewSurvey("Large", "model", True, names))
    groups = [group.id for group in opened.catalog.groups(survey.id)]
    with opened.store.session() as session:
        for number in range(pictures):
            sha = hashlib.sha256(str(number).encode()).hexdigest()
            session.add(
                Upload(
                    survey_id=survey.id,
                    group_id=groups[number % group_count],
                    path=f"{names[number % group_count]}/{number}.jpg",
                    path_hash=sha,
                    sha256=sha,
                    content_key=f"{survey.id}:{sha}",
                    size_bytes=1,
                    kind="image",
                    respondent=f"p{number // 5}",
                )
            )
    opened.runner.stop()  # nothing is to be analysed: outcomes are invented
    job = opened.runner.jobs.start(survey.id, model)
    opened.runner.jobs.claim()
    batch = []
    for upload_id, _, _ in opened.runner.jobs.pending(job):
        values = rng.dirichlet(np.full(len(EMOTIONS), 0.4))
        scores = EmotionScores(tuple(float(v) for v in values))
        face = Face(Box(0, 0, 100, 100), 1.0, scores, scores, scores.top[0])
        batch.append((upload_id, Judgement("used", None, (UsedFace(0, face),), 1, 640, 480)))
    opened.runner.jobs.write(job.id, batch)
    opened.runner.jobs.set_state(job.id, "reporting")
    build_in_process(opened.store, opened.settings.instance_path, job, opened.settings)
    with opened.store.session() as session:
        ledger = ledger_of(session, survey.id, job.id).to_json()
    opened.runner.jobs.set_state(job.id, "done", summary={"ledger": ledger})
    return survey.id, job.id


@click.command(help=__doc__)
@click.option("--pictures", default=10_000, show_default=True)
@click.option("--groups", default=10, show_default=True)
@click.option("--json", "target", default="-", help="File for the report; - is standard output.")
def main(pictures: int, groups: int, target: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        app = create_app(Settings(async_mode="threading", instance_dir=scratch))
        opened = surveys_of(app).open()
        began = time.perf_counter()
        model = model_facts(Registry("models").active().card)
        survey, job = fill(opened, pictures, groups, model)
        filled = time.perf_counter() - began
        client = app.test_client()
        api = f"/api/v1/surveys/{survey}"
        asked = [
            {"path": f"Package 0/{n}.jpg", "group": "Package 0", "size": 1} for n in range(200)
        ]
        rows: dict[str, Any] = {}
        for name, call in {
            "list": lambda: client.get("/surveys"),
            "survey": lambda: client.get(f"/surveys/{survey}"),
            "report": lambda: client.get(f"/surveys/{survey}/report"),
            "review page": lambda: client.get(f"/surveys/{survey}/review"),
            "review faces": lambda: client.get(f"{api}/jobs/{job}/review"),
            "state": lambda: client.get(api),
            "progress": lambda: client.get(f"{api}/progress"),
            "check of 200 files": lambda: client.post(f"{api}/files/check", json={"files": asked}),
            "export html": lambda: client.get(f"{api}/jobs/{job}/export/html"),
            "export xlsx": lambda: client.get(f"{api}/jobs/{job}/export/xlsx"),
        }.items():
            spans, busy = [], []
            for _ in range(ROUNDS):
                start, cpu = time.perf_counter(), time.process_time()
                answer = call()
                spans.append(1e3 * (time.perf_counter() - start))
                busy.append(1e3 * (time.process_time() - cpu))
                if answer.status_code != 200:
                    raise click.ClickException(f"{name}: {answer.status_code}")
                answer.close()
            rows[name] = {
                "median_ms": round(statistics.median(spans), 1),
                "max_ms": round(max(spans), 1),
                "max_processor_ms": round(max(busy), 1),
            }
        began, cpu = time.perf_counter(), time.process_time()
        client.delete(api)
        report = {
            "pictures": pictures,
            "groups": groups,
            "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
            "fill_and_report_s": round(filled, 1),
            "pages": rows,
            "delete_ms": round(1e3 * (time.perf_counter() - began), 1),
            "delete_processor_ms": round(1e3 * (time.process_time() - cpu), 1),
        }
        surveys_of(app).close()
    write_report(report, target)


if __name__ == "__main__":
    main()
