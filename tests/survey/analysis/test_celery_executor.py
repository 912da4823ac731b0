"""The executor that owns a job: what it sends, what it sends again, and when it gives up."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from tests.survey.conftest import catalog, database, settings, store, survey, uploads
from tests.survey.doubles import FakeInference, picture
from webapp.database.survey_tables import Job, Survey
from webapp.errors import MienError
from webapp.settings import Settings
from webapp.survey.analysis.celery_config import lease_key
from webapp.survey.analysis.celery_executor import AHEAD, CeleryExecutor, _Progress
from webapp.survey.analysis.outcomes import Judgement
from webapp.survey.analysis.runner import JobRunner, latest_job, shared
from webapp.survey.catalog import Catalog
from webapp.survey.intake.uploads import Uploads

pytestmark = pytest.mark.slow

__all__ = ["catalog", "database", "settings", "store", "survey", "uploads"]
FILES, CHUNK = 10, 4


@dataclass
class World:
    """Redis, the workers and the clock: ``act(number of messages so far)`` after each message."""

    act: Callable[[int, list[int]], None] = lambda _count, _files: None
    sent: list[list[int]] = field(default_factory=list)
    leases: set[str] = field(default_factory=set)
    away: int = 0
    now: float = 0.0

    def clock(self) -> float:
        self.now += 1.0
        return self.now

    def mget(self, keys: list[str]) -> list[bytes | None]:
        return [b"1" if key in self.leases else None for key in keys]

    def send_task(self, _name: str, args: list[Any], **_options: Any) -> None:
        if self.away:
            self.away -= 1
            raise OperationalError("Redis is away")
        _job, _first, files = args
        self.sent.append(files)
        self.act(len(self.sent), files)


@dataclass
class Rig:
    world: World
    runner: JobRunner
    job: Job

    def done(self, files: list[int]) -> None:
        self.runner.jobs.write(
            self.job.id, [(one, Judgement("no_face")) for one in files], wanted_only=True
        )


@pytest.fixture
def made(
    catalog: Catalog, uploads: Uploads, survey: Survey, monkeypatch: pytest.MonkeyPatch
) -> Rig:
    monkeypatch.setattr("webapp.survey.analysis.celery_executor.LOOK_S", 0)
    for number in range(FILES):
        uploads.receive(survey.id, "A", f"{number}.jpg", io.BytesIO(picture(f"happy:{number}")))
    world = World()
    runner = JobRunner(catalog, Settings(), shared(FakeInference()), lambda _job: None)
    queue = Settings(message_queue="redis://127.0.0.1:1/0", survey_chunk=CHUNK)
    executor = CeleryExecutor(queue, runner.jobs, world.clock)
    executor._redis = world  # type: ignore[assignment]
    executor._celery = world  # type: ignore[assignment]
    runner._executor = executor
    return Rig(world, runner, runner.jobs.start(survey.id, {"version": "test-1"}))


def ended(made: Rig, catalog: Catalog) -> Job:
    made.runner.run_one()
    job = latest_job(catalog, made.job.survey_id)
    assert job is not None
    return job


def test_files_go_out_in_chunks_and_come_back_counted(made: Rig, catalog: Catalog) -> None:
    made.world.act = lambda _count, files: made.done(files)
    assert ended(made, catalog).state == "done"
    assert [len(files) for files in made.world.sent] == [4, 4, 2]
    assert made.runner.jobs.counts(made.job.id) == {"no_face": FILES}


def test_what_a_redis_forgot_is_sent_again_and_no_more_than_that(
    made: Rig, catalog: Catalog
) -> None:
    made.world.act = lambda count, files: made.done(files) if count != 1 else None
    assert ended(made, catalog).state == "done"
    assert sorted(map(len, made.world.sent)) == [2, 4, 4, 4]
    assert made.world.sent[0] == made.world.sent[3]


def test_a_redis_that_is_away_is_waited_for(made: Rig, catalog: Catalog) -> None:
    made.world.away = 3
    made.world.act = lambda _count, files: made.done(files)
    assert ended(made, catalog).state == "done"
    assert len(made.world.sent) == 3


def test_what_a_dead_worker_left_is_sent_at_once_and_only_that(
    made: Rig, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.survey.analysis.celery_executor.RESEND_S", 1e9)
    looks = 0
    plain = made.world.mget

    def mget(keys: list[str]) -> list[bytes | None]:
        nonlocal looks
        looks += 1
        if looks == 3:  # its lease ran out
            made.world.leases.clear()
        return plain(keys)

    def act(count: int, files: list[int]) -> None:
        if count == 1:
            made.world.leases.add(lease_key(made.job.id, files[0]))
            made.done(files[:1])
        else:
            made.done(files)

    monkeypatch.setattr(made.world, "mget", mget)
    made.world.act = act
    assert ended(made, catalog).state == "done"
    assert made.world.sent[3] == made.world.sent[0][1:]
    assert len(made.world.sent) == 4


def test_workers_that_give_up_end_the_job_with_their_reason(made: Rig, catalog: Catalog) -> None:
    def act(count: int, files: list[int]) -> None:
        made.done(files[:1])
        made.runner.jobs.give_up(made.job.id, "A worker does not see the pictures.")

    made.world.act = act
    job = ended(made, catalog)
    assert (job.state, job.error) == ("failed", "A worker does not see the pictures.")


def test_nothing_is_counted_after_the_end(made: Rig, catalog: Catalog) -> None:
    late: list[list[int]] = []

    def act(count: int, files: list[int]) -> None:
        late.append(files)
        if count == 2:
            made.runner.jobs.cancel(made.job.id)

    made.world.act = act
    assert ended(made, catalog).state == "cancelled"
    for files in late:
        made.done(files)
    assert made.runner.jobs.done_count(made.job.id) == 0


def test_without_redis_it_says_what_to_set() -> None:
    with pytest.raises(MienError, match="MIEN_MESSAGE_QUEUE"):
        CeleryExecutor(Settings(survey_executor="celery"), None)  # type: ignore[arg-type]


def test_the_chunks_of_one_job_do_not_fill_the_queue(made: Rig, catalog: Catalog) -> None:
    """Two jobs share what may wait: a chunk that comes later is behind a few, not behind all."""
    executor = made.runner._executor
    assert isinstance(executor, CeleryExecutor)
    executor._size = 1
    looks = iter([None, None, "stopped"])
    survey = catalog.get(made.job.survey_id)
    pending = made.runner.jobs.pending(made.job)
    assert executor(made.job, survey, pending, lambda _done: next(looks)) == "stopped"
    assert len(made.world.sent) == AHEAD < FILES
    made.world.sent.clear()
    executor._active.append(_Progress([[]]))  # another job
    looks = iter([None, "stopped"])
    assert executor(made.job, survey, pending, lambda _done: next(looks)) == "stopped"
    assert len(made.world.sent) == AHEAD // 2
