"""The executor that has a job's files analysed by Celery workers, and sees that none is lost.

Who owns the job cuts its files into chunks, keeps a number of them with the workers, and reads from
the database which are done: that alone is the truth. While a worker holds a chunk it keeps a lease
in Redis; a lease that ran out with work left means that the worker ended, and the chunk is sent
again. No more wait in Redis than keeps the workers busy, each active job's share of them: a job of
one chunk is not behind the sixty of another. Chunks that nobody took are sent again after a while
without any progress, because a Redis that started again has forgotten them. Sending one twice costs
time, never a wrong count.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError as BrokerAway

from webapp.database.survey_tables import Job, Survey
from webapp.errors import MienError
from webapp.settings import Settings
from webapp.survey.analysis.celery_config import CHUNK_TASK, lease_key, make_celery
from webapp.survey.analysis.chunks import Item
from webapp.survey.analysis.job_table import JobQueue
from webapp.web.message_queue import RedisTrouble, connect, message_queue

_log = logging.getLogger(__name__)
LOOK_S = 0.5
AHEAD = 4  # chunks that wait for workers beside as many as are in work, of all jobs together
RESEND_S = 5.0  # after this long without progress; doubled each time, up to:
RESEND_MOST_S = 300.0
_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1}

Watch = Callable[[int], str | None]


@dataclass(slots=True)
class _Sent:
    """One chunk that is not done; ``left`` are its files without an outcome."""

    left: set[int]
    sent_at: float | None = None
    leased: bool = False
    lost: bool = False
    wait_s: float = field(default_factory=lambda: RESEND_S)


@dataclass(slots=True, eq=False)
class _Progress:
    """What one job's executor knows."""

    waiting: list[list[int]]
    out: dict[int, _Sent] = field(default_factory=dict)
    done: int = 0
    moved_at: float = 0.0

    @property
    def leased(self) -> int:
        """Chunks that workers hold."""
        return sum(sent.leased for sent in self.out.values())


class CeleryExecutor:
    """Works on jobs with Celery workers; see :data:`webapp.survey.analysis.runner.Executor`."""

    def __init__(
        self, settings: Settings, jobs: JobQueue, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._celery: Celery = make_celery(settings)
        self._redis = connect(message_queue(settings))
        self._jobs = jobs
        self._size = settings.survey_chunk
        self._clock = clock
        self._pause = threading.Event()
        self._away = False
        self._active: list[_Progress] = []

    def __call__(self, job: Job, survey: Survey, pending: list[Item], watch: Watch) -> str:
        """ "finished" when every pending file has its outcome, or what ``watch`` gave.

        Raises :class:`MienError` with a worker's reason where the workers gave up.
        """
        ids = [upload_id for upload_id, _, _ in pending]
        cut = [ids[at : at + self._size] for at in range(0, len(ids), self._size)]
        state = _Progress(cut[::-1], moved_at=self._clock())
        self._active.append(state)
        try:
            return self._work(job, state, watch)
        finally:
            self._active.remove(state)

    def _work(self, job: Job, state: _Progress, watch: Watch) -> str:
        while True:
            self._note_done(job, state)
            verdict = watch(state.done)
            if verdict is not None:
                return verdict
            if not state.out and not state.waiting:
                return "finished"
            reason = self._jobs.given_up(job.id)
            if reason:
                raise MienError(reason)
            self._send_due(job, state)
            self._pause.wait(LOOK_S)

    def _note_done(self, job: Job, state: _Progress) -> None:
        asked = [upload_id for sent in state.out.values() for upload_id in sent.left]
        done = self._jobs.done_among(job.id, asked) if asked else set()
        if not done:
            return
        state.done += len(done)
        state.moved_at = self._clock()
        for first, sent in list(state.out.items()):
            sent.left -= done
            if not sent.left:
                del state.out[first]

    def _send_due(self, job: Job, state: _Progress) -> None:
        for _ in range(self._share() - len(state.out) + state.leased):
            if not state.waiting:
                break
            chunk = state.waiting.pop()
            state.out[chunk[0]] = _Sent(set(chunk))
        try:
            self._look_at_leases(job, state)
            for first, sent in state.out.items():
                if self._due(sent, state):
                    self._send(job, first, sent)
        except (BrokerAway, *RedisTrouble) as error:
            if not self._away:
                _log.warning("Survey chunks wait, Redis is away: %s", error)
            self._away = True
            return
        if self._away:
            _log.warning("Redis is back: survey chunks are sent again.")
            self._away = False

    def _share(self) -> int:
        """Chunks of one job that may wait for a worker; at least one."""
        active = list(self._active)
        return -(-(AHEAD + sum(one.leased for one in active)) // len(active))

    def _look_at_leases(self, job: Job, state: _Progress) -> None:
        """A lease that is gone with work left makes its chunk due at once, the first time."""
        firsts = list(state.out)
        keys = [lease_key(job.id, first) for first in firsts]
        leases: Any = self._redis.mget(keys) if keys else []
        for first, lease in zip(firsts, leases, strict=True):
            sent = state.out[first]
            if lease is None and sent.leased and not sent.lost:
                sent.lost, sent.sent_at = True, None  # later losses wait like the unanswered
            sent.leased = lease is not None

    def _due(self, sent: _Sent, state: _Progress) -> bool:
        if sent.leased:
            return False
        if sent.sent_at is None:
            return True
        quiet_since = max(sent.sent_at, state.moved_at)
        return self._clock() - quiet_since > sent.wait_s

    def _send(self, job: Job, first: int, sent: _Sent) -> None:
        if sent.sent_at is not None:  # nobody took it
            sent.wait_s = min(2 * sent.wait_s, RESEND_MOST_S)
        self._celery.send_task(
            CHUNK_TASK, args=[job.id, first, sorted(sent.left)], retry=True, retry_policy=_RETRY
        )
        sent.sent_at = self._clock()
