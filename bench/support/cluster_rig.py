"""Several nodes and workers as processes of this machine, with private Redis and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import socketio

from bench.support.server import ROOT, RunningServer, running_server
from bench.support.services import PostgresServer, RedisServer

PATIENCE_S = 600.0


def await_true(what: str, check: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
    """Ask until the answer is true and return it. Raises TimeoutError."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        answer = check()
        if answer:
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"After {timeout_s:.0f} s still not: {what}")


def ask(
    server: RunningServer, method: str, path: str, body: bytes | dict[str, Any] | None = None
) -> Any:
    """One request; the JSON of the answer."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    request = urllib.request.Request(server.url + path, data, method=method)
    kind = "application/json" if isinstance(body, dict) else "application/octet-stream"
    request.add_header("Content-Type", kind)
    with urllib.request.urlopen(request, timeout=60) as response:
        content = response.read()
    return json.loads(content) if content else None


class Worker:
    """A Celery worker process with its inference processes."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "webapp.cli", "worker"],
                cwd=ROOT,
                env=environment,
                stdout=stream,
                stderr=stream,
            )

    def ready(self) -> bool:
        """Whether it takes tasks. Raises RuntimeError with its log where it ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"The worker ended:\n{self.log.read_text()[-3000:]}")
        return " ready." in self.log.read_text()

    def family(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def kill(self) -> None:
        """As ``kill -9``; its inference processes end by themselves."""
        children = self.family()[1:]
        self.process.kill()
        self.process.wait()
        psutil.wait_procs(children, timeout=60)

    def stop(self) -> int:
        """As a service manager does; its exit status."""
        self.process.terminate()
        return self.process.wait(60)


class Page:
    """A browser page that watches one survey on one node: what it was told, in order."""

    def __init__(self, url: str, survey: str) -> None:
        self.told: list[dict[str, Any]] = []
        self._loop = asyncio.new_event_loop()
        self._watching = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(url, survey), daemon=True)
        self._thread.start()
        if not self._watching.wait(30):
            raise RuntimeError("The page could not watch the survey.")

    def _run(self, url: str, survey: str) -> None:
        self._loop.run_until_complete(self._watch(url, survey))

    async def _watch(self, url: str, survey: str) -> None:
        self._done = asyncio.Event()
        async with aiohttp.ClientSession() as http:
            client = socketio.AsyncClient(http_session=http, reconnection=False)
            client.on("progress", self.told.append, namespace="/surveys")
            await client.connect(url, namespaces=["/surveys"], transports=["websocket"])
            await client.call("watch", {"survey": survey}, namespace="/surveys")
            self._watching.set()
            await self._done.wait()
            await client.disconnect()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()
        self._loop.close()


class Rig:
    """Nodes and workers that share Redis, PostgreSQL, a media store and a models store.

    Each node has its own instance and models folder, as if it were another machine.
    """

    def __init__(
        self,
        scratch: Path,
        redis: RedisServer,
        postgres: PostgresServer,
        models: Path,
        **settings: str,
    ) -> None:
        self.scratch, self.redis = scratch, redis
        self.database = postgres.database()
        self._models = models
        self._stack = ExitStack()
        self._workers: list[Worker] = []
        self._settings = {
            "MIEN_WORKERS": "1",
            "MIEN_MESSAGE_QUEUE": redis.url,
            "MIEN_SECRET_KEY": "only-for-this-measurement-0123456789",
            "MIEN_SURVEY_EXECUTOR": "celery",
            "MIEN_MEDIA_URL": f"file://{scratch / 'shared-media'}",
            "MIEN_MODELS_URL": f"file://{scratch / 'shared-models'}",
            "MIEN_CLUSTER_POLL_S": "1",
            "DATABASE_URL": self.database,
        } | settings

    def environment(self, name: str) -> dict[str, str]:
        """Of the machine called ``name``; its folders are made."""
        own = self.scratch / name
        models = own / "models"
        if not models.exists():
            shutil.copytree(self._models, models)
        return self._settings | {
            "MIEN_INSTANCE_DIR": str(own / "instance"),
            "MIEN_MODELS_DIR": str(models),
        }

    def node(self, name: str) -> RunningServer:
        """Start a web node and wait until it answers."""
        return self._stack.enter_context(running_server(self.environment(name)))

    def worker(self, name: str) -> Worker:
        """Start a Celery worker; :meth:`Worker.ready` says when it takes tasks."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MIEN_")}
        made = Worker(clean | self.environment(name), self.scratch / f"{name}.log")
        self._workers.append(made)
        return made

    def close(self) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.stop()
        self._stack.close()


@contextmanager
def rig(
    scratch: Path, redis: RedisServer, postgres: PostgresServer, models: Path, **settings: str
) -> Iterator[Rig]:
    made = Rig(scratch, redis, postgres, models, **settings)
    try:
        yield made
    finally:
        made.close()


def new_survey(server: RunningServer, pictures: list[bytes], keep_until: str | None = None) -> str:
    """A survey with these pictures; its id."""
    body = {"name": "Packages", "purpose": "product", "consent": True, "groups": ["A", "B"]}
    body["keep_until"] = keep_until
    survey = str(ask(server, "POST", "api/v1/surveys", body)["id"])
    for number, data in enumerate(pictures):
        path = f"api/v1/surveys/{survey}/files?path={number}.jpg&group={'AB'[number % 2]}"
        ask(server, "PUT", path, data)
    return survey


def start_job(server: RunningServer, survey: str) -> int:
    return int(ask(server, "POST", f"api/v1/surveys/{survey}/jobs", {})["id"])


def progress(server: RunningServer, survey: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(server, "GET", f"api/v1/surveys/{survey}/progress")
    return found


def ended(server: RunningServer, survey: str) -> dict[str, Any] | None:
    """The last progress once the job has ended. Raises RuntimeError for another end than done."""
    now = progress(server, survey)
    if now["state"] in ("failed", "cancelled"):
        raise RuntimeError(f"The job ended as {now}")
    return now if now["state"] == "done" else None
