"""One worker's place: its thread keeps a process running there and gives it jobs.

The thread starts the process, hands it one job after the other, and starts a new one when it
dies, hangs or stops answering pings. A process that has grown too large serves on until its
successor is ready.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from webapp.errors import InferenceUnavailable, MienError, WorkerCrashed
from webapp.inference.budget import RestartBudget
from webapp.inference.codec import pack_box
from webapp.inference.process import Answer, WorkerProcess, WorkerSpec
from webapp.inference.protocol import ConnectionClosed, Ping, ProtocolError, Result
from webapp.inference.schedule import Job, JobQueue

log = logging.getLogger("mien.inference")

PING_EVERY_S = 1.0
PONG_WITHIN_S = 3.0
MEMORY_EVERY_S = 0.5
BACK_OFF_LOOK_S = 0.2
MEMORY_GROWTH = 1.25


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker now.

    ``state`` is ``starting``, ``idle``, ``busy``, ``backoff`` or ``stopped``. ``restarts`` counts
    unplanned restarts since the service started, ``busy_ms`` the age of the request in hand;
    ``queue`` is the number of requests that wait for any worker.
    """

    index: int
    state: str
    pid: int | None
    version: str | None
    restarts: int
    replaced: int
    rss_mb: float
    in_flight: int
    busy_ms: float
    answered: int
    queue: int
    last_error: str | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Slot:
    """See the module. ``tried`` is set once the first process is ready or has failed.

    ``target()`` is the folder to serve and its generation; a process of another is replaced.
    """

    def __init__(
        self,
        index: int,
        spec: WorkerSpec,
        queue: JobQueue,
        stopping: threading.Event,
        restart_budget: int,
        target: Callable[[], tuple[Path, int]],
    ) -> None:
        self.index = index
        self.process: WorkerProcess | None = None
        self.state = "starting"
        self.restarts = 0
        self.replaced = 0
        self.answered = 0
        self.last_error: MienError | None = None
        self.tried = threading.Event()
        self.next_start = 0.0
        self._spec = spec
        self._queue = queue
        self._stopping = stopping
        self._budget = RestartBudget(restart_budget)
        self._target = target
        self._successor: WorkerProcess | None = None
        self._growth: threading.Thread | None = None
        self._memory_checked = 0.0
        self._busy_since = 0.0
        self._lived_s = 0.0
        self.thread = threading.Thread(target=self._run, name=f"inference-{index}", daemon=True)

    def status(self) -> WorkerStatus:
        process, state = self.process, self.state
        busy = state == "busy"
        return WorkerStatus(
            index=self.index,
            state=state,
            pid=process.pid if process else None,
            version=(process.version or None) if process else None,
            restarts=self.restarts,
            replaced=self.replaced,
            rss_mb=round(process.rss_mb(), 1) if process else 0.0,
            in_flight=int(busy),
            busy_ms=round((time.monotonic() - self._busy_since) * 1000, 1) if busy else 0.0,
            answered=self.answered,
            queue=len(self._queue),
            last_error=self.last_error.message if self.last_error else None,
        )

    @property
    def ready(self) -> WorkerProcess | None:
        """The process when it takes requests."""
        process = self.process
        return process if process and process.alive and self.state in ("idle", "busy") else None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                failed = self._live()
            except Exception:
                # a mistake here must cost one restart, not the worker for good
                log.exception("worker %d: its supervisor failed", self.index)
                failed = True
                if self.process is not None:
                    self._reap(self.process, crashed=True)
            self.tried.set()
            if failed and not self._stopping.is_set():
                self._back_off()
        growth = self._growth  # it clears the attribute when it ends
        if growth is not None:
            growth.join()
        if self._successor is not None:
            self._successor.stop()
        self.process = None
        self.state = "stopped"

    def _live(self) -> bool:
        """From one start to the end of that process or its last successor; whether it failed."""
        self.state = "starting"
        process = self.process = self._start(successor=False)
        if process is None:
            return True
        self.state = "idle"
        self.tried.set()
        while True:
            self._serve(process)
            successor, self._successor = self._successor, None
            if successor is None:
                break
            self.process = successor
            self.replaced += 1
            self._reap(process, crashed=False)
            process = successor
        self.state = "starting"
        failed = not process.alive and not self._stopping.is_set()
        self._reap(process, failed)
        return failed

    def _start(self, *, successor: bool) -> WorkerProcess | None:
        """A process that is ready, or None; ``last_error`` then says why."""
        timeout_s = self._spec.start_timeout_s
        began = time.monotonic()
        folder, generation = self._target()
        try:
            process = WorkerProcess(self._spec, folder, generation, self._queue.wake)
        except OSError as error:
            self.last_error = InferenceUnavailable(f"A worker cannot be started: {error}")
            log.error("%s", self.last_error.message)
            return None
        if not successor:
            self.process = process
        while not process.wait_ready(0.2) and process.alive:
            if self._stopping.is_set() or time.monotonic() - began > timeout_s:
                break
        if process.ready and not self._stopping.is_set():
            took_ms = (time.monotonic() - began) * 1000
            log.info("worker %d: pid %d ready in %.0f ms", self.index, process.pid, took_ms)
            return process
        if self._stopping.is_set():
            process.stop()
            return None
        why = f"was not ready within {timeout_s:.0f} s"
        if process.alive:
            process.kill(why)
        else:
            process.stop()
            why = f"ended before it was ready ({process.exit_text()})"
        self.last_error = process.start_error or InferenceUnavailable(f"A worker {why}.")
        log.error("worker %d: %s", self.index, self.last_error.message)
        return None

    def _serve(self, process: WorkerProcess) -> None:
        """Give it jobs until it is dead, outdated, has a successor, or the service stops."""

        def leave() -> bool:
            return (
                not process.alive
                or self._successor is not None
                or self._stopping.is_set()
                or process.generation < self._target()[1]
            )

        while not leave():
            job = self._queue.take(leave, PING_EVERY_S)
            if job is not None:
                self._hand_over(process, job)
            elif not leave() and not self._answers(process):
                process.kill("did not answer a ping", trace=True)
            self._check_memory(process)

    def _hand_over(self, process: WorkerProcess, job: Job) -> None:
        def deliver(answer: Answer) -> None:
            if isinstance(answer, Result | MienError):
                job.finish(answer)
            else:
                job.finish(MienError(f"A worker answered a picture with {answer.kind}."))

        self._busy_since = time.monotonic()
        self.state = "busy"
        taken, asked = True, job.request
        try:
            call = process.analyze(
                deliver,
                payload=job.image,
                regions=None if asked.regions is None else [pack_box(b) for b in asked.regions],
                upsample=asked.upsample,
                max_faces=asked.max_faces,
                mirror=asked.mirror,
                turn=asked.turn,
            )
            if not call.wait(self._spec.hang_s):
                limit = f"{self._spec.hang_s * 1000:.0f} ms"
                job.finish(
                    WorkerCrashed(f"Reading this picture took longer than {limit} and was ended.")
                )
                process.kill(f"was busy with one request for {limit}", trace=True)
            self.answered += 1
        except ConnectionClosed:
            # it never had the whole request: another worker may have it
            process.kill("closed its connection")
            taken = False
            self._queue.put_back(job)
        except ProtocolError as error:
            job.finish(MienError(f"The request cannot be sent: {error}"))
        finally:
            if taken:
                self._queue.release(job)
        self.state = "idle"

    def _answers(self, process: WorkerProcess) -> bool:
        try:
            return process.post(Ping).wait(PONG_WITHIN_S)
        except ConnectionClosed:
            return False

    def _check_memory(self, process: WorkerProcess) -> None:
        now = time.monotonic()
        limit_mb = float(self._spec.memory_mb)
        if not limit_mb or self._growth is not None or now - self._memory_checked < MEMORY_EVERY_S:
            return
        self._memory_checked = now
        # a limit below what a fresh worker needs must not replace workers for ever
        limit_mb = max(limit_mb, MEMORY_GROWTH * process.base_rss_mb)
        rss_mb = process.rss_mb()
        if rss_mb > limit_mb:
            log.warning(
                "worker %d holds %.0f MB (limit %.0f MB) and is replaced",
                self.index,
                rss_mb,
                limit_mb,
            )
            self._growth = threading.Thread(
                target=self._grow, name=f"inference-{self.index}-successor", daemon=True
            )
            self._growth.start()

    def _grow(self) -> None:
        self._successor = self._start(successor=True)
        self._growth = None
        self._queue.wake()

    def _reap(self, process: WorkerProcess, crashed: bool) -> None:
        process.stop()
        if crashed:
            self.last_error = WorkerCrashed(f"A worker ended ({process.exit_text()}).")
            log.error("worker %d: pid %d ended (%s)", self.index, process.pid, process.exit_text())
            self._lived_s = time.monotonic() - process.started
        if self.process is process:
            self.process = None

    def _back_off(self) -> None:
        self.restarts += 1
        now = time.monotonic()
        delay_s = self._budget.delay_s(now, self._lived_s)
        self._lived_s = 0.0
        if delay_s:
            self.next_start = now + delay_s
            self.state = "backoff"
            log.error("worker %d is started again in %.0f s", self.index, delay_s)
            generation = self._target()[1]
            while time.monotonic() < self.next_start and not self._stopping.is_set():
                if self._target()[1] != generation:
                    break  # another version: what made it fail may be gone
                self._stopping.wait(min(BACK_OFF_LOOK_S, delay_s))
