"""What the web process shares between its blueprints, reachable from the application.

``services()`` inside a request gives the settings, the inference service, the model registry and
the metrics that ``create_app`` was given; nothing here is global, so that tests can make many apps.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from flask import Flask, current_app

from webapp.card import ModelCard
from webapp.domain import SCAN, FrameResult, ReadRequest
from webapp.errors import InferenceUnavailable, MienError
from webapp.settings import Settings

if TYPE_CHECKING:
    from webapp.monitoring.metrics import Metrics

EXTENSION = "mien"
_log = logging.getLogger(__name__)


class Inference(Protocol):
    """What the web process needs of the inference service (see ``webapp.inference.client``)."""

    @property
    def version(self) -> str: ...

    def analyze(
        self,
        image: bytes,
        *,
        request: ReadRequest = SCAN,
        priority: Literal["live", "study", "batch"] = "live",
        timeout_ms: int | None = None,
    ) -> FrameResult: ...

    def reload(self, version_folder: Path) -> None: ...

    def status(self) -> Sequence[Any]: ...


class ModelVersion(Protocol):
    """One row of the registry."""

    @property
    def version(self) -> str: ...

    @property
    def card(self) -> ModelCard: ...

    @property
    def folder(self) -> Path: ...


class ModelRegistry(Protocol):
    """What the web process needs of the model registry (see ``webapp.models.registry``)."""

    def versions(self) -> Sequence[ModelVersion]: ...

    def get(self, version: str) -> ModelVersion: ...

    def active(self) -> ModelVersion: ...


class NoInference:
    """Stands in where an application was made without inference: everything is unavailable."""

    version = "none"

    def analyze(self, image: bytes, **_options: Any) -> FrameResult:
        raise InferenceUnavailable("This server was started without inference workers.")

    def reload(self, version_folder: Path) -> None:
        raise InferenceUnavailable("This server was started without inference workers.")

    def status(self) -> Sequence[Any]:
        return ()


@dataclass(frozen=True, slots=True)
class Services:
    """The parts an application was made of."""

    settings: Settings
    inference: Inference
    registry: ModelRegistry | None
    metrics: Metrics

    def workers(self) -> dict[str, int]:
        """``{"ready": n, "total": n}`` inference workers as of now."""
        states = worker_states(self.inference)
        return {"ready": sum(state in READY_STATES for state in states), "total": len(states)}

    def uncertain_below(self, version: str) -> float:
        """The serving model's threshold below which a label is "uncertain".

        Falls back to the card's default where the registry does not know the version.
        """
        if self.registry is not None:
            try:
                return self.registry.get(version).card.uncertain_below
            except MienError as error:
                _log.warning("The card of the serving model cannot be read: %s", error.message)
        return DEFAULT_UNCERTAIN_BELOW


DEFAULT_UNCERTAIN_BELOW = 0.4
READY_STATES = frozenset({"ready", "busy", "idle"})


def worker_states(inference: Inference) -> list[str]:
    """The state's name of each inference worker."""
    return [str(getattr(worker, "state", "unknown")) for worker in inference.status()]


def services_of(app: Flask) -> Services:
    """The services of one application."""
    return cast(Services, app.extensions[EXTENSION])


def services() -> Services:
    """The services of the application that handles the present request."""
    return services_of(current_app)
