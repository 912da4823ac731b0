"""``python -m bench.survey_kills --images 500 --kills 10 --json -``: what does ``kill -9`` lose?

The real server with its real workers analyses a survey of 640x480 pictures with one face each. At
random moments (a random number of finished pictures and then a random part of a second, so that
writing, starting and reporting are hit too) the server **and** all its workers are killed with
SIGKILL and the server is started again on the same folder. In the end every picture must be counted
once: in the ledger, in the outcomes, in the faces and in the exported CSV.

Exits with status 1 where one is missing or counted twice.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import psutil

from bench.support.counted import counted
from bench.support.output import write_report
from bench.support.scenes import camera_jpegs, marked
from bench.support.server import RunningServer, running_server
from bench.survey import DIFFERENT
from webapp.database.store import Store

PATIENCE_S = 600.0
LONGEST_EXTRA_S = 0.8


class Client:
    """The survey interface of a server that comes and goes."""

    def __init__(self) -> None:
        self.base = ""

    def call(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        """The answer's body. Raises OSError while the server is away."""
        request = urllib.request.Request(f"{self.base}api/v1/surveys{path}", body, method=method)
        if kind:
            request.add_header("Content-Type", kind)
        with urllib.request.urlopen(request, timeout=30) as response:
            data: bytes = response.read()
        return data

    def json(self, method: str, path: str, payload: Any = None) -> Any:
        body = None if payload is None else json.dumps(payload).encode()
        return json.loads(self.call(method, path, body, "application/json"))


def kill_all(server: RunningServer) -> int:
    """SIGKILL the server and every process below it at once; how many workers that hit."""
    root = psutil.Process(server.pid)
    family = [root, *root.children(recursive=True)]
    workers = len(server.workers())
    for process in family:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    server.process.wait()
    _gone, alive = psutil.wait_procs(family, timeout=30)
    if alive:
        raise RuntimeError(f"{len(alive)} processes outlived SIGKILL.")
    return workers


def wait_for(client: Client, survey: str, until: int) -> dict[str, Any]:
    """The progress once ``until`` pictures are done or the job has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            now: dict[str, Any] = client.json("GET", f"/{survey}/progress")
        except (OSError, urllib.error.URLError):
            now = {"state": None, "done": -1}
        if now["state"] in ("done", "failed", "cancelled") or now.get("done", -1) >= until:
            return now
        time.sleep(0.02)
    raise RuntimeError(f"No {until} pictures after {PATIENCE_S:.0f} s: {now}")


def result_of(instance: Path, job: int, client: Client, survey: str) -> dict[str, Any]:
    """What the finished job counted, by every way there is of counting it."""
    outcomes, different, faces = counted(Store(f"sqlite:///{instance / 'mien.db'}"), job)
    table = client.call("GET", f"/{survey}/jobs/{job}/export/pictures.csv").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table)))
    ledger = client.json("GET", f"/{survey}")["ledger"]
    return {
        "outcomes": outcomes,
        "different_pictures_in_outcomes": different,
        "faces": faces,
        "ledger": {name: n for name, n in ledger["counts"].items() if n},
        "ledger_adds_up": ledger["adds_up"],
        "csv_rows": len(rows),
        "csv_rows_twice": sum(n - 1 for n in Counter(r["file"] for r in rows).values()),
    }


def run(images: int, kills: int, seed: int, workers: int) -> dict[str, Any]:
    """Kill ``kills`` times during one survey of ``images`` pictures; all that was counted."""
    chance = random.Random(seed)
    moments = sorted(chance.sample(range(1, images + 1), kills))
    pictures = camera_jpegs(1, min(images, DIFFERENT))
    killed: list[dict[str, Any]] = []
    client = Client()
    with tempfile.TemporaryDirectory() as scratch:
        instance = Path(scratch) / "instance"
        environment = {"MIEN_INSTANCE_DIR": str(instance), "MIEN_WORKERS": str(workers)}
        stack = ExitStack()
        with stack:
            server = stack.enter_context(running_server(environment))
            client.base = server.url
            survey = client.json(
                "POST", "", {"name": "Kills", "purpose": "model", "consent": True}
            )["id"]
            for number in range(images):
                data = marked(pictures[number % len(pictures)], number)
                client.call("PUT", f"/{survey}/files?path={number}.jpg&group=A", data)
            job = client.json("POST", f"/{survey}/jobs", {})["id"]
            began = time.monotonic()
            for moment in moments:
                now = wait_for(client, survey, moment)
                time.sleep(chance.uniform(0, LONGEST_EXTRA_S))
                hit = kill_all(server)
                killed.append({"after": now["done"], "state": now["state"], "workers": hit})
                stack.pop_all().close()  # its process is gone; ends the thread that read from it
                server = stack.enter_context(running_server(environment))
                client.base = server.url
            ended = wait_for(client, survey, images + 1)
            result = result_of(instance, job, client, survey)
    once = (
        ended["state"] == "done"
        and result["outcomes"] == result["different_pictures_in_outcomes"] == images
        and result["csv_rows"] == images
        and result["csv_rows_twice"] == 0
        and result["ledger_adds_up"]
        and result["faces"] == result["ledger"].get("used", 0)
    )
    return {
        "images": images,
        "kills": killed,
        "seed": seed,
        "state": ended["state"],
        "seconds": round(time.monotonic() - began, 1),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        **result,
        "every_picture_counted_once": once,
    }


@click.command(help=__doc__)
@click.option("--images", default=500, show_default=True)
@click.option("--kills", default=10, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--workers", default=2, show_default=True)
@click.option("--json", "target", default="-", help="File for the report; - is standard output.")
def main(images: int, kills: int, seed: int, workers: int, target: str) -> None:
    report = run(images, kills, seed, workers)
    write_report(report, target)
    sys.exit(0 if report["every_picture_counted_once"] else 1)


if __name__ == "__main__":
    main()
