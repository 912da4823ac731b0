"""The server's figures as of now: one source for the status page, its JSON and /metrics."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any, Final

import psutil
from flask import Flask
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from webapp import __version__
from webapp.database.survey_tables import ACTIVE_JOB_STATES, Job
from webapp.files.reserve import DiskReserve
from webapp.monitoring.recent import WINDOW_S, recent_log
from webapp.survey.service import surveys_of
from webapp.web.open_database import database_of
from webapp.web.services import Services, services_of

_STARTED: Final = time.monotonic()
_WORKER_FIELDS: Final = (
    "index", "state", "pid", "version", "restarts", "replaced", "rss_mb", "busy_ms", "answered",
    "last_error",
)  # fmt: skip
SHOWN_JOBS: Final = 20


def figures(app: Flask) -> dict[str, Any]:
    """Everything that an administrator watches, ready for JSON; no personal data.

    ``surveys`` is None while the database cannot be asked.
    """
    services = services_of(app)
    recent = services.metrics.recent
    return {
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "version": __version__,
        "model": services.inference.version,
        "uptime_s": round(time.monotonic() - _STARTED),
        "window_s": WINDOW_S,
        "process": {"rss_mb": _rss_mb(), "load_1m": _load(), "cores": os.cpu_count()},
        **_workers(services),
        "live": {
            "sessions": len(app.extensions["mien.live"]),
            "limit": services.settings.live_max_sessions,
        },
        "results": {
            source: {
                "results": rates.results,
                "per_s": round(rates.per_s, 2),
                "p50_ms": _ms(rates.p50_s),
                "p95_ms": _ms(rates.p95_s),
                "p99_ms": _ms(rates.p99_s),
                "errors": rates.errors,
            }
            for source, rates in recent.rates().items()
        },
        "surveys": _surveys(app),
        "disk": {
            name: DiskReserve(folder, services.settings.disk_reserve_mb).to_json()
            for name, folder in (
                ("data", services.settings.instance_path),
                ("models", services.settings.models_path),
            )
        },
        "errors": recent.errors(),
        "log": recent_log.lines(),
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _rss_mb() -> float:
    return round(psutil.Process().memory_info().rss / 1e6, 1)


def _load() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):  # Windows has none
        return None


def _workers(services: Services) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    queue = 0
    for worker in services.inference.status():
        rows.append({name: getattr(worker, name, None) for name in _WORKER_FIELDS})
        queue = int(getattr(worker, "queue", 0))
    return {"workers": rows, "queue": queue}


def _surveys(app: Flask) -> dict[str, Any] | None:
    """Jobs by state, and those under way; None where the database is away or not opened yet."""
    store = database_of(app).opened
    if store is None:
        return None
    try:
        with store.session() as session:
            query = select(Job.state, func.count()).group_by(Job.state)
            counts = {state: count for state, count in session.execute(query)}
            under_way = list(
                session.scalars(
                    select(Job)
                    .where(Job.state.in_(ACTIVE_JOB_STATES))
                    .order_by(Job.id)
                    .limit(SHOWN_JOBS)
                )
            )
    except (SQLAlchemyError, OSError):
        return None
    opened = surveys_of(app).opened
    jobs = []
    for job in under_way:
        newest = None if opened is None else opened.latest.get(job.survey_id)
        mine = newest is not None and newest.job == job.id
        jobs.append(
            {
                "survey": job.survey_id,
                "job": job.id,
                "state": job.state,
                "done": newest.done if newest is not None and mine else None,
                "total": job.total,
                "rate": newest.to_json()["rate"] if newest is not None and mine else None,
            }
        )
    return {"jobs": jobs, "states": {state: int(count) for state, count in counts.items()}}


class FiguresCollector(Collector):
    """Gives :func:`figures` to Prometheus, taken when it asks.

    ``webapp.monitoring.metrics`` has the workers' states, memory, restarts and queue.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app

    def collect(self) -> Iterable[GaugeMetricFamily]:
        now = figures(self._app)
        yield _family(
            "mien_worker_answered",
            "Requests that a worker has answered.",
            ("worker",),
            [((str(w["index"]),), w["answered"]) for w in now["workers"] if w["answered"]],
        )
        results = now["results"].items()
        yield _family(
            "mien_recent_results_per_second",
            f"Results a second over the last {WINDOW_S} s.",
            ("source",),
            [((source,), rates["per_s"]) for source, rates in results],
        )
        yield _family(
            "mien_recent_latency_seconds",
            f"Percentiles over the last {WINDOW_S} s.",
            ("source", "quantile"),
            [
                ((source, share), rates[key] / 1000)
                for source, rates in results
                for share, key in (("0.5", "p50_ms"), ("0.95", "p95_ms"), ("0.99", "p99_ms"))
                if rates[key] is not None
            ],
        )
        yield _family(
            "mien_recent_errors",
            f"Errors over the last {WINDOW_S} s, by code.",
            ("source", "code"),
            [
                ((source, code), count)
                for source, rates in results
                for code, count in rates["errors"].items()
            ],
        )
        if now["surveys"] is not None:
            yield _family(
                "mien_survey_jobs",
                "Survey analyses by state.",
                ("state",),
                [((state,), count) for state, count in now["surveys"]["states"].items()],
            )
        yield _family(
            "mien_disk_free_bytes",
            "Free space where Mien writes.",
            ("folder",),
            [((name,), disk["free_bytes"]) for name, disk in now["disk"].items()],
        )
        yield _family("mien_uptime_seconds", "Since the start.", (), [((), now["uptime_s"])])


def _family(
    name: str, text: str, labels: tuple[str, ...], rows: Sequence[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def init_figures(app: Flask) -> None:
    services_of(app).metrics.registry.register(FiguresCollector(app))
