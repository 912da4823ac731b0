from __future__ import annotations

import threading
from contextlib import nullcontext
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select

from tests.survey.doubles import FakeInference, picture
from webapp.database.base import utcnow
from webapp.database.survey_tables import FaceRow, Job, Outcome
from webapp.errors import Conflict, InferenceUnavailable, InvalidRequest, WorkerCrashed
from webapp.survey.analysis.job_table import LEASE_S, JobQueue
from webapp.survey.analysis.runner import JobRunner, latest_job, shared
from webapp.survey.ledger import ledger_of

MODEL = {"version": "test-1"}
CONTENTS = ["happy:1", "happy:2", "sad:1", "none:1", "two:1", "dark:1", "bad:1"]


@pytest.fixture
def make_runner(catalog, settings):
    def make(service, queue=None, listen=None, report=lambda job: None, service_for=None):
        return JobRunner(catalog, settings, service_for or shared(service), report, listen, queue)

    return make


@pytest.fixture
def filled(send, survey):
    for content in CONTENTS:
        send(f"{content.replace(':', '')}.jpg", picture(content))
    send("copy.jpg", picture("happy:1"), "B")
    send("notes.txt", b"text")
    return survey


def counts(store, survey, job):
    with store.session() as session:
        ledger = ledger_of(session, survey.id, job.id)
    assert ledger.adds_up
    return {name: n for name, n in ledger.counts.items() if n}


def test_every_file_lands_in_one_category(store, filled, make_runner, catalog):
    reported, seen = [], []
    runner = make_runner(FakeInference(), listen=seen.append, report=reported.append)
    job = runner.jobs.start(filled.id, MODEL)
    assert runner.run_one()
    assert counts(store, filled, job) == {
        "used": 3,
        "no_face": 1,
        "several_faces": 1,
        "low_quality": 1,
        "unreadable": 2,
        "duplicate": 1,
    }
    assert [one.id for one in reported] == [job.id]
    ended = latest_job(catalog, filled.id)
    assert (ended.state, ended.live_key, ended.total) == ("done", None, 7)
    assert (seen[-1].state, seen[-1].done) == ("done", 7)
    assert catalog.get(filled.id).pictures_deleted_at is not None
    assert not catalog.folders.pictures(filled.id).exists()
    assert not runner.run_one()


def test_the_largest_face_is_used_where_the_survey_says_so(store, filled, make_runner):
    with store.session() as session:
        session.merge(filled).several_faces = "largest"
    runner = make_runner(FakeInference())
    job = runner.jobs.start(filled.id, MODEL)
    runner.run_one()
    assert "several_faces" not in counts(store, filled, job)
    with store.session() as session:
        faces = select(func.count()).where(FaceRow.job_id == job.id, FaceRow.emotion == "sad")
        assert session.scalar(faces) == 2


def test_one_analysis_at_a_time(filled, make_runner, survey, send):
    runner = make_runner(FakeInference())
    runner.jobs.start(filled.id, MODEL)
    with pytest.raises(Conflict):
        runner.jobs.start(filled.id, MODEL)
    with pytest.raises(Conflict):
        send("late.jpg", picture("happy:9"))


def test_nothing_to_analyse(make_runner, survey):
    with pytest.raises(InvalidRequest):
        make_runner(FakeInference()).jobs.start(survey.id, MODEL)


def test_a_dead_process_is_taken_over_and_nothing_is_analysed_twice(
    store, filled, make_runner, catalog
):
    first = make_runner(FakeInference(), JobQueue(store, "here|1|dead"))
    job = first.jobs.start(filled.id, MODEL)
    assert first.jobs.claim().id == job.id
    pending = first.jobs.pending(job)
    service = FakeInference()
    runner = make_runner(service)
    from webapp.survey.analysis.outcomes import Judgement

    first.jobs.write(
        job.id, [(pending[0][0], Judgement("no_face")), (pending[1][0], Judgement("no_face"))]
    )
    assert runner.jobs.claim() is None  # another host, and its claim is fresh
    with store.session() as session:
        session.get_one(Job, job.id).heartbeat_at = utcnow().replace(year=2020)
    assert runner.run_one()
    assert sum(service.asked.values()) == len(CONTENTS) - 2
    assert latest_job(catalog, filled.id).state == "done"
    assert first.jobs.renew(job.id) == "lost"
    assert not first.jobs.set_state(job.id, "failed")


