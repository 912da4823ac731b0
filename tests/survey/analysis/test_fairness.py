"""Several analyses at once: nobody waits behind somebody else's thousands of pictures."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest

from tests.survey.doubles import FakeInference, picture
from webapp.database.survey_tables import Job, Survey
from webapp.inference.client import InferenceService
from webapp.settings import Settings
from webapp.survey.analysis import runner as runner_module
from webapp.survey.analysis.fair_turns import FairTurns
from webapp.survey.analysis.job_table import JobQueue
from webapp.survey.analysis.runner import JobRunner, latest_job, shared
from webapp.survey.catalog import Catalog, NewSurvey
from webapp.survey.intake.uploads import Uploads

MODEL = {"version": "test-1"}
MakeSurvey = Callable[[str, int], Survey]


@pytest.fixture
def make_survey(catalog: Catalog, uploads: Uploads) -> MakeSurvey:
    def make(name: str, pictures: int) -> Survey:
        survey = catalog.create(NewSurvey(name, "product", True, ("A",)))
        for number in range(pictures):
            content = io.BytesIO(picture(f"happy:{name}-{number}"))
            uploads.receive(survey.id, "A", f"{number}.jpg", content)
        return survey

    return make


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up, "waited for 60 s"
        time.sleep(0.01)


def state_of(catalog: Catalog, survey: Survey) -> str:
    job = latest_job(catalog, survey.id)
    assert job is not None
    return job.state


@pytest.fixture
def real_workers(tmp_path: Path) -> Iterator[InferenceService]:
    """Two worker processes that take 30 ms for a picture."""
    (tmp_path / "test-1").mkdir()
    service = InferenceService(
        Settings(workers=2),
        tmp_path / "test-1",
        pipeline="tests.support.survey_runner:SlowFace",
    )
    service.start()
    yield service
    service.stop()


def test_one_picture_is_done_while_somebodys_hundreds_still_run(
    catalog: Catalog, settings: Settings, make_survey: MakeSurvey, real_workers: InferenceService
) -> None:
    large, small = make_survey("large", 300), make_survey("small", 1)
    runner = JobRunner(catalog, settings, shared(real_workers), lambda _job: None)
    job = runner.jobs.start(large.id, MODEL)
    runner.start()
    try:
        until(lambda: runner.jobs.done_count(job.id) > 0)
        runner.jobs.start(small.id, MODEL)
        runner.wake()
        until(lambda: state_of(catalog, small) == "done")
        assert state_of(catalog, large) == "running"
    finally:
        runner.stop()
    assert latest_job(catalog, large.id).owner is None  # given back


def test_turns_go_round_the_owners() -> None:
    turns, order, threads = FairTurns(1), list[str](), list[threading.Thread]()

    def take(owner: str) -> None:
        with turns.turn(owner):
            order.append(owner)

    with ExitStack() as stack:
        stack.enter_context(turns.turn("large"))
        for number, owner in enumerate(["large"] * 4 + ["middle"] * 2 + ["small"], start=1):
            threads.append(threading.Thread(target=take, args=(owner,)))
            threads[-1].start()
            until(lambda n=number: sum(map(len, turns._waiting.values())) == n)
    for thread in threads:
        thread.join()
    assert order == ["large", "middle", "small", "large", "middle", "large", "large"]


def test_more_analyses_than_threads_take_turns(
    catalog: Catalog,
    settings: Settings,
    make_survey: MakeSurvey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner_module, "MAX_ACTIVE", 1)
    monkeypatch.setattr(runner_module, "SLICE_S", 0.0)
    monkeypatch.setattr(runner_module, "POLL_S", 0.02)
    monkeypatch.setattr("webapp.survey.analysis.chunks.FLUSH_FILES", 1)

    def before(content: str) -> None:
        if content.endswith("large-10"):  # wait until it shall be given back, or nothing else is
            until(lambda: bool(ended) or any(one.yields for one in runner._active.values()))

    large, small = make_survey("large", 30), make_survey("small", 1)
    service = FakeInference(before=before)
    ended: list[str] = []

    def report(job: Job) -> None:
        ended.append(job.survey_id)

    runner = JobRunner(catalog, settings, lambda _version: nullcontext(service), report)
    runner.jobs.start(large.id, MODEL)
    runner.jobs.start(small.id, MODEL)
    runner.start()
    try:
        until(lambda: len(ended) == 2)
    finally:
        runner.stop()
    assert ended == [small.id, large.id]


def test_whoever_has_fewest_analyses_is_next(
    catalog: Catalog, make_survey: MakeSurvey, monkeypatch: pytest.MonkeyPatch
) -> None:
    surveys = {name: make_survey(name, 1) for name in ("a1", "a2", "b1")}
    owners = {surveys[name].id: name[0] for name in surveys}
    monkeypatch.setattr(
        "webapp.survey.analysis.job_table.fair_owner", lambda survey: owners[survey.id]
    )
    queue = JobQueue(catalog.store)
    jobs = {name: queue.start(survey.id, MODEL).id for name, survey in surveys.items()}
    assert [job.id for job in queue.waiting()] == [jobs["a1"], jobs["a2"], jobs["b1"]]
    assert [job.id for job in queue.waiting({jobs["a1"]: "a"})] == [jobs["b1"], jobs["a2"]]
    assert queue.claim().id == jobs["a1"]
    queue.release(jobs["a1"])  # it had its time: behind the others now
    assert [job.id for job in queue.waiting()] == [jobs["a2"], jobs["b1"], jobs["a1"]]
