"""Many people take part in a study at once, through the real server and its workers.

``python -m bench.studies --participants 64 --fps 3 --seconds 40 --json -`` says how many results
each person got and how evenly, how long they waited, and that every acknowledged batch is in the
database exactly once. ``--kills 10`` ends the server with its workers by SIGKILL so many times
meanwhile. The people run on the same machine and take processor time too; it is told apart.
"""

from __future__ import annotations

import io
import json
import math
import multiprocessing
import os
import platform
import random
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import psutil
from PIL import Image
from sqlalchemy import func, select

from bench.live import Usage, percentile, processes
from bench.support.output import write_report
from bench.support.server import RunningServer, running_server
from bench.support.study_people import SHOW_MS, Diary, crowd
from bench.survey_kills import kill_all
from webapp.database.store import Store
from webapp.database.study_tables import StudyBatch, StudyParticipant

CLIENT_PROCESSES = 2
START_S = 200.0
SETTLE_S = 15.0  # people begin, connect and their processes load before anything is measured


def _call(url: str, method: str, path: str, body: Any = None, kind: str = "") -> Any:
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}api/v1/studies{path}", data, method=method)
    request.add_header("Content-Type", kind or "application/json")
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read() or b"null")


def open_study(url: str) -> str:
    """The link of an open study that shows one picture."""
    study = _call(
        url,
        "POST",
        "",
        {"name": "Load", "purpose": "research", "notice_text": "Load.", "contact": "bench"},
    )["id"]
    picture = io.BytesIO()
    Image.new("RGB", (320, 240), "grey").save(picture, "PNG")
    form = (
        b'--x\r\nContent-Disposition: form-data; name="show_ms"\r\n\r\n%d\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' % SHOW_MS
    )
    body = form + picture.getvalue() + b"\r\n--x--\r\n"
    _call(url, "POST", f"/{study}/stimuli", body, "multipart/form-data; boundary=x")
    return str(_call(url, "POST", f"/{study}/open")["link"]).removeprefix("/s/")


