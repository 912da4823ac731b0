"""Which request goes next."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from webapp.domain import SCAN
from webapp.errors import InferenceUnavailable, MienError
from webapp.inference import schedule
from webapp.inference.budget import BACKOFF_MOST_S, RestartBudget
from webapp.inference.protocol import Result
from webapp.inference.schedule import Job, JobQueue, Priority

Clock = Callable[[float], None]


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time that stands still until it is advanced."""
    now = [1000.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def _queue(workers: int = 1, **limits: int) -> JobQueue:
    return JobQueue(workers, **{"max_live": 10, "max_study": 10, "max_batch": 10, **limits})


def _job(priority: Priority = "live", image: bytes = b"x", timeout_s: float = 60) -> Job:
    return Job(image, SCAN, priority, timeout_s)


def _take(queue: JobQueue) -> Job | None:
    return queue.take(lambda: False, 0.0)


def test_live_goes_before_batch_and_each_in_its_order(advance: Clock) -> None:
    queue = _queue()
    jobs = [_job("batch"), _job("live"), _job("batch"), _job("live")]
    for job in jobs:
        queue.put(job)
    taken = []
    while job := _take(queue):
        taken.append(jobs.index(job))
        queue.release(job)
    assert taken == [1, 3, 0, 2]


def test_studies_go_after_live_and_before_batch_and_never_stand_still(advance: Clock) -> None:
    queue = _queue()
    waiting: list[Priority] = ["batch", "study", "study", "live", "live", "live", "live", "live"]
    for priority in waiting:
        queue.put(_job(priority))
    taken = []
    while job := _take(queue):
        taken.append(job.priority)
        queue.release(job)
    first = ["live", "live", "study"]
    assert taken == [*first, *first, "live", "batch"]


def test_frames_of_a_study_keep_a_worker_from_batch(advance: Clock) -> None:
    queue = _queue(workers=2)
    queue.put(_job("study"))
    assert _take(queue)
    for _ in range(2):
        queue.put(_job("batch"))
    assert _take(queue)
    assert _take(queue) is None


def test_batch_gets_one_turn_a_second_when_live_never_pauses(advance: Clock) -> None:
    queue = _queue()
    for _ in range(3):
        queue.put(_job("batch"))
    taken = []
    for _ in range(24):  # 2.4 s of a live frame every 100 ms
        queue.put(_job("live"))
        job = _take(queue)
        assert job is not None
        taken.append(job.priority)
        queue.release(job)
        advance(0.1)
    assert [i for i, priority in enumerate(taken) if priority == "batch"] == [10, 20]


def test_batch_leaves_one_worker_to_live_traffic(advance: Clock) -> None:
    queue = _queue(workers=3)
    queue.put(_job("live"))
    assert _take(queue)
    batch = [_job("batch") for _ in range(4)]
    for job in batch:
        queue.put(job)
    assert [_take(queue), _take(queue)] == batch[:2]
    assert _take(queue) is None, "the third worker is kept for live frames"
    advance(schedule.LIVE_RECENT_S + 0.1)
    assert _take(queue) is batch[2], "without live traffic batch takes every worker"


def test_a_single_worker_serves_batch_too(advance: Clock) -> None:
    queue = _queue(workers=1)
    queue.put(_job("live"))
    live = _take(queue)
    assert live
    queue.release(live)
    queue.put(_job("batch"))
    assert _take(queue)


def test_a_full_queue_says_so_and_only_to_its_own_priority() -> None:
    queue = _queue(max_live=2, max_batch=1)
    for priority in ("live", "live", "batch"):
        queue.put(_job(priority))
    for priority in ("live", "batch"):
        with pytest.raises(InferenceUnavailable, match=f"{priority} requests are waiting"):
            queue.put(_job(priority))
    assert (queue.depth("live"), queue.depth("batch"), len(queue)) == (2, 1, 3)
    job = _take(queue)
    queue.put(_job("live"))
    assert job


def test_waiting_bytes_are_bounded_and_counted_back() -> None:
    queue = _queue(max_bytes=100)
    big = _job(image=bytes(150))
    queue.put(big)  # one picture alone is never too large
    with pytest.raises(InferenceUnavailable, match="bytes"):
        queue.put(_job(image=bytes(1)))
    queue.discard(big)
    queue.put(_job(image=bytes(60)))
    assert _take(queue)
    queue.put(_job(image=bytes(60)))


def test_a_job_that_came_back_is_next_again() -> None:
    queue = _queue()
    first, second = _job(), _job()
    queue.put(first)
    queue.put(second)
    assert _take(queue) is first
    queue.put_back(first)
    assert [_take(queue), _take(queue)] == [first, second]


def test_a_job_whose_caller_left_does_not_come_back(advance: Clock) -> None:
    queue = _queue()
    job = _job(timeout_s=1)
    queue.put(job)
    assert _take(queue) is job
    advance(2)
    queue.put_back(job)
    assert len(queue) == 0


def test_a_discarded_job_is_not_taken() -> None:
    queue = _queue()
    job = _job()
    queue.put(job)
    queue.discard(job)
    assert _take(queue) is None
    queue.discard(job)


def test_closing_tells_the_callers_and_refuses_new_ones() -> None:
    queue = _queue()
    waiting, held = _job(), _job("batch")
    queue.put(held)
    assert _take(queue) is held
    queue.put(waiting)
    queue.close()
    assert isinstance(waiting.wait(), InferenceUnavailable)
    assert held.outcome is None
    queue.put_back(held)
    assert isinstance(held.wait(), InferenceUnavailable)
    with pytest.raises(InferenceUnavailable, match="stopped"):
        queue.put(_job())
    assert _take(queue) is None


def test_the_first_outcome_counts() -> None:
    job = _job()
    error = MienError("first")
    job.finish(error)
    job.finish(Result(1, {}, 0.0))
    assert job.wait() is error


def test_the_restart_budget_delays_ever_longer_and_forgives_a_minute_of_life() -> None:
    budget = RestartBudget(3)
    now = 0.0
    delays = []
    for _ in range(10):
        delay = budget.delay_s(now, lived_s=0.1)
        delays.append(delay)
        now += delay + 0.1
    assert delays == [0, 0, 0, 1, 2, 4, 8, 16, BACKOFF_MOST_S, BACKOFF_MOST_S]
    now += 61
    assert budget.delay_s(now, lived_s=61) == 0


def test_rare_crashes_never_spend_the_budget() -> None:
    budget = RestartBudget(2)
    assert [budget.delay_s(40.0 * n, lived_s=39) for n in range(10)] == [0.0] * 10
