from __future__ import annotations

import cv2
import dlib
import numpy as np
import numpy.typing as npt
import pytest

from webapp.domain import Box
from webapp.vision import detector as module
from webapp.vision.detector import Detection, FaceDetector, merge

Grey = npt.NDArray[np.uint8]
FACE = Box(179, 83, 267, 171)  # dlib's own answer on the astronaut


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


def scene(
    astronaut: Grey, scale: float, x: int, y: int, size: tuple[int, int] = (480, 640)
) -> Grey:
    """The astronaut's head, enlarged, with its top left at (x, y) on a plain wall."""
    head = astronaut[20:240, 120:330]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    head = np.asarray(cv2.resize(head, None, fx=scale, fy=scale, interpolation=method), np.uint8)
    frame = np.full(size, 120, np.uint8)
    part = frame[y : y + head.shape[0], x : x + head.shape[1]]
    part[...] = head[: part.shape[0], : part.shape[1]]
    return frame


def face_in_scene(scale: float, x: int, y: int) -> Box:
    return Box(
        x + (FACE.x1 - 120) * scale,
        y + (FACE.y1 - 20) * scale,
        x + (FACE.x2 - 120) * scale,
        y + (FACE.y2 - 20) * scale,
    )


@pytest.mark.parametrize("scale", [0.75, 1.0, 1.3, 1.7, 2.1])
def test_scan_agrees_with_dlib(detector: FaceDetector, astronaut: Grey, scale: float) -> None:
    frame = scene(astronaut, scale, 60, 10)
    rectangles = dlib.get_frontal_face_detector()(frame, 0)
    found = detector.scan(frame)
    assert len(found) == 1
    assert found[0].box.iou(face_in_scene(scale, 60, 10)) > 0.6
    theirs = [Box(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in rectangles]
    assert max(found[0].box.iou(box) for box in theirs) > 0.6


def test_scan_finds_several_faces(detector: FaceDetector, astronaut: Grey) -> None:
    frame = np.full((480, 640), 120, np.uint8)
    frame[:220, :210] = astronaut[20:240, 120:330]
    frame[240:460, 400:610] = astronaut[20:240, 120:330]
    found = detector.scan(frame)
    places = [face_in_scene(1, 0, 0), face_in_scene(1, 400, 240)]
    assert len(found) == 2
    assert all(max(d.box.iou(place) for d in found) > 0.6 for place in places)
    assert found[0].score >= found[1].score


@pytest.mark.parametrize("value", [0, 128, 255])
def test_plain_frames_hold_no_face(detector: FaceDetector, value: int) -> None:
    assert detector.scan(np.full((480, 640), value, np.uint8), upsample=True) == []


def test_noise_holds_no_face(detector: FaceDetector) -> None:
    assert detector.scan(np.random.default_rng(0).integers(0, 256, (480, 640), np.uint8)) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (30, 30), (60, 640)])
def test_tiny_frames_hold_no_face(detector: FaceDetector, size: tuple[int, int]) -> None:
    frame = np.full(size, 90, np.uint8)
    assert detector.scan(frame, upsample=True) == []
    assert detector.search(frame, [Box(0, 0, 50, 50)]) == []


def test_a_small_face_needs_upsampling(detector: FaceDetector, astronaut: Grey) -> None:
    frame = scene(astronaut, 0.42, 200, 200)
    assert detector.scan(frame) == []
    found = detector.scan(frame, upsample=True)
    assert len(found) == 1
    assert found[0].box.iou(face_in_scene(0.42, 200, 200)) > 0.5


