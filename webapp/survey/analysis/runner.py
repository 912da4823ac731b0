"""Works through the survey jobs of the database: the one long-running part of surveys.

One thread claims jobs; each has a thread that hands its files to an executor: by default to the
workers of this process (``webapp.survey.analysis.chunks``), picture by picture in fair turns. A
job that has had its time while others wait for a thread is given back and goes on later, so that
one picture never waits for thousands. Under eventlet the threads are green; nothing here
decodes, infers or computes, so the server stays responsive: pictures go to the inference
workers, videos to a decoder process and the report to a process of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from webapp.database.survey_tables import Job, Survey
from webapp.errors import MienError, NotFound, StorageUnavailable
from webapp.files.reserve import DiskReserve
from webapp.settings import Settings
from webapp.survey.analysis.chunks import Chunk, Item, work_on
from webapp.survey.analysis.fair_turns import FairTurns, InTurn
from webapp.survey.analysis.job_table import JobQueue, fair_owner
from webapp.survey.analysis.outcomes import Analyzer, ModelChanged
from webapp.survey.analysis.progress import Progress, RateMeter
from webapp.survey.calendar import Calendar
from webapp.survey.catalog import Catalog
from webapp.survey.ledger import ledger_of

_log = logging.getLogger(__name__)
POLL_S = 2.0
MAX_ACTIVE = 8  # analyses at a time; more take turns of
SLICE_S = 5.0
MAX_REPORTS = 2  # reports made at a time: each is a process of its own

ServiceFor = Callable[[str], AbstractContextManager[Analyzer]]
Reporter = Callable[[Job], None]
Listener = Callable[[Progress], None]
Watch = Callable[[int], str | None]
Executor = Callable[[Job, Survey, list[Item], Watch], str]


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


@dataclass(slots=True)
class _Active:
    """A job that this process works on; ``owner`` is whose turns it takes."""

    owner: str
    since: float = field(default_factory=time.monotonic)
    reporting: bool = False
    yields: bool = False  # it shall be given back


class JobRunner:
    """Claims jobs and works on up to ``MAX_ACTIVE`` of them with ``parallel`` requests in flight.

    ``service_for(version)`` opens the service that answers with that model; ``report(job)`` makes
    the report of a finished job; ``listen`` is called with progress at most twice a second.
    ``executor`` does the files of a job in another way than with the workers of this process.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: Settings,
        service_for: ServiceFor,
        report: Reporter,
        listen: Listener | None = None,
        queue_: JobQueue | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._catalog = catalog
        self._settings = settings
        self._service_for = service_for
        self._report = report
        self._executor = executor or self._embedded
        self._listen = listen or (lambda _progress: None)
        self.jobs = queue_ or JobQueue(catalog.store)
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._turns = FairTurns(self.parallel)
        self._active: dict[int, _Active] = {}  # by job, longest active first
        self._reports = threading.Semaphore(MAX_REPORTS)
        self._swept_at = 0.0
        self._calendar = Calendar()

    @property
    def parallel(self) -> int:
        """Requests in flight; two for each worker keep it fed without holding live requests up."""
        return self._settings.survey_parallel or 2 * self._settings.worker_count

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
        until = time.monotonic() + 10
        while self._active and time.monotonic() < until:
            time.sleep(0.02)

    def wake(self) -> None:
        """A job was queued: look now and not at the next poll."""
        self._wake.set()

    def _loop(self) -> None:
        while not self._closing.is_set():
            try:
                self._fill()
                self._renew_reporting()
                self._sweep()
            except Exception:  # noqa: BLE001 - the runner must outlive a database that is away
                _log.exception("Survey jobs cannot be worked on now; trying again")
            self._wake.wait(POLL_S)
            self._wake.clear()

    def _fill(self) -> None:
        """Start what waits; where all threads are taken, have the longest active job yield."""
        while len(self._active) < MAX_ACTIVE:
            job = self._claim()
            if job is None:
                return
            name = f"survey-job-{job.id}"
            threading.Thread(target=self._run_apart, args=(job,), name=name, daemon=True).start()
        longest = next(iter(list(self._active.values())), None)
        if (
            longest is not None
            and time.monotonic() - longest.since > SLICE_S
            and self.jobs.waiting(self._owners())
        ):
            longest.yields = True

    def _owners(self) -> dict[int, str]:
        return {job_id: active.owner for job_id, active in list(self._active.items())}

    def _claim(self) -> Job | None:
        job = self.jobs.claim(self._owners())
        if job is not None:
            try:
                owner = fair_owner(self._catalog.get(job.survey_id))
            except NotFound:  # deleted this moment; working on the job will say so
                owner = job.survey_id
            self._active[job.id] = _Active(owner)
        return job

    def _renew_reporting(self) -> None:
        """A report takes long and renews nothing by itself."""
        for job_id, active in list(self._active.items()):
            if active.reporting:
                self.jobs.renew(job_id)

    def _run_apart(self, job: Job) -> None:
        try:
            self._run(job)
        except Exception:  # noqa: BLE001 - the database or the store is away
            _log.exception("Survey job %s cannot be worked on now; trying again", job.id)
        else:
            self._wake.set()  # there is room for another

    def _sweep(self) -> None:
        now = time.monotonic()
        if self._swept_at and now - self._swept_at < self._settings.survey_sweep_s:
            return
        self._swept_at = now
        swept = self._catalog.sweep(
            self._calendar.now(),
            self._settings.survey_unanalysed_days,
            self._settings.survey_part_hours,
        )
        if self._catalog.store.url.startswith("sqlite"):
            DiskReserve(self._settings.instance_path, self._settings.disk_reserve_mb).hold()
        if swept:
            _log.info("Deleted the pictures of %d surveys past their date", len(swept))

    def run_one(self) -> bool:
        """Work on one job until it ends or the runner stops; False when none waits."""
        job = self._claim()
        if job is None:
            return False
        self._run(job)
        return True

    def _run(self, job: Job) -> None:
        try:
            self._work(job)
        except (OperationalError, InterfaceError, StorageUnavailable):
            with suppress(SQLAlchemyError):  # the database or store is away: no fault of the job
                self.jobs.release(job.id)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this job only
            message = error.message if isinstance(error, MienError) else repr(error)
            if not self.jobs.set_state(job.id, "failed", error=message):
                _log.info("Survey job %s ended: it was deleted, or is another's by now", job.id)
                return
            _log.exception("Survey job %s failed", job.id)
            self._notify(job, "failed", self.jobs.done_count(job.id), error=message)
        finally:
            self._active.pop(job.id, None)

    def _work(self, job: Job) -> None:
        if job.state != "reporting":
            verdict = self._analyze(job)
            if verdict in ("stopped", "yielded"):
                self.jobs.release(job.id)
                return
            if verdict == "lost":
                return
            if verdict == "cancelled":
                self.jobs.set_state(job.id, "cancelled")
                self._notify(job, "cancelled", self.jobs.done_count(job.id))
                return
            if not self.jobs.set_state(job.id, "reporting"):
                return
        self._notify(job, "reporting", job.total)
        self._active[job.id].reporting = True
        with self._reports:
            self._report(job)
        with self._catalog.store.session() as session:
            kept = ledger_of(session, job.survey_id, job.id).to_json()
            written = session.scalar(select(Job.summary).where(Job.id == job.id)) or {}
        if not self.jobs.set_state(job.id, "done", summary=written | {"ledger": kept}):
            return
        survey = self._catalog.get(job.survey_id)
        if survey.keep_until is None:
            self._catalog.delete_pictures(survey.id)
        self._notify(job, "done", job.total)

    def _analyze(self, job: Job) -> str:
        """Work until nothing is pending: "finished", "cancelled", "lost", "stopped", "yielded"."""
        survey = self._catalog.get(job.survey_id)
        while True:
            pending = self.jobs.pending(job)
            if not pending:
                return "finished"
            try:
                verdict = self._executor(job, survey, pending, self._watch(job))
            except ModelChanged:
                continue  # open the job's own model and go on with what is left
            if verdict != "finished":
                return verdict

    def _embedded(self, job: Job, survey: Survey, pending: list[Item], watch: Watch) -> str:
        """The executor that works in this process, with its inference workers."""
        with self._service_for(job.model_version) as service:
            chunk = Chunk(
                job,
                survey,
                InTurn(service, self._turns, self._active[job.id].owner),
                self._catalog.files,
                self._catalog.folders,
                self.parallel,
                self._settings.survey_max_video_s,
            )
            return work_on(chunk, pending, lambda batch: self.jobs.write(job.id, batch), watch)

    def _watch(self, job: Job) -> Watch:
        """Called with the files done since now: renews the claim, sends progress, and says
        when to stop.
        """
        meter = RateMeter()
        before = self.jobs.done_count(job.id)
        renewed = time.monotonic()

        def watch(written: int) -> str | None:
            nonlocal renewed
            now = time.monotonic()
            state = self.jobs.renew(job.id, now - renewed)
            renewed = now
            self._notify(job, "running", before + written, meter.mark(written))
            if state != "ok":
                return "cancelled" if state == "cancel" else "lost"
            if self._closing.is_set():
                return "stopped"
            return "yielded" if self._active[job.id].yields else None

        return watch

    def _notify(
        self, job: Job, state: str, done: int, rate: float | None = None, error: str | None = None
    ) -> None:
        eta_s = (job.total - done) / rate if rate else None
        counts = self.jobs.counts(job.id)
        self._listen(
            Progress(job.survey_id, job.id, state, done, job.total, rate, eta_s, counts, error)
        )


def latest_job(catalog: Catalog, survey_id: str) -> Job | None:
    """The newest job of a survey, or None."""
    with catalog.store.session() as session:
        query = select(Job).where(Job.survey_id == survey_id).order_by(Job.id.desc()).limit(1)
        return session.scalar(query)
