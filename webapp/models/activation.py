"""Puts a model version into service, watches its first minute, and takes it out again.

The order survives a crash at any point: the version is verified, every worker swaps to it between
two frames (all or none), and only then is ``models/ACTIVE`` replaced. A server that dies before
that starts again on the old version, one that dies after it on the new one; both are verified.

``models/ACTIVE`` may also be changed by the command line or another server: this one looks at it
every second and follows, or puts it back and says why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from webapp.access.audit import record_in
from webapp.errors import (
    Conflict,
    InferenceUnavailable,
    MienError,
    StorageUnavailable,
)
from webapp.inference.outcomes import Outcomes, Share
from webapp.languages import N_, said
from webapp.models.journal import Journal
from webapp.models.registry import Registry
from webapp.web.open_database import database_of
from webapp.web.services import services_of

LOOK_S: Final = 0.5
SERVER: Final = "server"
_log = logging.getLogger("mien.models")


@dataclass(frozen=True, slots=True)
class Probation:
    """A version's first minute. ``since`` and ``until`` are seconds of ``time.monotonic()``;
    ``usual`` is what the version before it failed in the minute before.
    """

    version: str
    previous: str
    since: float
    until: float
    usual: float


class Activation:
    """The serving version of one application."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        services = services_of(app)
        self._settings = services.settings
        self._inference: Any = services.inference
        self._outcomes: Outcomes = getattr(services.inference, "outcomes", None) or Outcomes()
        # of several nodes: what is written to it reaches the others
        shared = services.registry if isinstance(services.registry, Registry) else None
        self._registry = shared or Registry(self._settings.models_path)
        self.journal = Journal(self._registry.models_dir)
        self._swapping = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._refused_name = ""
        self.probation: Probation | None = None
        self.doing = ""
        self.notice: dict[str, Any] | None = None

    # -- what a person asks for

    def activate(self, version: str, who: str, why: str = "") -> dict[str, Any]:
        """Serve ``version`` from now on. Raises :class:`Conflict` while another swap goes on or
        where it serves already, and what verifying and loading raise; nothing has changed then.
        """
        return self._changed(version, who, why, back=False)

    def roll_back(self, who: str, why: str = "") -> dict[str, Any]:
        """Serve the version that was active before. Raises as :meth:`activate`."""
        earlier = self._registry.earlier()
        if not earlier:
            raise Conflict("There is no earlier model to go back to.")
        return self._changed(earlier[-1], who, why, back=True)

    @property
    def serving(self) -> str:
        """The version that reads faces now."""
        return str(self._inference.version)

    @contextmanager
    def unchanging(self) -> Iterator[Registry]:
        """The registry, while no version is put into service. Raises :class:`Conflict` where one
        is at this moment.
        """
        if not self._swapping.acquire(blocking=False):
            raise Conflict("Another change of the model is going on; wait for its end.")
        try:
            yield self._registry
        finally:
            self._swapping.release()

    def follow(self, version: str, written: Callable[[], None]) -> None:
        """Serve what another node activated; ``written`` then sets this node's ``ACTIVE``.

        Raises what verifying and loading raise; nothing has changed then.
        """
        with self._swapping:
            before = str(self._inference.version)
            try:
                self._swap(version)
                written()
            finally:
                self.doing = ""
            self._record("model.followed", version, {"from": before, "to": version})
            self.probation = self._new_probation(version, before)

    def state(self) -> dict[str, Any]:
        """What serves, what is being done, and how the first minute goes."""
        probation = self.probation
        watch = None
        if probation is not None:
            share = self._share(probation)
            watch = {
                "version": probation.version,
                "previous": probation.previous,
                "seconds_left": max(0, round(probation.until - time.monotonic())),
                "answered": share.answered,
                "failed": share.failed,
            }
        earlier = self._registry.earlier()
        return {
            "serving": self._inference.version,
            "active": self._registry.active_name(),
            "previous": earlier[-1] if earlier else None,
            "doing": said(self.doing) or None,
            "watch": watch,
            "notice": self.notice and self.notice | {"message": said(self.notice["message"])},
        }

    # -- how it is done

    def _changed(self, version: str, who: str, why: str, *, back: bool) -> dict[str, Any]:
        if not self._swapping.acquire(blocking=False):
            raise Conflict("Another change of the model is going on; wait for its end.")
        before = str(self._inference.version)
        try:
            if version == before and self._registry.active_name() == version:
                raise Conflict(f"{version} serves already.", version=version)
            try:
                self._swap(version)
                self._point(version, before, back=back)
            except (MienError, OSError) as error:
                raise self._refused(version, before, who, error) from error
            outcome = "rolled_back" if back else "activated"
            self._record_change(outcome, who, before, version, why)
            self.notice = None
            self._refused_name = ""
            # going back is no risk: what it goes back to was good
            self.probation = None if back else self._new_probation(version, before)
        finally:
            self.doing = ""
            self._swapping.release()
        return self.state()

    def _swap(self, version: str) -> None:
        """Verify, then load in every worker or in none."""
        found = self._registry.get(version)
        self.doing = N_(f"Verifying {version}")
        self._registry.verify(version)
        self.doing = N_(f"Loading {version} in every worker")
        self._inference.reload(found.folder)

    def _point(self, version: str, before: str, *, back: bool) -> None:
        self.doing = N_("Writing models/ACTIVE")
        try:
            if back:
                self._registry.point_back_to(version)
            else:
                self._registry.point_to(version)
        except (OSError, StorageUnavailable):
            # the disk is full or read-only: the next start would serve something else than now
            self._inference.reload(self._registry.get(before).folder)
            raise

    def _refused(
        self, version: str, before: str, who: str, error: MienError | OSError
    ) -> MienError:
        if isinstance(error, OSError):
            error = MienError(
                f"models/ACTIVE could not be written ({error.strerror or error}); "
                f"{before} serves on."
            )
        self._record_change("refused", who, before, version, error.message)
        return error

    def _new_probation(self, version: str, before: str) -> Probation:
        now = time.monotonic()
        usual = self._outcomes.share(before, now - self._settings.swap_watch_s).errors
        # counted in whole seconds: those of the swap itself are the old version's too
        return Probation(version, before, now, now + self._settings.swap_watch_s, usual)

    def _share(self, probation: Probation) -> Share:
        return self._outcomes.share(probation.version, probation.since)

    # -- what happens by itself

    def start(self) -> None:
        """Begin to watch, in a thread or greenlet of its own."""
        last = next(iter(self.journal.entries(1)), None)
        if last is not None and last.outcome == "fell_back":
            self.notice = {
                "kind": "fell_back",
                "message": N_(
                    f"{last.to_version} serves since a start on {last.at[:10]}. {last.why}"
                ),
                "version": last.from_version,
            }
        self._thread = threading.Thread(target=self._watch, name="activation", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                self.look()
            except Exception:  # noqa: BLE001  (the next look may go well)
                _log.exception("the serving version could not be watched")

    def look(self) -> None:
        """One look at the first minute's errors and at ``models/ACTIVE``."""
        if not self._swapping.acquire(blocking=False):
            return
        try:
            self._look_at_errors()
            self._look_at_file()
        finally:
            self.doing = ""
            self._swapping.release()

    def _look_at_errors(self) -> None:
        probation = self.probation
        if probation is None:
            return
        if probation.version != self._inference.version or time.monotonic() > probation.until:
            self.probation = None
            return
        share = self._share(probation)
        limit = max(self._settings.swap_max_error_percent / 100, 2 * probation.usual)
        if share.failed < self._settings.swap_min_errors or share.errors <= limit:
            return
        self.probation = None
        why = N_(
            f"{share.failed} of {share.failed + share.answered} frames failed with "
            f"{probation.version} in its first minute ({share.errors:.0%}; "
            f"{probation.usual:.0%} before, {limit:.0%} allowed)."
        )
        self._back_by_itself(probation.version, probation.previous, why)

    def _back_by_itself(self, bad: str, good: str, why: str) -> None:
        self.doing = N_(f"Going back to {good}")
        folder = self._registry.get(good).folder
        try:
            self._inference.reload(folder)
        except MienError as error:
            # its workers may die faster than they can be notified; then the next ones start with it
            _log.warning("no worker could be swapped back (%s)", error.message)
            self._inference.redirect(folder, good)
        self._registry.point_back_to(good)
        self._record_change("rolled_back", SERVER, bad, good, why, automatic=True)
        self.notice = {
            "kind": "rolled_back",
            "message": N_(f"Mien went back to {good} by itself. {why}"),
            "version": bad,
        }

    def _look_at_file(self) -> None:
        name, serving = self._registry.active_name(), str(self._inference.version)
        if name is None or name == serving or name == self._refused_name:
            return
        try:
            self._swap(name)
        except MienError as error:
            if isinstance(error, InferenceUnavailable):
                return  # no fault of the version: the workers are not ready; look again
            self._refused_name = name
            why = N_(f"models/ACTIVE named {name}, which cannot be served: {error.message}")
            self._record_change("refused", SERVER, serving, name, why, automatic=True)
            self.notice = {"kind": "refused", "message": why, "version": name}
            self._registry.point_back_to(serving)
            return
        _log.info("models/ACTIVE was changed to %s; it serves", name)
        self.notice = None
        self._record("model.followed", name, {"from": serving, "to": name})
        self.probation = self._new_probation(name, serving)

    def _record_change(
        self,
        outcome: str,
        who: str,
        before: str,
        after: str,
        why: str,
        *,
        automatic: bool = False,
    ) -> None:
        """To the journal, the audit log and the log."""
        _log.log(
            logging.WARNING if automatic or outcome == "refused" else logging.INFO,
            "model %s: %s -> %s by %s. %s", outcome, before, after, who, why,
        )  # fmt: skip
        try:
            self.journal.add(who, outcome, before, after, why, automatic=automatic)
        except OSError as error:
            _log.error("the journal of activations cannot be written: %s", error)
        action = {"activated": "model.activate", "rolled_back": "model.rollback"}.get(
            outcome, f"model.{outcome}"
        )
        self._record(action, after, {"from": before, "to": after, "why": why}, who)

    def _record(self, action: str, subject: str, detail: dict[str, Any], who: str = SERVER) -> None:
        from flask import has_request_context, request

        address = (request.remote_addr or "?") if has_request_context() else "-"
        try:
            opened = database_of(self._app).open()
            record_in(opened, action, subject, detail, actor=who, address=address)
        except (SQLAlchemyError, OSError) as error:
            _log.error("the audit log cannot be written: %s", type(error).__name__)
