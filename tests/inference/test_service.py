"""The service with real worker processes, on pictures that are commands."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.inference.conftest import MakeService, aside, until
from tests.support.scripted_pipeline import FACTORY, SCORES
from webapp.domain import Box, ReadRequest
from webapp.errors import (
    CorruptImage,
    InferenceTimeout,
    InferenceUnavailable,
    MienError,
    ModelInvalid,
    PayloadTooLarge,
    WorkerCrashed,
)
from webapp.inference import budget, schedule, slot
from webapp.inference.client import InferenceService
from webapp.inference.protocol import MAX_PAYLOAD_BYTES
from webapp.settings import Settings


def _wait(tmp_path: Path, name: str) -> tuple[bytes, Path, Path]:
    """A picture that is held until its flag file exists; ``begun`` says that a worker has it."""
    flag, begun = tmp_path / f"{name}.flag", tmp_path / f"{name}.begun"
    return f"wait {flag} {begun}".encode(), flag, begun


def _pid(service: InferenceService, index: int = 0) -> int:
    pid = until(lambda: service.status()[index].pid)
    assert isinstance(pid, int)
    return pid


def _back(service: InferenceService) -> None:
    until(lambda: all(w.state == "idle" for w in service.status()), "idle workers")


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_a_picture_is_read_by_the_worker(make_service: MakeService, transport: str) -> None:
    service = make_service(transport=transport)
    result = service.analyze(b"read", request=ReadRequest([Box(0.125, 1, 2, 1 / 3 + 1)]))
    assert result.model == service.version == "first"
    assert result.faces[0].box == Box(0.125, 1, 2, 1 / 3 + 1)
    assert result.faces[0].scores == SCORES
    assert set(result.timings_ms) == {"total", "wait"}
    assert result.timings_ms["wait"] >= 0
    assert service.analyze(b"read", request=ReadRequest([])).faces == ()
    assert len(service.analyze(b"read").faces) == 1


def test_a_large_picture_crosses(make_service: MakeService) -> None:
    service = make_service()
    assert service.analyze(b"read" + b" x" * 10_000_000).width == 640
    with pytest.raises(PayloadTooLarge):
        service.analyze(bytes(MAX_PAYLOAD_BYTES + 1))


def test_native_libraries_get_one_thread(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert make_service().analyze(b"threads").width == 1


def test_a_bad_picture_is_an_error_and_the_worker_lives(make_service: MakeService) -> None:
    service = make_service()
    pid = _pid(service)
    with pytest.raises(CorruptImage, match="on purpose") as caught:
        service.analyze(b"corrupt")
    assert caught.value.detail == {"at": 12}
    for picture in (b"bug", b"nan", b"", b"\xff\xd8\xff\xe0"):
        with pytest.raises(MienError) as failed:
            service.analyze(picture)
        assert type(failed.value) is MienError
        assert "secret" not in failed.value.message
    assert service.analyze(b"read").faces
    assert _pid(service) == pid


def test_kill_9_is_told_to_the_caller_that_was_held_and_to_nobody_else(
    make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service()
    picture, _, begun = _wait(tmp_path, "held")
    held = aside(service.analyze, picture)
    until(begun.exists)
    queued = aside(service.analyze, b"read")
    until(lambda: service.status()[0].queue == 1)
    pid = _pid(service)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerCrashed) as crashed:
        held.result(60)
    assert crashed.value.detail["killed"]  # no fault of the picture: it may be tried again
    assert queued.result(60).model == "first"
    _back(service)
    status = service.status()[0]
    assert status.pid != pid
    assert status.restarts == 1
    assert "SIGKILL" in str(status.last_error)


@pytest.mark.parametrize("picture", [b"segfault", b"exit"])
def test_a_crash_costs_one_picture(make_service: MakeService, picture: bytes) -> None:
    service = make_service(workers=2)
    with pytest.raises(WorkerCrashed) as crashed:
        service.analyze(picture)
    assert "killed" not in crashed.value.detail
    assert service.analyze(b"read").faces
    _back(service)


def test_an_idle_worker_that_is_killed_comes_back_and_no_request_fails(
    make_service: MakeService,
) -> None:
    service = make_service()
    for _ in range(3):
        pid = _pid(service)
        os.kill(pid, signal.SIGKILL)
        until(lambda: service.status()[0].pid not in (pid, None))  # noqa: B023
        assert service.analyze(b"read").faces


def test_an_idle_worker_that_does_not_answer_pings_is_replaced(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot, "PING_EVERY_S", 0.05)
    service = make_service()
    pid = _pid(service)
    monkeypatch.setattr(slot, "PONG_WITHIN_S", 0.2)
    os.kill(pid, signal.SIGSTOP)
    until(lambda: not psutil.pid_exists(pid), "the stopped worker's end")
    monkeypatch.undo()
    assert service.analyze(b"read").faces


def test_a_hanging_worker_is_ended_and_replaced(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service(worker_hang_ms=500)
    begun = tmp_path / "begun"
    hung = aside(service.analyze, f"hang {begun}".encode())
    until(begun.exists)
    pid = _pid(service)
    with pytest.raises(WorkerCrashed, match="longer than 500 ms"):
        hung.result(60)
    assert service.analyze(b"read").faces
    assert not psutil.pid_exists(pid)


def test_a_late_answer_reaches_nobody(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service()
    picture, flag, begun = _wait(tmp_path, "late")
    first = aside(service.analyze, picture, request=ReadRequest([]), timeout_ms=300)
    with pytest.raises(InferenceTimeout, match="300 ms"):
        first.result(60)
    until(begun.exists)
    second = aside(service.analyze, b"read")
    third = aside(service.analyze, b"read", timeout_ms=50)
    with pytest.raises(InferenceTimeout, match="No worker was free"):
        third.result(60)
    flag.touch()
    assert len(second.result(60).faces) == 1
    assert service.status()[0].restarts == 0
    assert service.status()[0].queue == 0


def test_live_overtakes_batch(
    make_service: MakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "BATCH_TURN_S", 1e6)  # however slow this machine is
    service = make_service()
    picture, flag, begun = _wait(tmp_path, "first")
    waiting = [aside(service.analyze, picture)]
    until(begun.exists)
    order = tmp_path / "order"
    for number, priority in enumerate(("batch", "live", "batch", "live")):
        note = f"note {order} {priority}-{number}".encode()
        waiting.append(aside(service.analyze, note, priority=priority))
        until(lambda: service.status()[0].queue == number + 1)  # noqa: B023
    flag.touch()
    for future in waiting:
        future.result(60)
    assert order.read_text().split() == ["live-1", "live-3", "batch-0", "batch-2"]


def test_a_full_queue_refuses_at_once(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service(live_max_sessions=1, study_max_connections=1)
    picture, flag, begun = _wait(tmp_path, "held")
    waiting = [aside(service.analyze, picture)]
    until(begun.exists)
    for number in range(64):
        waiting.append(aside(service.analyze, b"read"))
        until(lambda: service.status()[0].queue == number + 1)  # noqa: B023
    with pytest.raises(InferenceUnavailable, match="64 live requests are waiting"):
        service.analyze(b"read")
    flag.touch()
    for future in waiting:
        assert future.result(60).faces


def test_a_worker_that_grows_is_replaced_between_two_requests(make_service: MakeService) -> None:
    service = make_service(worker_memory_mb=120)
    first = _pid(service)

    for _ in range(6):
        assert service.analyze(b"keep 20").faces

    def replaced() -> bool:
        assert service.analyze(b"read").faces, "no request fails for it"
        return service.status()[0].replaced > 0

    until(replaced, "the replacement")
    until(lambda: not psutil.pid_exists(first), "the old worker's end")
    assert service.status()[0].restarts == 0
    assert service.analyze(b"read").faces


def test_a_picture_that_wants_far_too_much_memory_is_an_error(make_service: MakeService) -> None:
    service = make_service(worker_memory_mb=100)
    pid = _pid(service)
    with pytest.raises(MienError, match="MemoryError"):
        service.analyze(b"keep 2000")
    assert service.analyze(b"read").faces
    assert service.status()[0].restarts == 0
    assert pid


def test_a_mistake_in_the_supervising_thread_costs_one_restart(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make_service()
    pid = _pid(service)
    with monkeypatch.context() as broken:
        broken.setattr(slot.Slot, "_check_memory", lambda *_: 1 / 0)
        service.analyze(b"read")
        until(lambda: service.status()[0].restarts)
    assert service.analyze(b"read").faces
    assert _pid(service) != pid


def test_back_off_is_told_with_the_time_of_the_next_start(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "BACKOFF_FIRST_S", 600.0)
    monkeypatch.setattr(budget, "BACKOFF_MOST_S", 600.0)
    service = make_service(worker_restart_budget=1)
    for _ in range(2):
        with pytest.raises(WorkerCrashed):
            service.analyze(b"exit")
    until(lambda: service.status()[0].state == "backoff")
    with pytest.raises(InferenceUnavailable, match="failed repeatedly") as caught:
        service.analyze(b"read")
    assert 500 < caught.value.detail["retry_after_s"] <= 600


def test_stopping_tells_those_who_wait_and_finishes_what_is_held(
    make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service()
    picture, flag, begun = _wait(tmp_path, "held")
    held = aside(service.analyze, picture)
    until(begun.exists)
    queued = aside(service.analyze, b"read")
    until(lambda: service.status()[0].queue == 1)
    stopped = aside(service.stop)
    with pytest.raises(InferenceUnavailable, match="stopped"):
        queued.result(60)
    flag.touch()
    assert held.result(60).faces
    stopped.result(60)
    assert [w.state for w in service.status()] == ["stopped"]
    with pytest.raises(InferenceUnavailable):
        service.analyze(b"read")
    service.stop()


def test_a_version_that_cannot_be_loaded_does_not_start(version: Path) -> None:
    (version / "broken").touch()
    service = InferenceService(Settings(workers=2), version, pipeline=FACTORY)
    with pytest.raises(InferenceUnavailable, match="not started"):
        service.analyze(b"read")
    with pytest.raises(ModelInvalid, match="broken on purpose"):
        service.start()
    assert [w.pid for w in service.status()] == [None, None]


def test_a_service_that_was_not_started_can_be_stopped(version: Path) -> None:
    InferenceService(Settings(), version, pipeline=FACTORY).stop()


def test_a_pipeline_that_cannot_be_imported_is_told(version: Path) -> None:
    service = InferenceService(Settings(workers=1), version, pipeline="no.such.module:x")
    with pytest.raises(ModelInvalid, match="ModuleNotFoundError"):
        service.start()
