"""What the rest of the web process uses: pictures in, results out, from worker processes.

Callers block. With real threads each caller is a thread; under eventlet's
monkey-patching each is a greenlet, because nothing here waits in anything but the standard
library's ``threading`` and ``socket``. This module imports no vision code.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from webapp.domain import SCAN, FrameResult, ReadRequest
from webapp.errors import (
    InferenceTimeout,
    InferenceUnavailable,
    MienError,
    PayloadTooLarge,
)
from webapp.inference import DEFAULT_PIPELINE
from webapp.inference.codec import unpack_result
from webapp.inference.outcomes import Outcomes
from webapp.inference.process import WorkerSpec
from webapp.inference.protocol import MAX_PAYLOAD_BYTES
from webapp.inference.schedule import Job, JobQueue, Priority
from webapp.inference.slot import WorkerStatus
from webapp.inference.supervisor import Supervisor
from webapp.settings import Settings

BATCH_TIMEOUT_MS = 60_000
MAX_BATCH_WAITING = 256
MIN_LIVE_WAITING = 64

__all__ = ["InferenceService", "Priority", "WorkerStatus"]


class InferenceService:
    """Inference for the live path, the API, surveys and the administrator.

    ``pipeline`` (``module:factory``) and ``transport`` (``unix`` or ``tcp``) replace the vision
    pipeline and the connection in tests and benchmarks. ``background`` workers run only when
    nobody else wants the processor.
    """

    def __init__(
        self,
        settings: Settings,
        version_folder: Path,
        *,
        pipeline: str = DEFAULT_PIPELINE,
        transport: str | None = None,
        background: bool = False,
    ) -> None:
        self._timeout_ms: dict[Priority, int] = {
            "live": settings.inference_timeout_ms,
            "study": settings.study_frame_timeout_ms,
            "batch": BATCH_TIMEOUT_MS,
        }
        workers = settings.worker_count
        spec = WorkerSpec(
            max_pixels=settings.max_image_pixels,
            memory_mb=settings.worker_memory_mb,
            start_timeout_s=settings.worker_start_timeout_ms / 1000,
            hang_s=settings.worker_hang_ms / 1000,
            pipeline=pipeline,
            transport=transport,
            log_level=settings.log_level,
            log_format=settings.log_format,
            sandbox=settings.worker_sandbox,
            user=settings.worker_user,
            background=background,
            detector_model=settings.detector_model
            and str(Path(settings.detector_model).absolute()),
        )
        self._max_faces = settings.max_faces
        self.outcomes = Outcomes()
        # called with each live picture and its result, in the caller's thread: must return at once
        self.on_live: Callable[[bytes, ReadRequest, FrameResult], None] | None = None
        # every connection has one frame in flight; the rest is for the API, and for frames of
        # connections that have just ended
        self._queue = JobQueue(
            workers,
            max_live=max(MIN_LIVE_WAITING, 2 * settings.live_max_sessions),
            max_study=2 * settings.study_max_connections,
            max_batch=MAX_BATCH_WAITING,
        )
        self._supervisor = Supervisor(
            spec, version_folder, workers, settings.worker_restart_budget, self._queue
        )

    @property
    def version(self) -> str:
        """The version that new requests are read with; empty before :meth:`start`."""
        return self._supervisor.version

    def start(self) -> None:
        """Start the workers and wait until they are ready; a service starts once.

        Raises :class:`ModelInvalid` for a version that cannot be used and
        :class:`InferenceUnavailable` when no worker can be started; nothing runs then.
        """
        self._supervisor.start()

    def stop(self) -> None:
        """End the workers. Waiting callers get :class:`InferenceUnavailable`; may be repeated."""
        self._supervisor.stop()

    def status(self) -> list[WorkerStatus]:
        """Every worker now, in a fixed order."""
        return self._supervisor.status()

    def reload(self, version_folder: Path) -> None:
        """Swap all workers to another version or none; no request is lost or waits for it.

        Raises :class:`ModelInvalid` when a worker cannot load it, :class:`WorkerCrashed` when
        one dies of it, :class:`InferenceUnavailable` when one is too slow or none is ready. The
        old version then serves on.
        """
        self._supervisor.reload(version_folder)

    def redirect(self, version_folder: Path, version: str) -> None:
        """Let workers that start from now on serve a version, where none lives to be swapped."""
        self._supervisor.redirect(version_folder, version)

    def analyze(
        self,
        image: bytes,
        *,
        request: ReadRequest = SCAN,
        priority: Priority = "live",
        timeout_ms: int | None = None,
    ) -> FrameResult:
        """Read one encoded picture; blocks until there is a result or an error.

        ``timeout_ms`` counts from this call and includes the wait for a worker; by default it is
        the setting ``inference_timeout_ms`` for live requests, ``study_frame_timeout_ms`` for
        those of studies and ``BATCH_TIMEOUT_MS`` for batch ones. In the result
        ``timings_ms["wait"]`` is all the time that was not spent by the worker itself: the queue,
        and the way there and back. ``model`` names the version that read this picture.

        Raises the picture errors (:class:`UnsupportedImage`, :class:`CorruptImage`,
        :class:`ImageTooLarge`, :class:`PayloadTooLarge`), :class:`InferenceUnavailable` when no
        worker can take it, :class:`InferenceTimeout` when none answered in time and
        :class:`WorkerCrashed` when the worker died of it. An error is never an empty result.
        """
        serving = self.version
        request = replace(request, max_faces=request.max_faces or self._max_faces)
        try:
            result = self._read(image, request, priority, timeout_ms)
        except MienError as error:
            self.outcomes.failed(serving, error)
            raise
        self.outcomes.answered(result.model)
        if self.on_live is not None and priority != "batch":
            self.on_live(image, request, result)
        return result

    def _read(
        self, image: bytes, request: ReadRequest, priority: Priority, timeout_ms: int | None
    ) -> FrameResult:
        if len(image) > MAX_PAYLOAD_BYTES:
            raise PayloadTooLarge(
                f"Expected a picture of at most {MAX_PAYLOAD_BYTES} bytes. Received {len(image)}.",
                bytes=len(image),
            )
        limit_ms = self._timeout_ms[priority] if timeout_ms is None else timeout_ms
        self._refuse_in_back_off(limit_ms / 1000)
        job = Job(image, request, priority, limit_ms / 1000)
        self._queue.put(job)
        try:
            outcome = job.wait()
        finally:
            # also when the caller's thread or greenlet is being ended
            self._queue.discard(job)
        if outcome is None:
            raise self._late(job, limit_ms)
        if isinstance(outcome, MienError):
            raise outcome
        waited_ms = (time.monotonic() - job.submitted) * 1000 - outcome.busy_ms
        try:
            return unpack_result(outcome.result, wait=max(0.0, waited_ms))
        except (KeyError, TypeError, ValueError) as error:
            raise MienError(f"The worker's result cannot be read: {error!r}") from error

    def _refuse_in_back_off(self, timeout_s: float) -> None:
        next_start_s = self._supervisor.next_start_s()
        if self._supervisor.version and next_start_s <= timeout_s:
            return
        if not self._supervisor.version:
            raise InferenceUnavailable("The inference service is not started.")
        raise InferenceUnavailable(
            "Every inference worker has failed repeatedly; the next one is started in "
            f"{next_start_s:.0f} s.",
            retry_after_s=round(next_start_s, 1),
        )

    def _late(self, job: Job, limit_ms: float) -> MienError:
        if not job.taken and all(slot.ready is None for slot in self._supervisor.slots):
            return InferenceUnavailable(
                f"No inference worker was ready within {limit_ms:.0f} ms; one is being started."
            )
        held = "is still reading the picture" if job.taken else "was free to read the picture"
        who = "A worker" if job.taken else "No worker"
        return InferenceTimeout(f"{who} {held} after {limit_ms:.0f} ms.", timeout_ms=limit_ms)
