"""Services with real worker processes, most of them on the scripted pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest

from tests.support.scripted_pipeline import FACTORY
from webapp.inference.client import InferenceService
from webapp.settings import Settings

PATIENCE_S = 60.0


def until(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Wait until ``condition()`` is true and give its value."""
    end = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {PATIENCE_S:.0f} s for {what}"
        time.sleep(0.005)
    return value


def aside(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
    """Run ``call`` in another thread."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test sees it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


class MakeService(Protocol):
    def __call__(self, *, transport: str | None = None, **settings: Any) -> InferenceService: ...


@pytest.fixture
def version(tmp_path: Path) -> Path:
    folder = tmp_path / "first"
    folder.mkdir()
    return folder


@pytest.fixture
def make_service(version: Path) -> Iterator[MakeService]:
    """Makes started services and proves at the end that they leave no process behind."""
    before = set(psutil.Process().children(recursive=True))
    made: list[InferenceService] = []

    def make(*, transport: str | None = None, **settings: Any) -> InferenceService:
        values: dict[str, Any] = {
            "workers": 1,
            "worker_sandbox": "off",  # the scripted pipeline writes files to say how far it is
            "worker_start_timeout_ms": 60_000,
            "worker_hang_ms": 60_000,
            "inference_timeout_ms": 60_000,
            **settings,
        }
        service = InferenceService(
            Settings(**values), version, pipeline=FACTORY, transport=transport
        )
        made.append(service)
        service.start()
        return service

    yield make
    for service in made:
        service.stop()
    left = set(psutil.Process().children(recursive=True)) - before
    assert not left
