"""``python -m bench.cluster --images 2000 --json -``: several nodes as processes, and what dies.

Starts a private PostgreSQL and Redis, two web nodes and one, then two Celery workers with one
inference process each, every one with folders of its own. The same survey is analysed with one
worker, with two, and once more with two while Redis is killed and started again at a quarter and a
worker is killed (-9) at a half. A page on node B watches jobs that were started on node A. At the
end a model is activated on A, and it is measured when B serves it.

All processes share this machine: with two cores the second worker can only use what the first, the
nodes and the database leave. Load average is given beside every figure.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click

from bench.support.cluster_rig import (
    Page,
    Rig,
    Worker,
    ask,
    await_true,
    ended,
    new_survey,
    progress,
    rig,
    start_job,
)
from bench.support.counted import counted
from bench.support.output import rounded, write_report
from bench.support.scenes import camera_jpegs, marked
from bench.support.server import ROOT, RunningServer
from bench.support.services import private_postgres, private_redis
from bench.survey import DIFFERENT
from webapp.card import ModelCard
from webapp.database.store import Store, database_url
from webapp.models.registry import Registry

COPY = "cluster-copy"


def say(text: str) -> None:
    """What is being measured, for whoever waits."""
    click.echo(f"{time.strftime('%H:%M:%S')} {text}", err=True)


def counted_in(database: str, job: int) -> dict[str, int]:
    """:func:`bench.support.counted.counted` in the database at an address."""
    os.environ["DATABASE_URL"] = database
    return counted(Store(database_url(Path())), job)._asdict()


class Watched:
    """One job started on ``a`` and watched by a page on ``b``."""

    def __init__(self, made: Rig, a: RunningServer, b: RunningServer, survey: str) -> None:
        self._rig, self._a, self._b, self._survey = made, a, b, survey
        self.page = Page(b.url, survey)
        self.began = time.monotonic()
        self.job = start_job(a, survey)

    def until_done(self, count: int) -> float:
        """Wait for ``count`` outcomes; seconds since the start."""
        await_true(f"{count} are done", lambda: self._done() >= count)
        return time.monotonic() - self.began

    def _done(self) -> int:
        now = progress(self._b, self._survey)
        return int(now["done"]) if now["state"] != "queued" else 0

    def finish(self, images: int) -> dict[str, Any]:
        analysed = self.until_done(images)
        await_true("the report is made", lambda: ended(self._b, self._survey))
        await_true("the page knows", lambda: self.page.told[-1]["state"] == "done", 60)
        self.page.close()
        seen = [told["done"] for told in self.page.told if told["state"] == "running"]
        exact = counted_in(self._rig.database, self.job)
        export = f"api/v1/surveys/{self._survey}/jobs/{self.job}/export/json"
        ledger = ask(self._b, "GET", export)["ledger"]
        return {
            "seconds": analysed,
            "pictures_per_s": images / analysed,
            "load_average": os.getloadavg()[0],
            **exact,
            "every_picture_once": exact["outcomes"] == exact["different_pictures"] == images,
            "ledger_adds_up": ledger["adds_up"],
            "page_on_b": {
                "events": len(self.page.told),
                "never_backwards": seen == sorted(seen),
                "saw_the_end": self.page.told[-1]["state"] == "done",
            },
        }


def faults(
    made: Rig, a: RunningServer, b: RunningServer, survey: str, workers: list[Worker], images: int
) -> dict[str, Any]:
    """The survey with two workers; Redis dies at a quarter, a worker at a half."""
    say("The survey with two workers, while Redis and one of them die")
    watched = Watched(made, a, b, survey)
    watched.until_done(images // 4)
    made.redis.kill()
    time.sleep(3)
    healthy = all(ask(node, "GET", "healthz")["ok"] for node in (a, b))
    made.redis.start()
    back = time.monotonic()
    events = len(watched.page.told)
    further = min(images, progress(b, survey)["done"] + images // 32)
    await_true("work goes on", lambda: progress(b, survey)["done"] >= further)
    resumed_s = time.monotonic() - back
    await_true("the page is told again", lambda: len(watched.page.told) > events)
    page_s = time.monotonic() - back
    say(f"Work went on {resumed_s:.1f} s after Redis was back")
    watched.until_done(images // 2)
    workers[0].kill()
    report = watched.finish(images)
    report["redis"] = {
        "away_s": 3,
        "both_nodes_answered_meanwhile": healthy,
        "work_resumed_after_s": resumed_s,
        "page_on_b_told_again_after_s": page_s,
    }
    return report


def activation(made: Rig, a: RunningServer, b: RunningServer, serving: str) -> dict[str, Any]:
    """Seconds from an activation on A until each node serves the version."""
    say("An activation")
    environment = made.environment("a")
    models = Path(environment["MIEN_MODELS_DIR"])
    shutil.copytree(models / serving, models / COPY)
    dataclasses.replace(ModelCard.load(models / COPY), version=COPY).save(models / COPY)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MIEN_")}
    command = [sys.executable, "-m", "webapp.cli", "models", "activate", COPY]
    subprocess.run(command, env=clean | environment, cwd=ROOT, check=True, capture_output=True)
    began = time.monotonic()
    took = {}
    for name, node in (("a", a), ("b", b)):
        await_true(
            f"{name} serves {COPY}",
            lambda node=node: ask(node, "GET", "readyz")["model"] == COPY,
            120,
        )
        took[f"serves_on_{name}_after_s"] = time.monotonic() - began
    state = ask(b, "GET", "readyz")["node"]["model"]
    return took | {"b_in_step": state["in_step"]}


def measure(scratch: Path, models: Path, images: int) -> dict[str, Any]:
    serving = Registry(models).active().version
    jpegs = camera_jpegs(1, min(images, DIFFERENT))
    pictures = [marked(jpegs[number % len(jpegs)], number) for number in range(images)]
    keep = (datetime.now(timezone.utc) + timedelta(days=2)).date().isoformat()
    with (
        private_redis() as redis,
        private_postgres() as postgres,
        rig(scratch, redis, postgres, models) as made,
    ):
        a, b = made.node("a"), made.node("b")
        say(f"Uploading {images} pictures")
        began = time.monotonic()
        survey = new_survey(a, pictures, keep_until=keep)
        uploaded_s = time.monotonic() - began
        warm = new_survey(a, pictures[:8])
        workers = [made.worker("worker-1")]
        start_job(a, warm)
        await_true("the first worker is warm", lambda: ended(a, warm))
        say("The survey with one worker")
        one = Watched(made, a, b, survey).finish(images)
        workers.append(made.worker("worker-2"))
        await_true("the second worker is ready", workers[1].ready)
        say("The survey with two workers")
        two = Watched(made, a, b, survey).finish(images)
        broken = faults(made, a, b, survey, workers, images)
        return {
            "images": images,
            "model": serving,
            "cores": os.cpu_count(),
            "uploads_per_s": images / uploaded_s,
            "one_worker": one,
            "two_workers": two,
            "redis_restarted_and_one_worker_killed": broken,
            "activation": activation(made, a, b, serving),
        }


@click.command(help=__doc__)
@click.option("--images", default=2000, show_default=True)
@click.option("--json", "target", default="-", help="File for the report; - is standard output.")
@click.option("--models-dir", default="models", show_default=True, type=click.Path(path_type=Path))
def main(images: int, target: str, models_dir: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(Path(scratch), models_dir.resolve(), images)
    write_report(rounded(report), target)


if __name__ == "__main__":
    main()
