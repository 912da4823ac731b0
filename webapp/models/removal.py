"""Deleting a model version that nothing uses."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from webapp.database.survey_tables import ACTIVE_JOB_STATES, Job
from webapp.errors import Conflict, StorageUnavailable
from webapp.models.services import Models


def remove_version(models: Models, version: str, who: str) -> None:
    """Delete a version, or a folder that cannot be used as one, for good.

    Raises :class:`NotFound`; :class:`Conflict` for the one that serves, that Mien may go back to
    by itself, that a trial or an analysis uses, and for the last one; and
    :class:`StorageUnavailable` where its files cannot be deleted.
    """
    with models.activation.unchanging() as registry:
        _check_unused(models, version)
        try:
            registry.remove(version)
        except OSError as error:
            raise StorageUnavailable(
                f"{version} cannot be deleted: {error.strerror or error}."
            ) from error
    models.record("model.delete", version, {}, who)


def _check_unused(models: Models, version: str) -> None:
    if version == models.activation.serving:
        raise Conflict(f"{version} serves now; put another one into service first.")
    probation = models.activation.probation
    if probation is not None and version == probation.previous:
        raise Conflict(
            f"{probation.version} is in its first minute, and Mien may go back to {version}. "
            "Wait a moment."
        )
    trial = models.shadow.trial
    if trial is not None and models.shadow.running and version in (trial.candidate, trial.active):
        raise Conflict(f"{version} is in a shadow trial; stop that first.")
    query = select(func.count()).where(
        Job.model_version == version, Job.state.in_(ACTIVE_JOB_STATES)
    )
    try:
        with models.store().session() as session:
            jobs = session.scalar(query) or 0
    except SQLAlchemyError as error:
        raise StorageUnavailable(
            "Whether an analysis uses this version cannot be read now; try again."
        ) from error
    if jobs:
        raise Conflict(f"{jobs} analyses use {version}; wait for their end or cancel them.")
