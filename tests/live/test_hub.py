"""Stopping: frames in flight are answered, new ones refused, and everybody is told."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.support.live import JPEG, FakeInference
from webapp.errors import TooManySessions
from webapp.live.hub import LiveHub
from webapp.monitoring.metrics import Metrics
from webapp.settings import Settings
from webapp.web.services import Services

META = {"seq": 1, "captured_ms": 1.0, "width": 640, "height": 480}


class Transport:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Any, str | None]] = []
        self.ended: list[str] = []

    def emit(self, event: str, payload: dict[str, Any], sid: str | None) -> None:
        self.sent.append((event, payload, sid))


@pytest.fixture
def inference() -> FakeInference:
    return FakeInference()


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def hub(inference: FakeInference, transport: Transport) -> LiveHub:
    services = Services(Settings(), inference, None, Metrics(inference))
    return LiveHub(services, transport.emit, transport.ended.append)


def test_draining_answers_the_frame_in_flight_and_refuses_the_next(
    hub: LiveHub, inference: FakeInference, transport: Transport
) -> None:
    hub.connect("one", "127.0.0.1")
    hub.connect("two", "127.0.0.1")
    inference.gate.clear()
    answers: list[Any] = []
    flying = threading.Thread(target=lambda: answers.append(hub.frame("one", (META, JPEG))))
    flying.start()
    assert inference.entered.acquire(timeout=10)

    def sleep(_seconds: float) -> None:
        if not inference.gate.is_set():
            refused = hub.frame("two", (META, JPEG))
            assert refused["error"]["code"] == "inference_unavailable"
            assert transport.ended == []
            inference.gate.set()
            flying.join(10)

    hub.drain(sleep, timeout_s=30)
    assert answers[0]["faces"]
    assert transport.ended == ["one", "two"]
    told = [(sid, p["reason"]) for event, p, sid in transport.sent if event == "status"]
    assert told == [("one", "stopping"), ("two", "stopping")]
    with pytest.raises(TooManySessions):
        hub.connect("three", "127.0.0.1")


def test_draining_does_not_wait_for_ever(inference: FakeInference, transport: Transport) -> None:
    now = [0.0]
    services = Services(Settings(), inference, None, Metrics(inference))
    hub = LiveHub(services, transport.emit, transport.ended.append, lambda: now[0])
    hub.connect("one", "127.0.0.1")
    inference.gate.clear()
    flying = threading.Thread(target=hub.frame, args=("one", (META, JPEG)))
    flying.start()
    assert inference.entered.acquire(timeout=10)

    def sleep(seconds: float) -> None:
        now[0] += seconds

    hub.drain(sleep, timeout_s=2)
    assert transport.ended == ["one"]
    inference.gate.set()
    flying.join(10)


def test_a_frame_of_a_closed_connection_is_an_error(hub: LiveHub) -> None:
    hub.connect("one", "127.0.0.1")
    hub.disconnected("one")
    assert hub.frame("one", (META, JPEG))["error"]["code"] == "invalid_request"
    assert len(hub) == 0
