"""The figures of the last minute, the status page's JSON, and /metrics."""

from __future__ import annotations

import logging

import pytest
from flask import Flask
from sqlalchemy import insert

from tests.support.admin import Browser
from tests.support.live import FakeInference, Worker
from webapp.access import tokens
from webapp.database.base import utcnow
from webapp.database.store import Store
from webapp.database.survey_tables import Job, Survey
from webapp.errors import CorruptImage
from webapp.monitoring.recent import WINDOW_S, Recent, RecentLog
from webapp.web.services import services_of


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_rates_and_percentiles_over_the_window() -> None:
    clock = Clock()
    recent = Recent(clock)
    clock.now += WINDOW_S
    for n in range(100):
        recent.answered("live", 0.010 if n < 90 else 0.100)
    recent.failed("live", "corrupt_image")
    rates = recent.rates()["live"]
    assert rates.results == 100
    assert rates.per_s == pytest.approx(100 / WINDOW_S)
    assert rates.p50_s == pytest.approx(0.010, rel=0.06)
    assert rates.p95_s == pytest.approx(0.100, rel=0.06)
    assert rates.errors == {"corrupt_image": 1}
    clock.now += WINDOW_S + 1
    later = recent.rates()["live"]
    assert (later.results, later.p50_s, later.errors) == (0, None, {})


def test_just_after_the_start_the_rate_is_over_the_time_there_was() -> None:
    clock = Clock()
    recent = Recent(clock)
    clock.now += 2
    for _ in range(10):
        recent.answered("live", 0.01)
    assert recent.rates()["live"].per_s == pytest.approx(5)


def test_memory_stays_bounded_and_extreme_times_count() -> None:
    clock = Clock()
    recent = Recent(clock)
    for seconds in (0.0, 1e-9, 1e9):
        recent.answered("api", seconds)
    for n in range(500):
        clock.now += 1
        recent.answered("api", 0.01)
        recent.failed("api", f"code{n}")
    assert recent.rates()["api"].results <= WINDOW_S + 1
    assert len(recent.errors()) == 50


def test_the_same_error_again_is_one_line() -> None:
    recent = Recent()
    for _ in range(1000):
        recent.failed("live", "frame_in_flight")
    (line,) = recent.errors()
    assert (line["source"], line["code"], line["count"]) == ("live", "frame_in_flight", 1000)


def test_the_log_is_kept_without_what_was_filled_into_it() -> None:
    handler = RecentLog()
    log = logging.Logger("test")
    log.addHandler(handler)
    log.info("not kept")
    log.warning("The file %s cannot be read.", "holiday with Anna.jpg")
    try:
        raise OSError("Anna.jpg")
    except OSError:
        log.exception("It failed.")
    text = str(handler.lines())
    assert "Anna" not in text
    newest, older = handler.lines()
    assert (newest["text"], newest["exception"]) == ("It failed.", "OSError")
    assert older["text"] == "The file %s cannot be read."


def test_the_page_and_its_json(app: Flask, store: Store, admin: Browser) -> None:
    inference = services_of(app).inference
    assert isinstance(inference, FakeInference)
    inference.workers = [Worker("ready"), Worker("backoff")]
    client = app.test_client()
    client.post("/api/v1/analyze", data=b"jpeg", content_type="image/jpeg")
    inference.error = CorruptImage("of Anna.jpg")
    client.post("/api/v1/analyze", data=b"jpeg", content_type="image/jpeg")
    with store.session() as session:
        session.add(Survey(id="s1", name="x", purpose="product", consent_at=utcnow()))
        session.flush()
        for state in ("done", "done", "running"):
            session.execute(
                insert(Job).values(
                    survey_id="s1", state=state, cancel_requested=0, model_version="m",
                    model={}, software="1", total=7, busy_s=0.0, created_at=utcnow(),
                )
            )  # fmt: skip
    page = admin.get("/admin/status")
    assert page.status_code == 200
    found = admin.get("/admin/api/status").json
    assert found is not None
    assert [worker["state"] for worker in found["workers"]] == ["ready", "backoff"]
    assert found["results"]["api"]["results"] == 1
    assert found["results"]["api"]["errors"] == {"corrupt_image": 1}
    assert found["surveys"]["states"] == {"done": 2, "running": 1}
    assert found["surveys"]["jobs"][0]["total"] == 7
    assert found["disk"]["data"]["free_bytes"] > 0
    assert found["live"]["sessions"] == 0
    assert "Anna" not in page.text + str(found)
    text = client.get("/metrics").text
    for line in (
        'mien_recent_errors{code="corrupt_image",source="api"} 1.0',
        'mien_survey_jobs{state="done"} 2.0',
        'mien_workers{state="backoff"} 1.0',
        'mien_disk_free_bytes{folder="data"}',
        'mien_recent_latency_seconds{quantile="0.95",source="api"}',
    ):
        assert line in text


def test_metrics_open_no_database(app: Flask) -> None:
    from webapp.web.open_database import database_of

    text = app.test_client().get("/metrics").text
    assert "mien_uptime_seconds" in text
    assert "mien_survey_jobs" not in text
    assert database_of(app).opened is None


def test_a_program_reads_the_figures_with_its_token(
    app: Flask, store: Store, people: dict[str, int]
) -> None:
    _, text = tokens.create(store, people["admin"], "monitor", ["status:read"], None)
    headers = {"Authorization": f"Bearer {text}"}
    assert app.test_client().get("/admin/api/status", headers=headers).status_code == 200
    assert app.test_client().get("/admin/status", headers=headers).status_code == 403
