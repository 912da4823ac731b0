"""Works through the survey jobs of the database: the one long-running part of surveys.

One thread claims a job, a few more keep the inference workers fed, and outcomes are written in
small transactions by the first. Under eventlet the threads are green; nothing here decodes,
infers or computes, so the server stays responsive: pictures go to the inference workers, videos
to a decoder process and the report to a process of its own.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from webapp.errors import CorruptImage, MienError
from webapp.settings import Settings
from webapp.store import Job, Survey, utcnow
from webapp.survey import ledger
from webapp.survey.analysis import (
    Analyzer,
    Judgement,
    ModelChanged,
    Stopped,
    analyze_picture,
    analyze_video,
)
from webapp.survey.catalog import Catalog
from webapp.survey.jobqueue import JobQueue
from webapp.survey.media import VIDEO
from webapp.survey.progress import Progress, RateMeter
from webapp.survey.video import sample_in_process

_log = logging.getLogger(__name__)
FLUSH_S = 0.4
FLUSH_FILES = 64
POLL_S = 2.0

ServiceFor = Callable[[str], AbstractContextManager[Analyzer]]
Reporter = Callable[[Job], None]
Listener = Callable[[Progress], None]


@dataclass(slots=True)
class _Run:
    """One stretch of work on a job."""

    job: Job
    survey: Survey
    stop: threading.Event
    trouble: BaseException | None = None


def shared(service: Analyzer) -> ServiceFor:
    """Always the one service; a job for another model then fails with a clear error."""

    def service_for(version: str) -> AbstractContextManager[Analyzer]:
        if service.version != version:
            raise MienError(
                f"The model {version} serves no more ({service.version} does); "
                "start the analysis again."
            )
        return nullcontext(service)

    return service_for


class JobRunner:
    """Claims jobs one after another and works on each with ``parallel`` requests in flight.

    ``service_for(version)`` opens the service that answers with that model; ``report(job)`` makes
    the report of a finished job; ``listen`` is told of progress at most twice a second.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: Settings,
        service_for: ServiceFor,
        report: Reporter,
        listen: Listener | None = None,
        queue_: JobQueue | None = None,
    ) -> None:
        self._catalog = catalog
        self._settings = settings
        self._service_for = service_for
        self._report = report
        self._listen = listen or (lambda _progress: None)
        self.jobs = queue_ or JobQueue(catalog.store)
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._swept_at = 0.0

    @property
    def parallel(self) -> int:
        """Requests in flight; two for each worker keep it fed without holding live requests up."""
        return int(self._settings.survey_parallel) or 2 * self._settings.worker_count

    def start(self) -> None:
        """Begin to work in the background, first on what an earlier process left unfinished."""
        self._thread = threading.Thread(target=self._loop, name="survey-jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop soon; what is unfinished stays in the database for the next start."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def wake(self) -> None:
        """A job was queued: look now and not at the next poll."""
        self._wake.set()

    def _loop(self) -> None:
        while not self._closing.is_set():
            try:
                worked = self.run_one()
                self._sweep()
            except Exception:  # noqa: BLE001 - the runner must outlive a database that is away
                _log.exception("Survey jobs cannot be worked on now; trying again")
                worked = False
            if not worked:
                self._wake.wait(POLL_S)
            self._wake.clear()

    def _sweep(self) -> None:
        now = time.monotonic()
        if self._swept_at and now - self._swept_at < self._settings.survey_sweep_s:
            return
        self._swept_at = now
        swept = self._catalog.sweep(utcnow(), int(self._settings.survey_unanalysed_days))
        if swept:
            _log.info("Deleted the pictures of %d surveys past their date", len(swept))

    def run_one(self) -> bool:
        """Work on one job until it ends or the runner stops; False when none waits."""
        job = self.jobs.claim()
        if job is None:
            return False
        try:
            self._work(job)
        except OperationalError:
            self.jobs.release(job.id)  # the database is away or locked: no fault of the job
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this job only
            message = error.message if isinstance(error, MienError) else repr(error)
            _log.exception("Survey job %s failed", job.id)
            self.jobs.set_state(job.id, "failed", error=message)
            self._tell(job, "failed", self.jobs.done_count(job.id), error=message)
        return True

    def _work(self, job: Job) -> None:
        if job.state != "reporting":
            verdict = self._analyze(job)
            if verdict == "stopped":
                self.jobs.release(job.id)
                return
            if verdict == "lost":
                return
            if verdict == "cancelled":
                self.jobs.set_state(job.id, "cancelled")
                self._tell(job, "cancelled", self.jobs.done_count(job.id))
                return
            if not self.jobs.set_state(job.id, "reporting"):
                return
        self._tell(job, "reporting", job.total)
        self._report(job)
        if not self.jobs.set_state(job.id, "done"):
            return
        survey = self._catalog.get(job.survey_id)
        if survey.keep_until is None:
            self._catalog.delete_pictures(survey.id)
        self._tell(job, "done", job.total)

    def _analyze(self, job: Job) -> str:
        """Work until nothing is pending: "finished", "cancelled", "lost" or "stopped"."""
        survey = self._catalog.get(job.survey_id)
        while True:
            pending = self.jobs.pending(job)
            if not pending:
                return "finished"
            run = _Run(job, survey, threading.Event())
            with self._service_for(job.model_version) as service:
                verdict = self._stretch(run, service, pending)
            if isinstance(run.trouble, ModelChanged):
                continue  # open the job's own model and go on with what is left
            if run.trouble is not None:
                raise run.trouble
            if verdict != "finished":
                return verdict

    def _stretch(self, run: _Run, service: Analyzer, pending: list[tuple[int, str, str]]) -> str:
        todo: queue.Queue[tuple[int, str, str]] = queue.Queue()
        for item in pending:
            todo.put(item)
        results: queue.Queue[tuple[int, Judgement]] = queue.Queue()
        threads = [
            threading.Thread(target=self._feed, args=(run, service, todo, results), daemon=True)
            for _ in range(min(self.parallel, len(pending)))
        ]
        for thread in threads:
            thread.start()
        try:
            return self._collect(run, results, len(pending))
        finally:
            run.stop.set()
            for thread in threads:
                thread.join()

    def _feed(
        self,
        run: _Run,
        service: Analyzer,
        todo: queue.Queue[tuple[int, str, str]],
        results: queue.Queue[tuple[int, Judgement]],
    ) -> None:
        try:
            while not run.stop.is_set():
                try:
                    upload_id, kind, sha = todo.get_nowait()
                except queue.Empty:
                    return
                results.put((upload_id, self._judge(run, service, kind, sha)))
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that collects
            run.trouble = run.trouble or error
            run.stop.set()

    def _judge(self, run: _Run, service: Analyzer, kind: str, sha: str) -> Judgement:
        path = self._catalog.folders.picture(run.survey.id, sha)
        model, faces, stopped = run.job.model_version, run.survey.several_faces, run.stop.is_set
        try:
            if kind == VIDEO:
                frames = sample_in_process(
                    path, run.survey.video_fps, float(self._settings.survey_max_video_s)
                )
                return analyze_video(service, frames, model, faces, stopped)
            return analyze_picture(service, path.read_bytes(), model, faces, stopped)
        except CorruptImage as error:
            return Judgement(ledger.UNREADABLE, error.message)
        except FileNotFoundError:
            if run.stop.is_set():
                raise Stopped from None
            return Judgement(ledger.UNREADABLE, "the file was deleted before it was analysed")

    def _collect(
        self, run: _Run, results: queue.Queue[tuple[int, Judgement]], expected: int
    ) -> str:
        job, meter = run.job, RateMeter()
        before = self.jobs.done_count(job.id)
        written, renewed = 0, time.monotonic()
        verdict = "finished"
        while True:
            batch = list(_drain(results, FLUSH_S, min(FLUSH_FILES, expected - written)))
            self.jobs.write(job.id, batch)
            written += len(batch)
            now = time.monotonic()
            state = self.jobs.renew(job.id, now - renewed)
            renewed = now
            rate = meter.mark(written)
            self._tell(job, "running", before + written, rate)
            if state != "ok":
                return "cancelled" if state == "cancel" else "lost"
            if self._closing.is_set():
                verdict = "stopped"
            if written >= expected or run.stop.is_set() or verdict == "stopped":
                return verdict

    def _tell(
        self, job: Job, state: str, done: int, rate: float | None = None, error: str | None = None
    ) -> None:
        eta_s = (job.total - done) / rate if rate else None
        counts = self.jobs.counts(job.id)
        self._listen(
            Progress(job.survey_id, job.id, state, done, job.total, rate, eta_s, counts, error)
        )


def _drain(
    results: queue.Queue[tuple[int, Judgement]], seconds: float, most: int
) -> Iterator[tuple[int, Judgement]]:
    """What arrives within ``seconds``, at most ``most``: the size of one transaction."""
    until = time.monotonic() + seconds
    for _ in range(most):
        left = until - time.monotonic()
        try:
            yield results.get(timeout=max(0.0, left))
        except queue.Empty:
            return


def latest_job(catalog: Catalog, survey_id: str) -> Job | None:
    """The newest job of a survey, or None."""
    with catalog.store.session() as session:
        query = select(Job).where(Job.survey_id == survey_id).order_by(Job.id.desc()).limit(1)
        return session.scalar(query)