def test_a_claim_from_the_future_is_taken_over_after_a_while(store, filled):
    """A node died, and the clock was set back: its claim is an hour ahead of everybody."""
    now = 100.0
    dead, other = JobQueue(store, "here|1|dead"), JobQueue(store, clock=lambda: now)
    job = dead.start(filled.id, MODEL)
    assert dead.claim().id == job.id
    with store.session() as session:
        session.get_one(Job, job.id).heartbeat_at = utcnow() + timedelta(hours=1)
    assert other.claim() is None
    now += LEASE_S - 1
    assert other.claim() is None
    assert dead.renew(job.id) == "ok"  # it lived after all
    now += 2
    assert other.claim() is None
    now += LEASE_S + 1
    assert other.claim().id == job.id
    assert dead.renew(job.id) == "lost"


def test_a_job_that_was_dropped_without_a_database_is_taken_again_at_once(store, filled):
    queue = JobQueue(store)
    job = queue.start(filled.id, MODEL)
    assert queue.claim().id == job.id
    assert queue.claim().id == job.id  # release() did not reach the database


def test_two_processes_that_both_believe_to_own_a_job_count_once(store, filled, make_runner):
    from webapp.survey.analysis.outcomes import Judgement

    one, other = JobQueue(store), JobQueue(store)
    job = one.start(filled.id, MODEL)
    ids = [upload_id for upload_id, _, _ in one.pending(job)]
    one.write(job.id, [(ids[0], Judgement("no_face")), (ids[1], Judgement("no_face"))])
    other.write(job.id, [(ids[1], Judgement("used")), (ids[2], Judgement("no_face"))])
    with store.session() as session:
        rows = session.execute(
            select(Outcome.upload_id, Outcome.category).where(Outcome.job_id == job.id)
        ).all()
    assert sorted(rows) == [(ids[0], "no_face"), (ids[1], "no_face"), (ids[2], "no_face")]


def test_cancel_stops_and_keeps_what_is_done(store, filled, make_runner, catalog):
    runner = make_runner(None)
    service = FakeInference(
        before=lambda content: runner.jobs.cancel(job.id) if content == "happy:1" else None
    )
    runner._service_for = lambda _version: nullcontext(service)
    job = runner.jobs.start(filled.id, MODEL)
    runner.run_one()
    ended = latest_job(catalog, filled.id)
    assert (ended.state, ended.live_key) == ("cancelled", None)
    assert catalog.get(filled.id).pictures_deleted_at is None
    counts(store, filled, job)
    with pytest.raises(Conflict):
        runner.jobs.cancel(job.id)


def test_a_queued_job_is_cancelled_at_once(filled, make_runner, catalog):
    runner = make_runner(FakeInference())
    runner.jobs.cancel(runner.jobs.start(filled.id, MODEL).id)
    assert latest_job(catalog, filled.id).state == "cancelled"
    assert not runner.run_one()


def test_a_job_that_is_claimed_while_it_is_cancelled_ends_with_who_claimed_it(
    filled, make_runner, catalog, store
):
    runner = make_runner(FakeInference())
    job = runner.jobs.start(filled.id, MODEL)
    claimed = []

    @event.listens_for(store.engine, "after_cursor_execute")
    def claim(_connection, _cursor, statement, *_):
        if "FROM jobs" in statement and not claimed:  # which cancel() has read as queued
            claimed.append(None)
            claimed[0] = JobQueue(store, "elsewhere|1|0").claim()

    runner.jobs.cancel(job.id)
    event.remove(store.engine, "after_cursor_execute", claim)
    now = latest_job(catalog, filled.id)
    assert (now.state, now.owner, now.live_key) == ("running", "elsewhere|1|0", filled.id)
    assert JobQueue(store, "elsewhere|1|0").renew(job.id) == "cancel"


