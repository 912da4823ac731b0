"""Uploaded models: received, checked in a process of their own, and moved into ``models/`` whole.

Everything of one upload lies in one staging folder beside the versions until a rename makes it a
version; whatever goes wrong, the folder is removed, and a start removes what a kill -9 left.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from webapp.errors import (
    Conflict,
    InvalidRequest,
    MienError,
    NotFound,
)
from webapp.files.atomic import sync_folder
from webapp.files.receiving import Source, receive
from webapp.files.reserve import DiskReserve
from webapp.files.staging import Staging, sweep
from webapp.languages import N_, said
from webapp.models.evaluation_sets import EvaluationSets
from webapp.models.inspection import Cancelled, inspect
from webapp.models.registry import Registry
from webapp.models.verify import verify
from webapp.models.wanted import (
    PIXELS,
    Wanted,
    check_labels,
    checked,
)
from webapp.settings import Settings

PREFIX: Final = ".upload-"
MAX_WAITING: Final = 3
KEPT: Final = 20
UNANSWERED_S: Final = 3600.0
_log = logging.getLogger("mien.models")


@dataclass
class Upload:
    """One upload. ``state``: receiving, waiting, checking, asks, done, refused or cancelled."""

    id: str
    wanted: Wanted
    staging: Staging
    began: str
    state: str = "receiving"
    step: str = ""
    received: int = 0
    size: int = 0
    reason: str = ""
    check: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    asked_at: float = 0.0
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def ended(self) -> bool:
        return self.state in ("done", "refused", "cancelled")

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "version": self.wanted.name,
            "filename": self.wanted.filename,
            "by": self.wanted.by,
            "began": self.began,
            "state": self.state,
            "step": said(self.step),
            "received": self.received,
            "size": self.size,
            "reason": said(self.reason) or None,
            "check": self.check or None,
            "report": self.report or None,
        }


class Uploads:
    """All uploads of one server. ``record(action, subject, detail, who)`` writes the audit log."""

    def __init__(
        self,
        settings: Settings,
        sets: EvaluationSets,
        record: Callable[[str, str, dict[str, Any], str], None],
    ) -> None:
        self._settings = settings
        self._registry = Registry(settings.models_path)
        self._sets = sets
        self._record = record
        self._one = threading.Lock()  # one check at a time: each may use the memory of one
        self._opening = threading.Lock()  # what is free is free until it is taken
        self._jobs: dict[str, Upload] = {}

    def sweep(self) -> int:
        """Remove what uploads of dead servers left; how many."""
        folder = self._registry.models_dir
        return sweep(folder, PREFIX) if folder.is_dir() else 0

    def all(self) -> list[Upload]:
        """Newest first; ended ones as long as this server runs."""
        return sorted(self._jobs.values(), key=lambda job: job.began, reverse=True)

    def get(self, upload_id: str) -> Upload:
        """Raises :class:`NotFound`."""
        try:
            return self._jobs[upload_id]
        except KeyError:
            raise NotFound(
                "There is no such upload; it ended with an earlier run of the server.", id=upload_id
            ) from None

    def begin(self, wanted: Wanted, source: Source, length: int | None) -> Upload:
        """Receive a file and start its check; returns when all of it has arrived.

        Raises :class:`InvalidRequest`, :class:`Conflict` for a name that is taken or too many
        uploads at a time, and what :func:`receive` raises. Nothing is left then.
        """
        wanted = checked(wanted)
        if wanted.evaluation:
            self._sets.get(wanted.evaluation)
        with self._opening:
            job = self._open(wanted, length or 0)
        limit = self._settings.model_max_upload_bytes

        def progress(received: int) -> None:
            job.received = received
            if job.cancel.is_set():
                raise InvalidRequest("The upload was cancelled.")

        try:
            reserve = DiskReserve(self._registry.models_dir, self._settings.disk_reserve_mb)
            receive(source, length, job.staging.folder / "incoming", limit, progress, reserve)
        except BaseException as error:
            reason = error.message if isinstance(error, MienError) else N_("It was interrupted.")
            self._end(job, "refused", reason, error)
            raise
        self._start(job)
        return job

    def _open(self, wanted: Wanted, size: int) -> Upload:
        self._forget_old()
        self._free(wanted.name)
        if sum(not job.ended for job in self._jobs.values()) >= MAX_WAITING:
            raise Conflict(
                f"{MAX_WAITING} uploads are being checked or wait for an answer; finish or cancel "
                "one of them first."
            )
        try:
            staging = Staging(self._registry.models_dir, PREFIX)
        except OSError as error:
            raise MienError(f"The models folder cannot be written: {error.strerror}.") from error
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        job = self._jobs[staging.id] = Upload(staging.id, wanted, staging, now, size=size)
        return job

    def answer(self, upload_id: str, labels: tuple[str, ...], pixels: str) -> Upload:
        """The labels that a check asked for. Raises :class:`Conflict` where it did not."""
        job = self.get(upload_id)
        check_labels(labels)
        if pixels not in PIXELS:
            raise InvalidRequest(f"Expected a pixel range of {', '.join(PIXELS)}.", field="pixels")
        if job.state != "asks":
            raise Conflict("This upload does not wait for an answer.")
        given = {name: getattr(job.wanted, name) for name in Wanted.__slots__}
        job.wanted = Wanted(**given | {"labels": labels, "pixels": pixels})
        self._start(job)
        return job

    def cancel(self, upload_id: str) -> Upload:
        """End an upload and remove what it stored; an ended one is forgotten."""
        job = self.get(upload_id)
        job.cancel.set()
        if job.state == "asks":
            self._end(job, "cancelled", "")
        elif job.ended:
            self._jobs.pop(upload_id, None)
        return job

    def stop(self) -> None:
        """End every check, for a server that stops."""
        for job in self._jobs.values():
            job.cancel.set()
            if job.state == "asks":
                job.staging.remove()

    # -- the check

    def _start(self, job: Upload) -> None:
        job.state, job.step = "waiting", N_("waiting for the check of another upload")
        name = f"upload-{job.id}"
        threading.Thread(target=self._check, args=(job,), name=name, daemon=True).start()

    def _check(self, job: Upload) -> None:
        try:
            with self._one:
                if job.cancel.is_set():
                    raise Cancelled
                job.state, job.step = "checking", N_("starting")
                self._inspect(job)
        except Cancelled:
            self._end(job, "cancelled", "")
        except MienError as error:
            self._end(job, "refused", error.message, error)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            why = "the disk is full" if full else error.strerror or "an input or output error"
            self._end(job, "refused", N_(f"The check could not go on: {why}."), error)
        except Exception as error:  # noqa: BLE001  (it must end the upload, not the thread alone)
            _log.exception("checking an upload failed")
            self._end(job, "refused", N_("The check failed on our side; the log says how."), error)

    def _inspect(self, job: Upload) -> None:
        folder, wanted = job.staging.folder, job.wanted
        keep = folder / "incoming"
        if job.asked_at:  # checked once already: begin anew with the file alone
            for path in folder.iterdir():
                if path.name not in ("incoming", ".lock"):
                    _remove(path)
        evaluation = self._sets.get(wanted.evaluation) if wanted.evaluation else None
        active = None
        with contextlib.suppress(MienError):
            active = str(self._registry.active().folder.resolve())
        facts = None
        if evaluation is not None:
            facts = {
                "name": evaluation.name,
                "faces": evaluation.faces,
                "fingerprint": evaluation.fingerprint,
            }

        def step(text: str) -> None:
            job.step = text

        report = inspect(
            folder,
            {
                "kind": "model",
                "file": keep.name,
                "filename": wanted.filename,
                "version": wanted.name,
                "recipe": wanted.recipe,
                "labels": list(wanted.labels),
                "pixels": wanted.pixels,
                "licence": wanted.licence,
                "uploaded_by": wanted.by,
                "evaluation": str(self._sets.faces_of(evaluation.id)) if evaluation else None,
                "evaluation_facts": facts,
                "active": active,
            },
            self._settings,
            step,
            job.cancel.is_set,
        )
        if report.get("needs") == "labels":
            job.report, job.asked_at = report, time.monotonic()
            job.state, job.step = "asks", N_("waiting for the order of the labels")
            return
        self._move_in(job)
        job.report = report
        self._end(job, "done", "")

    def _move_in(self, job: Upload) -> None:
        """Verify the version that the check wrote, then make it one of ours by a rename."""
        job.step = N_("verifying the version")
        name, out = job.wanted.name, job.staging.folder / "out"
        out.mkdir()
        (job.staging.folder / "version").rename(out / name)
        verify(out / name)
        self._free(name)
        if job.cancel.is_set():
            raise Cancelled
        try:
            (out / name).rename(self._registry.models_dir / name)
        except OSError as error:
            raise Conflict(
                f"{name} could not be moved in: {error.strerror}.", version=name
            ) from error
        sync_folder(self._registry.models_dir)

    def _free(self, name: str) -> None:
        if (self._registry.models_dir / name).exists():
            raise Conflict(
                f"There is a version named {name} already, and versions never change. Choose "
                "another name.",
                field="name",
            )

    def _end(
        self, job: Upload, state: str, reason: str, error: BaseException | None = None
    ) -> None:
        job.staging.remove()
        job.reason, job.step = reason, ""
        if isinstance(error, MienError):
            job.check = str(error.detail.get("check", error.code))
        job.state = state  # last: who sees it ended sees why
        action = {"done": "model.upload", "refused": "model.upload_refused"}.get(
            state, "model.upload_cancelled"
        )
        detail = {"file": job.wanted.filename, "bytes": job.received}
        self._record(action, job.wanted.name, detail | ({"why": reason} if reason else {}),
                   job.wanted.by)  # fmt: skip

    def _forget_old(self) -> None:
        for job in list(self._jobs.values()):
            if job.state == "asks" and time.monotonic() - job.asked_at > UNANSWERED_S:
                self._end(
                    job, "cancelled", N_("Nobody said the order of the labels within an hour.")
                )
        ended = [job for job in self.all() if job.ended]
        for job in ended[KEPT:]:
            self._jobs.pop(job.id, None)


def _remove(path: Path) -> None:
    import shutil

    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
