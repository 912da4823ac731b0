"""Two web nodes and two Celery workers as processes, with things that die."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.support.cluster_rig import Page, Rig, ask, await_true, ended, new_survey, progress, rig
from bench.support.cluster_rig import start_job as start
from bench.support.counted import Counted, counted
from bench.support.server import RunningServer
from bench.support.services import PostgresServer, RedisServer
from tests.support.live import LiveClient
from tests.support.models import make_version
from tests.support.pictures import face_frames
from tests.survey.doubles import picture
from webapp.database.store import Store, database_url

pytestmark = pytest.mark.slow

PICTURES = 60
TIMEOUT_S = 120.0


@pytest.fixture(scope="module")
def two_nodes(
    tmp_path_factory: pytest.TempPathFactory,
    redis: RedisServer,
    postgres_server: PostgresServer,
    models: Path,
) -> Iterator[tuple[Rig, RunningServer, RunningServer]]:
    slow_face = {"SURVEY_WORKER_PIPELINE": "tests.support.survey_runner:OneFace"}
    scratch = tmp_path_factory.mktemp("rig")
    with rig(scratch, redis, postgres_server, models, MIEN_SURVEY_CHUNK="5", **slow_face) as made:
        yield made, made.node("a"), made.node("b")


def counted_in(made: Rig, job: int, monkeypatch: pytest.MonkeyPatch) -> Counted:
    monkeypatch.setenv("DATABASE_URL", made.database)
    return counted(Store(database_url(made.scratch)), job)


async def live_answer(server: RunningServer) -> Any:
    """What one live frame is answered with."""
    async with LiveClient(server.url) as client:
        return await client.frame(face_frames()[0])


def test_a_survey_outlives_its_worker_and_redis(
    two_nodes: tuple[Rig, RunningServer, RunningServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, a, b = two_nodes
    survey = new_survey(a, [picture(f"happy:{number}") for number in range(PICTURES)])
    page = Page(b.url, survey)
    first = made.worker("worker-1")
    await_true("the worker is ready", first.ready, TIMEOUT_S)
    job = start(a, survey)
    await_true("some are done", lambda: progress(b, survey)["done"] >= 5, TIMEOUT_S)
    first.kill()
    made.redis.kill()
    # live goes on without it, and so does reading single pictures
    assert "faces" in asyncio.run(live_answer(b))
    assert "faces" in ask(b, "POST", "api/v1/analyze", face_frames()[0])
    made.redis.start()
    second = made.worker("worker-2")
    last = await_true("the survey is done", lambda: ended(b, survey), TIMEOUT_S)
    assert (last["done"], last["counts"]) == (PICTURES, {"used": PICTURES})
    assert counted_in(made, job, monkeypatch) == (PICTURES, PICTURES, PICTURES)
    await_true(
        "the page on b is told of the end of a job of a",
        lambda: page.told and page.told[-1]["state"] == "done",
        TIMEOUT_S,
    )
    running = [told["done"] for told in page.told if told["state"] == "running"]
    assert running == sorted(running)
    page.close()
    report = ask(b, "GET", f"api/v1/surveys/{survey}/jobs/{job}/export/json")
    assert report["ledger"]["adds_up"]
    assert second.stop() == 0


def test_a_cancelled_job_stays_as_it_was_told(
    two_nodes: tuple[Rig, RunningServer, RunningServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, a, b = two_nodes
    survey = new_survey(a, [picture(f"happy:{number}") for number in range(PICTURES)])
    worker = made.worker("worker-3")
    job = start(a, survey)
    await_true("some are done", lambda: progress(b, survey)["done"] >= 5, TIMEOUT_S)
    ask(b, "POST", f"api/v1/surveys/{survey}/jobs/{job}/cancel", {})
    await_true("cancelled", lambda: progress(b, survey)["state"] == "cancelled", TIMEOUT_S)
    done = progress(b, survey)["done"]
    assert worker.stop() == 0
    assert counted_in(made, job, monkeypatch) == (done, done, done)


def test_a_model_activated_on_one_node_serves_on_all_that_can_verify_it(
    two_nodes: tuple[Rig, RunningServer, RunningServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, a, b = two_nodes
    from webapp.cluster.shared_registry import open_registry
    from webapp.settings import Settings

    own = made.environment("a")
    registry = open_registry(
        Settings(
            models_dir=own["MIEN_MODELS_DIR"],
            models_url=own["MIEN_MODELS_URL"],
            message_queue=own["MIEN_MESSAGE_QUEUE"],
        )
    )
    make_version(registry.models_dir, "test-2", seed=1)
    registry.activate("test-2")

    def model(server: RunningServer) -> str:
        return str(ask(server, "GET", "readyz")["node"]["model"]["serving"])

    for server in (a, b):
        await_true("it serves test-2", lambda s=server: model(s) == "test-2", TIMEOUT_S)
    # a copy that was damaged on its way never serves
    make_version(registry.models_dir, "test-3", seed=1)
    registry.verify("test-3")
    shared = made.scratch / "shared-models"
    real_push = registry._push

    def damaged(version: str) -> None:
        real_push(version)
        (shared / version / "model.tflite").write_bytes(b"damaged")

    monkeypatch.setattr(registry, "_push", damaged)
    registry.activate("test-3")
    state = await_true(
        "b says why it stays",
        lambda: (found := ask(b, "GET", "readyz")["node"]["model"])["problem"] and found,
        TIMEOUT_S,
    )
    assert (state["serving"], state["wanted"], state["in_step"]) == ("test-2", "test-3", False)
    assert "model.tflite" in state["problem"]
    registry.close()