def test_trouble_of_the_workers_is_never_no_face(store, filled, make_runner, monkeypatch):
    monkeypatch.setattr("webapp.survey.analysis.outcomes.WAIT_FOR_WORKERS_S", 0)
    service = FakeInference()

    def trouble(content: str) -> None:
        if content == "sad:1":
            raise WorkerCrashed("The worker died.")
        if service.asked[content] == 1:
            raise InferenceUnavailable("None is ready.")

    service.before = trouble
    runner = make_runner(service)
    job = runner.jobs.start(filled.id, MODEL)
    runner.run_one()
    found = counts(store, filled, job)
    assert (found["no_face"], found["used"], found["unreadable"]) == (1, 2, 3)
    assert service.asked["sad:1"] == 3
    with store.session() as session:
        reason = session.scalar(select(Outcome.reason).where(Outcome.reason.like("given up%")))
    assert "The worker died." in reason


def test_a_model_swapped_in_the_middle_never_mixes_into_a_job(store, filled, make_runner):
    old, new = FakeInference("test-1"), FakeInference("test-1")
    old.before = lambda content: setattr(old, "version", "test-2")
    opened = []

    def service_for(version):
        opened.append(version)
        return nullcontext(old if len(opened) == 1 else new)

    runner = make_runner(None, service_for=service_for)
    job = runner.jobs.start(filled.id, MODEL)
    runner.run_one()
    assert opened == ["test-1", "test-1"]
    assert counts(store, filled, job)["used"] == 3


def test_a_job_for_a_model_that_is_gone_fails_with_the_reason(filled, make_runner, catalog):
    runner = make_runner(FakeInference("test-2"))
    runner.jobs.start(filled.id, MODEL)
    runner.run_one()
    ended = latest_job(catalog, filled.id)
    assert ended.state == "failed"
    assert "test-1" in ended.error
    assert runner.jobs.start(filled.id, {"version": "test-2"})


def test_deleting_a_survey_ends_its_job(filled, make_runner, catalog, store):
    reached = threading.Event()

    def delete(content: str) -> None:
        if not reached.is_set():
            reached.set()
            catalog.delete(filled.id)

    runner = make_runner(FakeInference(before=delete))
    runner.jobs.start(filled.id, MODEL)
    runner.run_one()
    with store.session() as session:
        assert session.scalar(select(func.count()).select_from(Outcome)) == 0


def test_a_survey_deleted_while_its_report_is_made_is_no_error(
    filled, make_runner, catalog, caplog
):
    notified = []

    def gone(_job: Job) -> None:
        catalog.delete(filled.id)
        raise FileNotFoundError("report")

    runner = make_runner(FakeInference())
    runner._report, runner._notify = gone, lambda _job, state, *_, **__: notified.append(state)
    runner.jobs.start(filled.id, MODEL)
    assert runner.run_one()
    assert "failed" not in notified
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_stopped_runner_gives_the_job_back(filled, make_runner, catalog):
    runner = make_runner(None)
    service = FakeInference(before=lambda _content: runner._closing.set())
    runner._service_for = lambda _version: nullcontext(service)
    job = runner.jobs.start(filled.id, MODEL)
    runner.run_one()
    assert latest_job(catalog, filled.id).owner is None
    other = make_runner(FakeInference())
    assert other.run_one()
    assert latest_job(catalog, filled.id).state == "done"
    assert job.id == latest_job(catalog, filled.id).id


def test_a_crash_while_the_report_is_made_goes_on_with_the_report(filled, make_runner, catalog):
    service = FakeInference()

    def dies(_job: Job) -> None:
        raise SystemExit

    runner = make_runner(service, report=dies)
    runner.jobs.start(filled.id, MODEL)
    with pytest.raises(SystemExit):
        runner.run_one()
    assert latest_job(catalog, filled.id).state == "reporting"
    reported = []
    other = make_runner(service, report=reported.append)
    assert other.run_one()
    assert len(reported) == 1
    assert sum(service.asked.values()) == len(CONTENTS)
