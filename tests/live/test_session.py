"""One connection's rules, with a stand-in for inference and a clock in the test's hand."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from tests.support.live import JPEG, FakeInference, face, scores
from webapp.domain import Box
from webapp.errors import (
    FrameInFlight,
    InvalidRequest,
    PayloadTooLarge,
    RateLimited,
    WorkerCrashed,
)
from webapp.live.belief import TRIAL_SCANS
from webapp.live.options import LiveOptions
from webapp.live.session import SCAN_EVERY_S, LiveSession
from webapp.monitoring.metrics import Metrics
from webapp.settings import Settings
from webapp.web.services import Services


class Driver:
    """Sends frames at 15 a second of the test's clock."""

    def __init__(self, scan_phase: int = 0, scan_every_s: float = 0.0, **settings: Any) -> None:
        self.inference = FakeInference()
        self.now = 100.0
        services = Services(Settings(**settings), self.inference, None, Metrics(self.inference))
        self.session = LiveSession(
            services,
            "127.0.0.1",
            lambda: self.now,
            scan_phase=scan_phase,
            scan_every_s=scan_every_s,
        )
        self.seq = 0

    def meta(self, **changes: Any) -> dict[str, Any]:
        self.now += 1 / 15
        self.seq += 1
        meta = {"seq": self.seq, "captured_ms": self.now * 1000, "width": 640, "height": 480}
        return meta | changes

    def send(self, **changes: Any) -> Any:
        return self.session.analyze((self.meta(**changes), JPEG))

    def searched(self) -> list[bool]:
        """For each frame so far, whether only regions were searched."""
        return [not call["request"].scans for call in self.inference.calls]

    def show(self, *boxes: Box) -> None:
        self.inference.faces = lambda _image: [face(box, happy=0.9) for box in boxes]


LEFT, RIGHT = Box(100, 100, 200, 200), Box(400, 100, 500, 200)


def test_a_result_carries_seq_track_and_model() -> None:
    driver = Driver()
    result = driver.send()
    assert (result.seq, result.model, result.faces[0].track) == (1, "fake-1", 1)
    assert driver.inference.calls[0]["priority"] == "live"


def test_full_scan_every_so_many_frames_and_regions_between() -> None:
    driver = Driver(live_scan_every=5)
    for _ in range(11):
        driver.send()
    assert driver.searched() == [False, True, True, True, True] * 2 + [False]
    scans = [call["request"] for call in driver.inference.calls if call["request"].scans]
    assert [request.turn for request in scans] == [0, 1, 2]
    assert [len(request.regions or ()) for request in scans] == [0, 1, 1]


def test_connections_that_began_together_scan_at_different_frames() -> None:
    patterns = []
    for phase in range(3):
        driver = Driver(scan_phase=phase, live_scan_every=3)
        for _ in range(7):
            driver.send()
        patterns.append([i for i, only_regions in enumerate(driver.searched()) if not only_regions])
    assert patterns == [[0, 3, 6], [0, 2, 5], [0, 1, 4]]


@pytest.mark.parametrize(("phase", "scans"), [(0, [0, 15]), (1, [0, 12, 27])])
def test_scans_are_as_far_apart_as_was_asked_for(phase: int, scans: list[int]) -> None:
    driver = Driver(scan_phase=phase, scan_every_s=0.99, live_scan_every=5)
    for _ in range(29):
        driver.send()
    assert [i for i, only_regions in enumerate(driver.searched()) if not only_regions] == scans


@pytest.mark.parametrize("fps", [8, 15, 30])
def test_a_camera_is_scanned_as_often_whatever_its_rate(fps: int) -> None:
    driver = Driver(scan_every_s=SCAN_EVERY_S)
    frames = round(fps * 10 * SCAN_EVERY_S)
    for _ in range(frames):
        driver.now += 1 / fps - 1 / 15
        driver.send()
    assert driver.searched().count(False) in (9, 10, 11)


def test_without_faces_every_frame_is_scanned() -> None:
    driver = Driver()
    driver.show()
    for _ in range(7):
        driver.send()
    assert not any(driver.searched())


def test_a_lost_face_is_looked_for_everywhere_at_once() -> None:
    driver = Driver(live_scan_every=100)
    driver.show(LEFT, RIGHT)
    driver.send()
    driver.show(LEFT)
    result = driver.send()
    assert [f.box for f in result.faces] == [LEFT]
    driver.send()
    driver.send()
    assert driver.searched() == [False, True, False, True]


def test_regions_are_where_the_faces_will_be() -> None:
    driver = Driver(live_scan_every=100)
    for i in range(12):
        driver.show(LEFT.shifted(10 * i, 0))
        driver.send()
    (region,) = driver.inference.calls[-1]["request"].regions
    assert region.x1 == pytest.approx(LEFT.x1 + 110, abs=5)


def test_another_frame_size_starts_afresh() -> None:
    driver = Driver(live_scan_every=100)
    driver.send()
    driver.inference.size = (320, 240)
    first = driver.send(width=320, height=240)
    assert driver.searched() == [False, False]
    assert first.faces[0].track == 1, "alone, so the same person: a phone was turned"


def test_of_two_people_nobody_can_tell_who_is_who_in_a_frame_of_another_size() -> None:
    driver = Driver(live_scan_every=100)
    driver.show(LEFT, RIGHT)
    driver.send()
    driver.inference.size = (320, 240)
    assert [f.track for f in driver.send(width=320, height=240).faces] == [3, 4]


def test_the_pictures_own_size_counts_when_meta_is_wrong() -> None:
    driver = Driver(live_scan_every=100)
    driver.inference.size = (1280, 720)
    assert (driver.send().width, driver.send().faces[0].track) == (1280, 1)


