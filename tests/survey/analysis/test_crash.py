"""A job survives ``kill -9`` of its server and of its workers, with every picture counted once."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from tests.survey.doubles import picture
from webapp.database.store import Store
from webapp.database.survey_tables import FaceRow, Job, Outcome
from webapp.survey.analysis.job_table import JobQueue
from webapp.survey.ledger import ledger_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
PICTURES, KILLS = 500, 10
PATIENCE_S = 240


def spawn(instance: Path, model: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.support.survey_runner", str(instance), str(model)]
    environ = {name: v for name, v in os.environ.items() if not name.startswith("MIEN_")}
    with log.open("ab") as stream:
        return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=stream, stderr=stream)


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def test_kill_nine_at_random_moments_loses_and_doubles_nothing(
    tmp_path: Path, store: Store, uploads, survey
) -> None:
    for number in range(PICTURES):
        data = io.BytesIO(picture(f"happy:{number}"))
        uploads.receive(survey.id, "AB"[number % 2], f"{number}.jpg", data)
    model, log = tmp_path / "model-1", tmp_path / "runner.log"
    model.mkdir()
    jobs = JobQueue(store)
    job = jobs.start(survey.id, {"version": "model-1"})
    chance = random.Random(7)
    moments = sorted(chance.sample(range(5, PICTURES - 60), KILLS))
    running = spawn(tmp_path, model, log)
    began = time.monotonic()
    kills = {"server": 0, "worker": 0}
    try:
        for number, moment in enumerate(moments):
            while jobs.done_count(job.id) < moment or not workers_of(running):
                assert time.monotonic() - began < PATIENCE_S, log.read_text()[-3000:]
                assert running.poll() is None, log.read_text()[-3000:]
                running_wait(running)
            if number % 2:
                victim = chance.choice(workers_of(running))
                victim.send_signal(signal.SIGKILL)
                kills["worker"] += 1
            else:
                workers = workers_of(running)
                running.kill()
                running.wait()
                # workers end by themselves when their server is gone
                assert not psutil.wait_procs(workers, timeout=60)[1]
                kills["server"] += 1
                running = spawn(tmp_path, model, log)
        assert running.wait(PATIENCE_S) == 0, log.read_text()[-3000:]
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
    assert kills == {"server": 5, "worker": 5}
    with store.session() as session:
        outcomes = session.execute(
            select(func.count(), func.count(Outcome.upload_id.distinct())).where(
                Outcome.job_id == job.id
            )
        ).one()
        faces = session.scalar(select(func.count()).where(FaceRow.job_id == job.id))
        ledger = ledger_of(session, survey.id, job.id)
        state = session.get_one(Job, job.id).state
    assert (state, tuple(outcomes), faces) == ("done", (PICTURES, PICTURES), PICTURES)
    assert ledger.adds_up
    assert ledger.counts["used"] == PICTURES


def running_wait(process: subprocess.Popen[bytes]) -> None:
    """Let it work for a moment, or return at once when it ends."""
    try:
        process.wait(0.01)
    except subprocess.TimeoutExpired:
        return
