"""``python -m bench.soak --minutes 60 --clients 64 --json -``: does memory stay where it is?

Cameras, single pictures and surveys at one time against the real server. Memory of the web process
and of all workers is read again and again; after the first sixth, when everything has been used
once, it must not grow by more than 5 %. Status 1 where it does, or where an answer was an error
that a full machine does not explain.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from typing import Any

import click
import psutil
import requests

from bench.live import Tally, Window, camera
from bench.support.fault_world import (
    ENDED,
    TIMEOUT_S,
    analyse,
    code_of,
    pictures,
    state_of,
    survey,
)
from bench.support.output import write_report
from bench.support.scenes import frames_of_a_face
from bench.support.server import RunningServer, running_server

ALLOWED = 1.05
# a machine that is too slow for the load says so; that is no leak and no mistake
BUSY = {"inference_timeout", "inference_unavailable", "rate_limited"}


def megabytes(server: RunningServer) -> dict[str, float]:
    """Resident memory now."""
    web = psutil.Process(server.pid).memory_info().rss
    workers = sum(worker.memory_info().rss for worker in server.workers())
    return {"web": round(web / 2**20, 1), "workers": round(workers / 2**20, 1)}


class Visitors:
    """Threads that use what is not live, until they are told to stop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self.answers: Counter[str] = Counter()
        self._threads = [threading.Thread(target=t) for t in (self._single, self._surveys)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _single(self) -> None:
        number, frames = 0, frames_of_a_face()
        with requests.Session() as session:
            while not self._stop.wait(0.5):
                picture = frames[number % len(frames)] if number % 5 else b"no picture"
                answer = session.post(f"{self._url}api/v1/analyze", data=picture, timeout=TIMEOUT_S)
                self.answers[f"analyze {code_of(answer)}"] += 1
                session.get(self._url, timeout=TIMEOUT_S)
                number += 1

    def _surveys(self) -> None:
        while not self._stop.is_set():
            made = survey(self._url, pictures(12), "Soak")
            analyse(self._url, made)
            while (state := state_of(self._url, made)["state"]) not in ENDED:
                if self._stop.wait(0.5):
                    return
            self.answers[f"survey {state}"] += 1
            requests.get(f"{self._url}surveys/{made}/report", timeout=TIMEOUT_S)
            requests.delete(f"{self._url}api/v1/surveys/{made}", timeout=TIMEOUT_S)


async def _soak(
    server: RunningServer, clients: int, fps: float, seconds: float
) -> tuple[Tally, list[dict[str, float]]]:
    began = time.monotonic()
    window, tally, samples = Window(began, began + seconds), Tally(), []
    frames = frames_of_a_face()
    cameras = [
        asyncio.create_task(camera(server.url, frames, fps, i / clients / fps, window, tally))
        for i in range(clients)
    ]
    step = max(1.0, seconds / 120)
    while time.monotonic() < window.end:
        await asyncio.sleep(step)
        samples.append({"s": round(time.monotonic() - began, 1), **megabytes(server)})
    await asyncio.gather(*cameras)
    return tally, samples


def growth(samples: list[dict[str, float]], name: str) -> float:
    """The median of the last sixth of the samples over that of the second sixth."""
    sixth = max(1, len(samples) // 6)
    early = statistics.median(sample[name] for sample in samples[sixth : 2 * sixth] or samples)
    return round(statistics.median(sample[name] for sample in samples[-sixth:]) / early, 3)


def run(minutes: float, clients: int, fps: float) -> dict[str, Any]:
    """Use a server for that long; the report."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "MIEN_INSTANCE_DIR": folder,
            "MIEN_LIVE_MAX_SESSIONS": str(max(64, clients)),
            "MIEN_LIVE_MAX_SESSIONS_PER_ADDRESS": str(max(16, clients)),
            "MIEN_API_RATE_PER_MINUTE": "1000000",
            "MIEN_LOG_LEVEL": "WARNING",
        }
        with running_server(environment) as server:
            visitors = Visitors(server.url)
            visitors.start()
            try:
                tally, samples = asyncio.run(_soak(server, clients, fps, minutes * 60))
            finally:
                visitors.stop()
            traces = sum("Traceback" in line for line in server.output)
    grown = {name: growth(samples, name) for name in ("web", "workers")}
    unexplained = set(tally.errors) - BUSY
    return {
        "minutes": minutes,
        "clients": clients,
        "fps": fps,
        "results": len(tally.latencies_ms),
        "errors": dict(tally.errors),
        "others": dict(visitors.answers),
        "growth": grown,
        "memory_mb": samples,
        "tracebacks": traces,
        "cores": os.cpu_count(),
        "load_1min": round(psutil.getloadavg()[0], 1),
        "ok": not unexplained and not traces and all(g <= ALLOWED for g in grown.values()),
    }


@click.command(help=__doc__)
@click.option("--minutes", default=60.0)
@click.option("--clients", default=64)
@click.option("--fps", default=2.0, help="Frames a second of each camera.")
@click.option("--json", "target", required=True, help="File for the report; - is standard output.")
def main(minutes: float, clients: int, fps: float, target: str) -> None:
    report = run(minutes, clients, fps)
    write_report(report, target)
    sys.exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main()
