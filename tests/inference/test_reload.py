"""Swapping the model version: in all workers or in none, and without a lost request."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.inference.conftest import MakeService, aside, until
from webapp.domain import FrameResult
from webapp.errors import InferenceUnavailable, ModelInvalid, WorkerCrashed
from webapp.inference.client import InferenceService


@pytest.fixture
def second(tmp_path: Path) -> Path:
    folder = tmp_path / "second"
    folder.mkdir()
    return folder


def _versions(service: InferenceService) -> list[str | None]:
    def settled() -> list[str | None] | None:
        status = service.status()
        return [w.version for w in status] if all(w.state == "idle" for w in status) else None

    return until(settled)


def test_all_workers_swap(make_service: MakeService, second: Path) -> None:
    service = make_service(workers=2)
    pids = [w.pid for w in service.status()]
    service.reload(second)
    assert service.version == "second"
    assert _versions(service) == ["second", "second"]
    assert [w.pid for w in service.status()] == pids
    assert {service.analyze(b"read").model for _ in range(8)} == {"second"}


def test_requests_go_on_while_the_new_version_loads(
    make_service: MakeService, second: Path, tmp_path: Path
) -> None:
    service = make_service()
    loaded = tmp_path / "loaded"
    (second / "slow").write_text(str(loaded))
    reload = aside(service.reload, second)
    until(Path(f"{loaded}.{service.status()[0].pid}").exists)
    assert [service.analyze(b"read").model for _ in range(5)] == ["first"] * 5
    assert not reload.done()
    loaded.touch()
    reload.result(60)
    assert service.analyze(b"read").model == "second"


def test_a_picture_in_hand_is_read_by_the_version_that_began_it(
    make_service: MakeService, second: Path, tmp_path: Path
) -> None:
    service = make_service()
    flag, begun = tmp_path / "flag", tmp_path / "begun"
    held = aside(service.analyze, f"wait {flag} {begun}".encode())
    until(begun.exists)
    reload = aside(service.reload, second)
    until(lambda: service.version == "second")
    flag.touch()
    assert held.result(60).model == "first"
    reload.result(60)
    assert service.analyze(b"read").model == "second"


def test_no_request_is_lost_by_swapping_under_load(
    make_service: MakeService, second: Path, version: Path
) -> None:
    service = make_service(workers=2)
    enough = threading.Event()

    def stream() -> list[FrameResult]:
        results = []
        while not enough.is_set():
            results.append(service.analyze(b"read"))
        return results

    streams = [aside(stream) for _ in range(3)]
    for folder in (second, version, second):
        service.reload(folder)
    enough.set()
    models = [result.model for each in streams for result in each.result(60)]
    assert set(models) <= {"first", "second"}
    assert service.analyze(b"read").model == "second"
    assert [w.restarts for w in service.status()] == [0, 0]


@pytest.mark.parametrize("missing", [False, True])
def test_a_version_that_cannot_be_loaded_changes_nothing(
    make_service: MakeService, second: Path, missing: bool
) -> None:
    service = make_service(workers=2)
    if missing:
        second.rmdir()
    else:
        (second / "broken").touch()
    with pytest.raises(ModelInvalid):
        service.reload(second)
    assert service.version == "first"
    assert _versions(service) == ["first", "first"]
    assert {service.analyze(b"read").model for _ in range(4)} == {"first"}


def test_one_worker_that_dies_of_it_leaves_all_on_the_old_version(
    make_service: MakeService, second: Path, tmp_path: Path
) -> None:
    service = make_service(workers=2)
    loaded = tmp_path / "loaded"
    (second / "slow").write_text(str(loaded))
    reload = aside(service.reload, second)
    pid = until(lambda: service.status()[0].pid)
    until(Path(f"{loaded}.{pid}").exists)  # before that, it would die of nothing
    os.kill(pid, signal.SIGKILL)
    loaded.touch()
    with pytest.raises(WorkerCrashed):
        reload.result(60)
    until(lambda: service.status()[0].restarts)
    assert service.version == "first"
    assert _versions(service) == ["first", "first"]
    assert {service.analyze(b"read").model for _ in range(4)} == {"first"}


def test_a_version_that_kills_its_worker_is_refused(
    make_service: MakeService, second: Path
) -> None:
    service = make_service()
    (second / "deadly").touch()
    with pytest.raises(WorkerCrashed):
        service.reload(second)
    assert service.analyze(b"read").model == "first"


def test_a_version_that_takes_too_long_is_given_up(
    make_service: MakeService, second: Path, tmp_path: Path
) -> None:
    service = make_service(worker_start_timeout_ms=3000)
    loaded = tmp_path / "loaded"
    (second / "slow").write_text(str(loaded))
    with pytest.raises(InferenceUnavailable):
        service.reload(second)
    loaded.touch()
    assert service.analyze(b"read").model == "first"
    (second / "slow").unlink()
    service.reload(second)
    assert service.analyze(b"read").model == "second"


def test_a_worker_that_starts_after_the_swap_has_the_new_version(
    make_service: MakeService, second: Path
) -> None:
    service = make_service()
    service.reload(second)
    os.kill(until(lambda: service.status()[0].pid), signal.SIGKILL)
    until(lambda: service.status()[0].restarts)
    assert service.analyze(b"read").model == "second"


def test_a_worker_that_is_starting_during_the_swap_ends_up_with_the_new_version(
    make_service: MakeService, version: Path, second: Path, tmp_path: Path
) -> None:
    service = make_service(workers=2)
    loaded = tmp_path / "loaded"
    (version / "slow").write_text(str(loaded))
    os.kill(until(lambda: service.status()[1].pid), signal.SIGKILL)
    until(lambda: service.status()[1].restarts and service.status()[1].pid)
    service.reload(second)
    assert service.status()[1].version is None, "it still loads the first version"
    loaded.touch()
    until(lambda: service.status()[1].version == "second")
    assert {service.analyze(b"read").model for _ in range(8)} == {"second"}
    assert service.status()[1].restarts == 1