def test_scores_are_smoothed_and_raw_is_not() -> None:
    driver = Driver()
    driver.send()
    driver.inference.faces = lambda _image: [face(LEFT, sad=0.9)]
    read = driver.send().faces[0]
    assert read.raw == scores(sad=0.9)
    assert read.raw.to_json()["happy"] + 0.05 < read.scores.to_json()["happy"] < 0.9
    assert read.label == "happy"
    assert round(read.confidence, 4) == read.scores.to_json()["happy"]


def test_smoothing_can_be_turned_off() -> None:
    driver = Driver()
    driver.send()
    driver.session.options = LiveOptions(smoothing=False)
    driver.inference.faces = lambda _image: [face(LEFT, sad=0.9)]
    read = driver.send().faces[0]
    assert (read.scores, read.label) == (scores(sad=0.9), "sad")


def test_a_model_that_changes_shows_in_the_result_and_keeps_the_track() -> None:
    driver = Driver()
    driver.send()
    driver.inference.version = "fake-2"
    result = driver.send()
    assert (result.model, result.faces[0].track) == ("fake-2", 1)


@pytest.mark.parametrize("seq", [1, 0])
def test_a_seq_again_or_from_before_is_refused(seq: int) -> None:
    driver = Driver()
    driver.send()
    with pytest.raises(InvalidRequest, match="expected more than 1"):
        driver.send(seq=seq)
    assert len(driver.inference.calls) == 1


def test_a_second_frame_in_flight_is_refused_and_the_first_is_answered() -> None:
    driver = Driver()
    driver.inference.gate.clear()
    answers: list[Any] = []
    first = threading.Thread(target=lambda: answers.append(driver.send()))
    first.start()
    assert driver.inference.entered.acquire(timeout=10)
    with pytest.raises(FrameInFlight):
        driver.send()
    driver.inference.gate.set()
    first.join(10)
    assert answers[0].seq == 1
    assert driver.send().faces


def test_more_frames_than_the_limit_are_refused_with_the_time_to_wait() -> None:
    driver = Driver(live_max_fps=10)
    driver.now, meta = 200.0, driver.meta
    refused = None
    for _ in range(60):
        frozen = meta()
        driver.now = 200.0
        try:
            driver.session.analyze((frozen, JPEG))
        except RateLimited as error:
            refused = error
            break
    assert refused is not None
    assert len(driver.inference.calls) == 5
    assert refused.detail["retry_after_ms"] == 100
    driver.now = 201.0
    assert driver.send().faces


def test_an_error_costs_one_frame_only() -> None:
    driver = Driver()
    driver.send()
    driver.inference.error = WorkerCrashed("The worker died.")
    with pytest.raises(WorkerCrashed):
        driver.send()
    with pytest.raises(PayloadTooLarge):
        driver.session.analyze((driver.meta(), b"x" * 1_000_000))
    with pytest.raises(InvalidRequest):
        driver.session.analyze(())
    driver.inference.error = None
    assert driver.send().faces[0].track == 1


def test_idle_time_counts_from_the_latest_frame() -> None:
    driver = Driver()
    driver.send()
    driver.now += 40
    assert driver.session.idle_s == pytest.approx(40)
    driver.send()
    assert driver.session.idle_s == 0


def test_a_weak_pattern_never_becomes_a_face_and_a_believed_face_may_weaken() -> None:
    driver = Driver()

    def seen(real: float) -> None:
        strong, weak = face(LEFT, happy=0.9), face(RIGHT, happy=0.9)
        driver.inference.faces = lambda _image: [
            replace(strong, detection=real),
            replace(weak, detection=0.12),
        ]

    seen(1.2)
    first = driver.send()
    assert [shown.detection for shown in first.faces] == [1.2]
    seen(-0.15)
    second = driver.send()
    assert [(shown.track, shown.detection) for shown in second.faces] == [
        (first.faces[0].track, -0.15)
    ]


def test_what_was_found_in_doubt_must_be_found_again() -> None:
    driver = Driver(live_scan_every=2)

    def seen(left: float, right: float) -> list[Box]:
        driver.inference.faces = lambda _image: [
            replace(face(box, happy=0.9), detection=value)
            for box, value in ((LEFT, left), (RIGHT, right))
        ]
        return [shown.box for shown in driver.send().faces]

    assert len(seen(0.7, 0.7)) == 2
    for _ in range(3):
        assert len(seen(0.4, 0.4)) == 2
    assert len(seen(0.7, 0.4)) == 2  # the third scan finds the left one again
    shown = [len(seen(0.4, 0.4)) for _ in range(2 * TRIAL_SCANS + 20)]
    assert shown == sorted(shown, reverse=True)
    assert (shown[0], shown[2 * TRIAL_SCANS - 6], shown[2 * TRIAL_SCANS]) == (2, 2, 1)
    assert shown[-1] == 1
    (left,) = seen(0.4, 0.4)
    assert left.iou(LEFT) > 0.9
    assert len(seen(0.4, 0.7)) == 2  # doubted once more: another trial
    assert len(seen(0.9, 0.9)) == 2
    assert len([seen(0.4, 0.4) for _ in range(60)][-1]) == 2  # sure


def test_every_second_frame_is_read_mirrored_unless_smoothing_is_off() -> None:
    driver = Driver()
    for _ in range(4):
        driver.send()
    driver.session.options = LiveOptions(smoothing=False)
    for _ in range(2):
        driver.send()
    asked = [call["request"].mirror for call in driver.inference.calls]
    assert asked == [False, True, False, True, False, False]
