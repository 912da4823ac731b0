"""All workers together: start, stop, and swap the model version in all of them or in none."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from webapp.errors import InferenceUnavailable, MienError, ModelInvalid, WorkerCrashed
from webapp.inference.process import Call, WorkerProcess, WorkerSpec
from webapp.inference.protocol import Abort, Commit, ConnectionClosed, Done, Prepare
from webapp.inference.schedule import JobQueue
from webapp.inference.slot import Slot, WorkerStatus

log = logging.getLogger("mien.inference")

STOP_WITHIN_S = 5.0


class Supervisor:
    """Owns one :class:`Slot` per worker.

    ``target`` is the folder that every worker shall serve and its generation, which grows with
    each swap; a worker of another generation is replaced.
    """

    def __init__(
        self, spec: WorkerSpec, folder: Path, workers: int, restart_budget: int, queue: JobQueue
    ) -> None:
        self.spec = spec
        self.queue = queue
        self.target: tuple[Path, int] = (folder, 1)
        self.version = ""
        self.stopping = threading.Event()
        self._reloading = threading.Lock()
        self.slots = [
            Slot(index, spec, queue, self.stopping, restart_budget, lambda: self.target)
            for index in range(workers)
        ]

    def start(self) -> None:
        """Start every worker and wait for them.

        Raises the error of the first one when none becomes ready: :class:`ModelInvalid` for a
        version that cannot be used, otherwise :class:`InferenceUnavailable`.
        """
        for slot in self.slots:
            slot.thread.start()
        for slot in self.slots:
            slot.tried.wait()
        ready = self._ready()
        if not ready:
            errors = [slot.last_error for slot in self.slots if slot.last_error]
            self.stop()
            raise errors[0] if errors else InferenceUnavailable("No worker could be started.")
        self.version = ready[0].version

    def stop(self) -> None:
        """End every worker; no process is left."""
        self.stopping.set()
        self.queue.close()
        for slot in self.slots:
            process = slot.process
            if process is not None and slot.state == "starting":
                process.kill("is not needed any more")
        give_up = time.monotonic() + STOP_WITHIN_S
        started = [slot for slot in self.slots if slot.thread.ident is not None]
        for slot in started:
            slot.thread.join(max(0.0, give_up - time.monotonic()))
        for slot in started:
            process = slot.process
            if slot.thread.is_alive() and process is not None:
                process.kill("did not finish its request before the service stopped")
                slot.thread.join()

    def status(self) -> list[WorkerStatus]:
        return [slot.status() for slot in self.slots]

    def next_start_s(self) -> float:
        """Seconds until a worker may take requests again; 0 unless every one is in back-off."""
        if any(slot.state != "backoff" for slot in self.slots):
            return 0.0
        return max(0.0, min(slot.next_start for slot in self.slots) - time.monotonic())

    def reload(self, folder: Path) -> None:
        """Swap every worker to the version in ``folder``, or none.

        Each worker loads the version beside the one that serves and goes on answering. Only
        when all have it do they swap, each between two requests. Whatever goes wrong
        before that leaves all of them as they were and is raised: :class:`ModelInvalid`,
        :class:`WorkerCrashed`, :class:`InferenceUnavailable`. A worker that dies after it starts
        again with the new version.
        """
        with self._reloading:
            processes = self._ready()
            if not processes:
                raise InferenceUnavailable("No worker is ready to load a version; try again.")
            prepared = self._prepare(processes, folder)
            versions = {reply.version for _, _, reply in prepared}
            version = versions.pop()
            if versions:
                self._abort([(process, number) for process, number, _ in prepared])
                raise ModelInvalid(f"The version in {folder.name} changed while it was loaded.")
            generation = self.target[1] + 1
            # Marked before the target changes: no slot may take one of these for outdated. Every
            # process that starts from now on loads the new version.
            for process, _, _ in prepared:
                process.generation = generation
            self.target = (folder, generation)
            self.version = version
            self._commit([(process, number) for process, number, _ in prepared])
            self.queue.wake()
        log.info("%d workers serve version %s", len(prepared), version)

    def redirect(self, folder: Path, version: str) -> None:
        """Let every process that starts from now on serve ``folder``.

        For the way back when no worker lives that could load it, for example because the present
        version ends every one: those in back-off start at once.
        """
        with self._reloading:
            self.target = (folder, self.target[1] + 1)
            self.version = version
            self.queue.wake()
        log.warning("workers start with version %s from now on", version)

    def _prepare(
        self, processes: list[WorkerProcess], folder: Path
    ) -> list[tuple[WorkerProcess, int, Done]]:
        """Load ``folder`` in one process after the other, or have all drop it and raise.

        Not in all at once: a process that loads a network answers nothing for some 30 ms, and
        the others take the frames of that time.
        """
        until = time.monotonic() + self.spec.start_timeout_s
        calls: list[tuple[WorkerProcess, Call]] = []
        prepared: list[tuple[WorkerProcess, int, Done]] = []
        try:
            for process in processes:
                call = process.post(partial(Prepare, folder=str(folder)))
                calls.append((process, call))
                reply = call.result(max(0.0, until - time.monotonic()))
                if not isinstance(reply, Done):
                    raise MienError(f"A worker answered prepare with {reply.kind}.")
                prepared.append((process, call.number, reply))
        except (MienError, ConnectionClosed) as error:
            self._abort([(process, call.number) for process, call in calls])
            if isinstance(error, ConnectionClosed):
                raise WorkerCrashed("A worker ended before it could load the version.") from error
            raise
        return prepared

    def _abort(self, prepared: list[tuple[WorkerProcess, int]]) -> None:
        for process, number in prepared:
            with suppress(ConnectionClosed):
                process.post(partial(Abort, prepared=number))

    def _commit(self, prepared: list[tuple[WorkerProcess, int]]) -> None:
        """A process that cannot swap is ended; what starts in its place has the new version."""
        calls: list[tuple[WorkerProcess, Call]] = []
        for process, number in prepared:
            with suppress(ConnectionClosed):
                calls.append((process, process.post(partial(Commit, prepared=number))))
        until = time.monotonic() + self.spec.hang_s
        for process, call in calls:
            try:
                reply = call.result(max(0.0, until - time.monotonic()))
            except MienError as error:
                if process.alive:
                    process.kill(f"did not swap its version ({error.message})")
            else:
                if isinstance(reply, Done):
                    process.version = reply.version

    def _ready(self) -> list[WorkerProcess]:
        return [process for slot in self.slots if (process := slot.ready) is not None]