def stored(instance: Path, diaries: list[Diary]) -> dict[str, Any]:
    """What of the acknowledged batches is in the database, and how often."""
    store = Store(f"sqlite:///{instance / 'mien.db'}")
    lost = twice = gaps = 0
    rows: dict[str, dict[int, int]] = {}
    with store.session() as session:
        for one in session.scalars(select(StudyBatch)):
            person = rows.setdefault(one.participant_id, {})
            twice += one.seq in person
            person[one.seq] = len(one.samples)
        finished = session.scalar(select(func.count()).where(StudyParticipant.state == "finished"))
    store.close()
    for diary in diaries:
        kept = rows.get(diary.participant, {})
        lost += sum(kept.get(seq) != count for seq, count in diary.acknowledged.items())
        gaps += sorted(kept) != list(range(1, len(kept) + 1))
    return {
        "batches": sum(map(len, rows.values())),
        "acknowledged": sum(len(diary.acknowledged) for diary in diaries),
        "samples": sum(sum(kept.values()) for kept in rows.values()),
        "acknowledged_samples": sum(sum(d.acknowledged.values()) for d in diaries),
        "lost": lost,
        "twice": twice,
        "people_with_gaps": gaps,
        "finished": finished,
    }


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def run(
    participants: int,
    fps: float,
    seconds: float,
    kills: int,
    workers: int,
    seed: int,
    bad_lines: int = 0,
) -> dict[str, Any]:
    """Everything that was measured."""
    chance = random.Random(seed)
    context = multiprocessing.get_context("spawn")
    results, over = context.Queue(), context.Event()
    killed: list[int] = []
    watched_s = seconds
    used: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        instance = Path(scratch) / "instance"
        environment = {
            "MIEN_INSTANCE_DIR": str(instance),
            "MIEN_PORT": str(free_port()),
            "MIEN_WORKERS": str(workers),
            "MIEN_LOG_LEVEL": "WARNING",
            "MIEN_WORKER_START_TIMEOUT_MS": "120000",  # the people take processor time too
            "MIEN_STUDY_MAX_CONNECTIONS": str(max(64, participants)),
            "MIEN_STUDY_BEGINS_PER_HOUR": "100000",
            "MIEN_STUDY_REQUESTS_PER_MINUTE": "100000",
        }
        server = stack.enter_context(running_server(environment, START_S))
        link = open_study(server.url)
        share = math.ceil(participants / CLIENT_PROCESSES)
        people = [
            range(start, min(participants, start + share))
            for start in range(0, participants, share)
        ]
        begin_at = time.time() + SETTLE_S
        crowds = [
            context.Process(
                target=crowd,
                args=(server.url, link, some, fps, begin_at, seconds, bad_lines, over, results),
            )
            for some in people
        ]
        for one in crowds:
            one.start()
        try:
            if kills:  # people watch on until the last one
                time.sleep(max(0.0, begin_at - time.time()))
                for _ in range(kills):
                    time.sleep(chance.uniform(2, 8))
                    killed.append(kill_all(server))
                    stack.pop_all().close()  # its process is gone; ends the thread that read it
                    server = stack.enter_context(running_server(environment, START_S))
                over.set()
                watched_s = time.time() - begin_at
            else:
                over.set()
                time.sleep(max(0.0, begin_at + 2 - time.time()))
                used = _used(server, seconds - 4)
            told = [results.get(timeout=seconds + 900) for _ in crowds]
        finally:
            for one in crowds:
                one.join(10)
                if one.is_alive():
                    one.kill()
        for one in told:
            if isinstance(one, str):
                raise RuntimeError(one)
        diaries = [diary for some in told for diary in some]
        kept = stored(instance, diaries)
    seconds = max(seconds, watched_s)
    rates = sorted(diary.results / seconds for diary in diaries if not diary.bad_line)
    bad = [diary.results / seconds for diary in diaries if diary.bad_line]
    waits = [wait for diary in diaries for wait in diary.latencies_ms]
    errors: Counter[str] = sum((diary.errors for diary in diaries), Counter())
    return {
        "participants": participants,
        "fps": fps,
        "seconds": round(seconds, 1),
        "kills": len(killed),
        "workers_killed": sum(killed),
        "results_per_s": round(sum(rates) + sum(bad), 1),
        "results_per_s_each": {
            "min": round(rates[0], 2),
            "median": round(statistics.median(rates), 2),
            "max": round(rates[-1], 2),
        },
        "results_per_s_on_bad_lines": [round(rate, 2) for rate in bad],
        "fairness": round(rates[0] / statistics.median(rates), 3) if rates[0] else 0.0,
        "frame_to_result_ms": {
            name: percentile(waits, part)
            for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
        "errors": dict(errors),
        "batches_sent_again": sum(diary.resent for diary in diaries),
        "reconnections": sum(diary.reconnections for diary in diaries),
        "stored": kept,
        "every_batch_once": (
            kept["lost"] == kept["twice"] == kept["people_with_gaps"] == 0
            and kept["batches"] == kept["acknowledged"]
            and kept["finished"] == participants
        ),
        "processes": used,
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.processor() or platform.machine(),
            "load_1min": round(psutil.getloadavg()[0], 2),
        },
    }


def _used(server: RunningServer, seconds: float) -> list[dict[str, Any]]:
    """Processor time and memory of the server, its workers and the simulated people."""
    named = processes(server)
    del named["clients"]
    for number, child in enumerate(multiprocessing.active_children()):
        named[f"people {number}"] = psutil.Process(child.pid)
    usage: Callable[[], list[dict[str, Any]]] = Usage(named).report
    time.sleep(max(1.0, seconds))
    return usage()


@click.command(help=__doc__)
@click.option("--participants", default=64, show_default=True)
@click.option("--fps", default=3.0, show_default=True)
@click.option("--seconds", default=40.0, show_default=True)
@click.option("--kills", default=0, show_default=True)
@click.option("--workers", default=0, show_default=True, help="0: as the server chooses.")
@click.option("--bad-lines", default=0, show_default=True, help="People on a line of 1 s.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "target", default="-", help="File for the report; - is standard output.")
def main(
    participants: int,
    fps: float,
    seconds: float,
    kills: int,
    workers: int,
    bad_lines: int,
    seed: int,
    target: str,
) -> None:
    report = run(participants, fps, seconds, kills, workers, seed, bad_lines)
    write_report(report, target)
    sys.exit(0 if report["every_batch_once"] else 1)


if __name__ == "__main__":
    main()