def test_a_large_frame_is_scanned_reduced_with_boxes_in_its_own_pixels(
    detector: FaceDetector, astronaut: Grey, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    run = module._run

    def counting(hog: object, level: Grey, *others: float) -> list[Detection]:
        seen.append(level.size)
        return run(hog, level, *others)

    monkeypatch.setattr(module, "_run", counting)
    frame = scene(astronaut, 4.0, 300, 200, (1920, 2560))
    found = detector.scan(frame)
    assert len(found) == 1
    assert found[0].box.iou(face_in_scene(4.0, 300, 200)) > 0.6
    assert max(seen) <= module.LIVE_PIXELS * 1.01
    seen.clear()
    detector.scan(frame, upsample=True)
    assert module.LIVE_PIXELS * 2 < max(seen) <= module.THOROUGH_PIXELS * 1.01


@pytest.mark.parametrize(("dx", "dy", "grown"), [(0, 0, 1.0), (9, -8, 1.08), (-9, 8, 0.93)])
@pytest.mark.parametrize("scale", [0.8, 1.3, 2.1])
def test_search_follows_a_face_that_moved(
    detector: FaceDetector, astronaut: Grey, scale: float, dx: float, dy: float, grown: float
) -> None:
    frame = scene(astronaut, scale, 60, 10)
    face = face_in_scene(scale, 60, 10)
    found = detector.search(frame, [face.scaled(grown).shifted(dx * scale, dy * scale)])
    assert len(found) == 1
    assert found[0].box.iou(face) > 0.6


def test_search_and_scan_give_nearly_the_same_box(detector: FaceDetector, astronaut: Grey) -> None:
    frame = scene(astronaut, 1.4, 90, 30)
    scanned = detector.scan(frame)[0].box
    assert detector.search(frame, [scanned])[0].box.iou(scanned) > 0.8


def test_search_looks_only_near_the_regions(detector: FaceDetector, astronaut: Grey) -> None:
    frame = scene(astronaut, 1.0, 20, 20)
    assert detector.search(frame, [Box(400, 300, 500, 400)]) == []
    assert detector.search(frame, []) == []


def test_search_outside_the_frame_finds_nothing(detector: FaceDetector, astronaut: Grey) -> None:
    outside = [Box(-500, -500, -400, -400), Box(5000, 10, 5100, 110), Box(0, 479, 100, 900)]
    assert detector.search(scene(astronaut, 1.0, 20, 20), outside) == []


def test_overlapping_regions_give_a_face_once(detector: FaceDetector, astronaut: Grey) -> None:
    frame, face = scene(astronaut, 1.0, 100, 100), face_in_scene(1.0, 100, 100)
    assert len(detector.search(frame, [face, face.shifted(6, 3), face.scaled(1.1)])) == 1


def test_many_regions_become_one_scan(detector: FaceDetector, astronaut: Grey) -> None:
    frame = scene(astronaut, 1.0, 100, 100)
    elsewhere = [Box(10.0 * i, 380, 10.0 * i + 80, 460) for i in range(module.MAX_REGIONS + 1)]
    assert len(detector.search(frame, elsewhere)) == 1


def test_the_level_detectors_are_dlib_s_own_filters(astronaut: Grey) -> None:
    """On a picture of one level, all filters give what dlib gives, and the front its part."""
    every, front = module._detector(True), module._detector(False)
    level = np.ascontiguousarray(astronaut[75:180, 171:276])
    level = np.asarray(cv2.resize(level, (88, 88), interpolation=cv2.INTER_AREA), np.uint8)
    boxes, scores, filters = dlib.get_frontal_face_detector().run(level, 0, -1.0)
    ours = every.run(level, 0, -1.0)
    assert len(boxes) > 0
    theirs = {(str(b), round(s, 6), f) for b, s, f in zip(boxes, scores, filters, strict=True)}
    mine = {(str(b), round(s, 6), f) for b, s, f in zip(*ours, strict=True)}
    assert mine == theirs
    assert (every.num_detectors, front.num_detectors) == (5, 1)
    assert max(front.run(level, 0, -1.0)[1]) == pytest.approx(max(scores), abs=1e-6)


def test_merge_keeps_the_surer_of_two_that_overlap() -> None:
    weak, sure = Detection(Box(0, 0, 10, 10), 0.1), Detection(Box(1, 1, 11, 11), 0.9)
    apart = Detection(Box(50, 50, 60, 60), 0.5)
    assert merge([weak, apart, sure]) == [sure, apart]


def test_a_detector_of_another_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        def __getstate__(self) -> tuple[bytes]:
            return (b"\x01\x02" * 40,)

    monkeypatch.setattr(dlib, "get_frontal_face_detector", Other)
    with pytest.raises(RuntimeError, match="pinned dlib-bin"):
        module._state.__wrapped__(all_filters=True)  # past the kept copy of the real one


def test_a_part_of_a_face_is_no_other_face() -> None:
    whole = Detection(Box(100, 100, 200, 200), 0.7)
    half = Detection(Box(120, 105, 170, 155), 0.69)
    beside = Detection(Box(185, 150, 235, 200), 0.6)
    assert merge([beside, half, whole]) == [whole, beside]
    surer = Detection(half.box, 0.9)
    assert merge([whole, surer]) == [surer]
