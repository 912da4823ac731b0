"""Starts inference on the active version, or on the last good one where that is broken."""

from __future__ import annotations

import contextlib
import logging

from webapp.errors import MienError, ModelInvalid, NotFound
from webapp.inference.client import InferenceService
from webapp.languages import N_
from webapp.models.journal import Journal
from webapp.models.registry import Registry
from webapp.models.verify import check_files
from webapp.settings import Settings

_log = logging.getLogger("mien.models")


def start_inference(settings: Settings, registry: Registry) -> InferenceService:
    """A started service on a whole version whose files are those of its card.

    A broken active version, or a name that is no version, is not served: the one that was active
    before is, by ``HISTORY`` or else by the journal. ``ACTIVE`` is set to it, and the journal and
    the log say so. Raises the active version's :class:`MienError` where
    no earlier one can be used either.
    """
    active = registry.active_name()
    try:
        return _started(settings, registry, active)
    except (ModelInvalid, NotFound) as error:
        broken = error
    journal = Journal(registry.models_dir)
    for version in dict.fromkeys([*reversed(registry.earlier()), *journal.served()]):
        if version == active:
            continue
        with contextlib.suppress(ModelInvalid, NotFound):
            service = _started(settings, registry, version)
            why = N_(f"The active version could not be used: {broken.message}")
            _log.error("%s Version %s serves instead.", why, version)
            try:
                registry.point_back_to(version)
                journal.add("server", "fell_back", active, version, why, automatic=True)
            except OSError as error:
                _log.error("models/ACTIVE could not be set to %s: %s", version, error)
            return service
    raise broken


def _started(settings: Settings, registry: Registry, version: str | None) -> InferenceService:
    found = registry.active() if version is None else registry.get(version)
    check_files(found.folder, found.card)
    service = InferenceService(settings, found.folder)
    try:
        service.start()
    except MienError:
        service.stop()
        raise
    return service
