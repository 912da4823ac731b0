"""PostgreSQL and Redis gone and back, in the middle of uploads and of an analysis."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import requests

from bench.support.cluster_rig import Worker
from bench.support.fault_world import (
    ENDED,
    TIMEOUT_S,
    Row,
    World,
    analyse,
    code_of,
    counted,
    pictures,
    state_of,
    survey,
    upload,
)
from bench.support.scenes import frames_of_a_face
from bench.support.server import running_server
from bench.support.services import PostgresServer, RedisServer, private_postgres, private_redis
from bench.support.witness import Witness, until

POSTGRES = "PostgreSQL gone and back"
REDIS = "Redis gone and back"
AWAY = "503 database_unavailable"


class Sender:
    """Uploads one picture after another, each until it was taken, and keeps every answer."""

    def __init__(self, url: str, survey_id: str, number: int) -> None:
        self.codes: list[str] = []
        self._url, self._survey = url, survey_id
        self._pictures = pictures(number)
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self) -> None:
        for number, picture in enumerate(self._pictures):
            while True:
                code = code_of(upload(self._url, self._survey, f"sent-{number}.jpg", picture))
                self.codes.append(code)
                if code == "200":
                    break
                time.sleep(0.1)  # as a page that tries again

    def finish(self) -> None:
        self._thread.join(TIMEOUT_S)
        if self._thread.is_alive():
            raise TimeoutError(f"the uploads did not end; the latest: {self.codes[-5:]}")


def get(url: str, path: str) -> str:
    return code_of(requests.get(url + path, timeout=TIMEOUT_S))


def done(url: str, survey_id: str) -> int:
    return int(state_of(url, survey_id).get("done") or 0)


def postgres_gone(world: World, postgres: PostgresServer) -> Row:
    url, number, sent = world.url, 40 if world.short else 200, 40 if world.short else 200
    away_s = 1.0 if world.short else 10.0
    analysed = survey(url, pictures(number))
    filled = survey(url, [], "Uploads")
    since = time.monotonic()
    sender = Sender(url, filled, sent)
    until(lambda: sender.codes, "the first upload")
    analyse(url, analysed)
    until(lambda: done(url, analysed) > 0, "the first picture", TIMEOUT_S)
    before = done(url, analysed)
    postgres.stop("immediate")
    gone = time.monotonic()
    until(lambda: sender.codes[-1] != "200", "an upload that is refused")
    seen = {path or "/": get(url, path) for path in ("", "surveys", "api/v1/surveys")}
    while time.monotonic() - gone < away_s:
        time.sleep(0.05)
    postgres.start()
    back = time.monotonic()
    until(lambda: sender.codes[-1] == "200", "an upload that is taken again")
    request_s = time.monotonic() - back
    until(lambda: done(url, analysed) > before or ended(url, analysed), "the analysis", TIMEOUT_S)
    resumed_s = time.monotonic() - back
    until(lambda: ended(url, analysed), "the end of the analysis", TIMEOUT_S)
    sender.finish()
    used, uploaded = counted(url, analysed)
    state = state_of(url, analysed)["state"]
    kept = counted(url, filled)[1]
    world.go_on()
    refused = len([code for code in sender.codes if code != "200"])
    row = world.row(
        POSTGRES,
        f"stopped as by a crash for {away_s:.0f} s while {sent} pictures are sent and {before} of "
        f"{number} are analysed, then started",
        since,
        note=f"Meanwhile the live page: {seen['/']}, the surveys' page: {seen['surveys']}, their "
        f"interface: {seen['api/v1/surveys']}; {refused} uploads: "
        f"{', '.join(sorted(set(sender.codes) - {'200'}))}. Back, a request was answered after "
        f"{request_s:.1f} s and the analysis went on after {resumed_s:.1f} s; "
        f"{used} of {uploaded} pictures counted once, {kept} of {sent} sent ones are there",
    )
    good = (
        seen == {"/": "200", "surveys": "503", "api/v1/surveys": AWAY}
        and set(sender.codes) == {"200", AWAY}
        and (state, used, uploaded, kept) == ("done", number, number, sent)
    )
    return replace(row, recovery_s=max(request_s, resumed_s), ok=row.ok and good)


def ended(url: str, survey_id: str) -> bool:
    return state_of(url, survey_id)["state"] in ENDED


def redis_gone(world: World, redis: RedisServer) -> Row:
    url, number = world.url, 30 if world.short else 200
    away_s = 1.0 if world.short else 10.0
    survey_id = survey(url, pictures(number))
    analyse(url, survey_id)
    until(lambda: done(url, survey_id) > 0, "the first picture", TIMEOUT_S)
    since = time.monotonic()
    before = done(url, survey_id)
    redis.kill()
    gone = time.monotonic()
    codes = {
        "a picture": code_of(
            requests.post(f"{url}api/v1/analyze", frames_of_a_face()[0], timeout=TIMEOUT_S)
        ),
        "an upload": code_of(upload(url, survey(url, [], "Other"), "a.jpg", pictures(1)[0])),
        "the survey's page": get(url, f"surveys/{survey_id}"),
    }
    slowest_s = time.monotonic() - gone
    while time.monotonic() - gone < away_s:
        time.sleep(0.05)
    held = done(url, survey_id)
    redis.start()
    back = time.monotonic()
    until(lambda: done(url, survey_id) > held or ended(url, survey_id), "more", TIMEOUT_S)
    recovery_s = time.monotonic() - back
    until(lambda: ended(url, survey_id), "the end of the analysis", 2 * TIMEOUT_S)
    used, uploaded = counted(url, survey_id)
    state = state_of(url, survey_id)["state"]
    world.go_on()
    row = world.row(
        REDIS,
        f"killed for {away_s:.0f} s, which makes it forget everything, while a Celery worker has "
        f"analysed {before} of {number} pictures, then started",
        since,
        note=f"Meanwhile {', '.join(f'{name}: {code}' for name, code in codes.items())}, all three "
        f"in {slowest_s:.1f} s; the worker finished what it held ({held} pictures) and went on "
        f"{recovery_s:.1f} s after Redis was back; {used} of {uploaded} pictures counted once",
    )
    good = set(codes.values()) == {"200"} and (state, used, uploaded) == ("done", number, number)
    return replace(row, recovery_s=recovery_s, ok=row.ok and good)


def with_postgres(folder: Path, settings: Mapping[str, str], short: bool) -> Row:
    """Raises :class:`bench.support.services.Missing`."""
    with private_postgres() as postgres:
        environment = {
            **settings,
            "MIEN_INSTANCE_DIR": str(folder),
            "DATABASE_URL": postgres.database(),
        }
        with running_server(environment) as server, Witness(server.url) as memory:
            world = World(server, memory, folder, short, int(settings["MIEN_WORKERS"]))
            return postgres_gone(world, postgres)


def with_redis(folder: Path, settings: Mapping[str, str], short: bool) -> Row:
    """Raises :class:`bench.support.services.Missing`."""
    with private_redis() as redis:
        environment = {
            **settings,
            "MIEN_WORKERS": "1",
            "MIEN_INSTANCE_DIR": str(folder),
            "MIEN_MESSAGE_QUEUE": redis.url,
            "MIEN_SURVEY_EXECUTOR": "celery",
            "MIEN_SURVEY_CHUNK": "4",
        }
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MIEN_")}
        with running_server(environment) as server, Witness(server.url) as memory:
            worker = Worker(clean | environment, folder / "worker.log")
            try:
                until(worker.ready, "the Celery worker", TIMEOUT_S)
                return redis_gone(World(server, memory, folder, short, 1), redis)
            finally:
                worker.stop()


CASES: tuple[tuple[str, Callable[[Path, Mapping[str, str], bool], Row]], ...] = (
    (POSTGRES, with_postgres),
    (REDIS, with_redis),
)
