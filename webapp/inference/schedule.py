"""Which request goes next: a bounded queue with three priorities.

- Live requests go first, in the order they came.
- Frames of studies, whose result may come late, go next in the order they came. After
  ``LIVE_IN_A_ROW`` live ones, one of theirs goes first: they never stand still.
- So that a survey still advances on a server that both keep fully busy, one batch request that has
  waited for ``BATCH_TURN_S`` goes before them, at most once in that time.
- While either was seen in the last ``LIVE_RECENT_S``, batch requests occupy at most all
  workers but one (with a single worker: that one, for one picture at a time), so that a live
  frame rarely waits for a large picture. Without live traffic batch takes every worker.
- A request leaves the queue at its deadline; nothing in it grows without bound.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from webapp.domain import ReadRequest
from webapp.errors import InferenceUnavailable, MienError
from webapp.inference.protocol import Result

Priority = Literal["live", "study", "batch"]

BATCH_TURN_S = 1.0
LIVE_RECENT_S = 5.0
LIVE_IN_A_ROW = 2


class Job:
    """One picture that a caller waits for.

    ``deadline`` is in seconds of ``time.monotonic()``. The caller waits with :meth:`wait`; the
    worker's thread calls :meth:`finish`. A caller that has left reads nothing any more, so a late
    outcome reaches nobody.
    """

    __slots__ = (
        "_done",
        "deadline",
        "image",
        "outcome",
        "priority",
        "request",
        "submitted",
        "taken",
    )

    def __init__(
        self, image: bytes, request: ReadRequest, priority: Priority, timeout_s: float
    ) -> None:
        self.image = image
        self.request = request
        self.priority = priority
        self.submitted = time.monotonic()
        self.deadline = self.submitted + timeout_s
        self.taken = False
        self.outcome: Result | MienError | None = None
        self._done = threading.Event()

    def finish(self, outcome: Result | MienError) -> None:
        """Give the caller its outcome; only the first one counts."""
        if self.outcome is None:
            self.outcome = outcome
            self._done.set()

    def wait(self) -> Result | MienError | None:
        """The outcome, or None when the deadline came first."""
        self._done.wait(max(0.0, self.deadline - time.monotonic()))
        return self.outcome


class JobQueue:
    """Waiting jobs, shared by the callers and one thread per worker."""

    def __init__(
        self,
        workers: int,
        *,
        max_live: int,
        max_study: int,
        max_batch: int,
        max_bytes: int = 256 << 20,
    ) -> None:
        self._workers = workers
        self._limits: dict[Priority, int] = {
            "live": max_live,
            "study": max_study,
            "batch": max_batch,
        }
        self._max_bytes = max_bytes
        self._bytes = 0
        self._waiting: dict[Priority, deque[Job]] = {name: deque() for name in self._limits}
        self._live_in_a_row = 0  # while a study waits
        self._batch_running = 0
        self._last_live = -LIVE_RECENT_S
        self._last_batch = -BATCH_TURN_S
        self._closed = False
        # a plain Lock: nobody takes it twice, and under eventlet an RLock is pure Python
        self._changed = threading.Condition(threading.Lock())

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    def depth(self, priority: Priority) -> int:
        """Jobs of that priority that wait for a worker."""
        return len(self._waiting[priority])

    def put(self, job: Job) -> None:
        """Queue a job. Raises :class:`InferenceUnavailable` when the queue is full or closed."""
        with self._changed:
            waiting = self._waiting[job.priority]
            if self._closed:
                raise InferenceUnavailable("The inference service is stopped.")
            if len(waiting) >= self._limits[job.priority]:
                raise InferenceUnavailable(
                    f"{len(waiting)} {job.priority} requests are waiting already; "
                    "send fewer at a time or try again later.",
                    waiting=len(waiting),
                )
            if self._bytes and self._bytes + len(job.image) > self._max_bytes:
                raise InferenceUnavailable(
                    f"{self._bytes} bytes of pictures are waiting already; try again later.",
                    waiting=len(self),
                )
            waiting.append(job)
            self._bytes += len(job.image)
            if job.priority != "batch":
                self._last_live = job.submitted
            self._changed.notify()

    def put_back(self, job: Job) -> None:
        """Return a job to the head: its worker died before it had the whole request."""
        with self._changed:
            self._release(job)
            if self._closed:
                job.finish(InferenceUnavailable("The inference service is stopped."))
                return
            if job.deadline <= time.monotonic():  # its caller has left and will not discard it
                return
            self._waiting[job.priority].appendleft(job)
            self._bytes += len(job.image)
            self._changed.notify()

    def discard(self, job: Job) -> None:
        """Forget a job whose caller has left; a job that a worker has taken is not touched."""
        with self._changed:
            if job in self._waiting[job.priority]:
                self._waiting[job.priority].remove(job)
                self._bytes -= len(job.image)

    def take(self, leave: Callable[[], bool], timeout_s: float) -> Job | None:
        """The next job for a worker, or None after ``timeout_s`` or once ``leave()`` is true.

        Whoever takes a job gives it back with :meth:`release` or :meth:`put_back`.
        """
        end = time.monotonic() + timeout_s
        with self._changed:
            while not self._closed and not leave():
                now = time.monotonic()
                job = self._next(now)
                if job is not None:
                    job.taken = True
                    return job
                if now >= end:
                    return None
                self._changed.wait(end - now)
            # this thread may have used up the one notification that a waiting job gave
            self._changed.notify()
            return None

    def release(self, job: Job) -> None:
        """The worker is through with a job it took."""
        with self._changed:
            self._release(job)

    def wake(self) -> None:
        """Let every waiting worker thread look at its ``leave`` again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Refuse everything from now on; the callers that wait get an error."""
        with self._changed:
            self._closed = True
            for jobs in self._waiting.values():
                for job in jobs:
                    job.finish(InferenceUnavailable("The inference service is stopped."))
                jobs.clear()
            self._bytes = 0
            self._changed.notify_all()

    def _release(self, job: Job) -> None:
        job.taken = False
        if job.priority == "batch":
            self._batch_running -= 1
            self._changed.notify()

    def _next(self, now: float) -> Job | None:
        live, study, batch = self._waiting["live"], self._waiting["study"], self._waiting["batch"]
        spare = 1 if self._workers > 1 and now - self._last_live < LIVE_RECENT_S else 0
        batch_may = bool(batch) and self._batch_running < self._workers - spare
        owed = (
            batch_may
            and now - batch[0].submitted >= BATCH_TURN_S
            and now - self._last_batch >= BATCH_TURN_S
        )
        if live and not owed and not (study and self._live_in_a_row >= LIVE_IN_A_ROW):
            job = live.popleft()
            self._live_in_a_row += bool(study)
        elif study and not owed:
            job = study.popleft()
            self._live_in_a_row = 0
        elif batch_may:
            job = batch.popleft()
            self._batch_running += 1
            self._last_batch = now
        else:
            return None
        self._bytes -= len(job.image)
        return job
