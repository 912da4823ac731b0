from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.vision.conftest import encode, turned_head
from webapp.domain import Box
from webapp.errors import ModelInvalid
from webapp.vision.detectors import DlibOnly, open_detector
from webapp.vision.frame import Frame, decode
from webapp.vision.two_looks import TwoLooks
from webapp.vision.yunet import YuNet

Pixels = npt.NDArray[np.uint8]
FACE = Box(179, 83, 267, 171)  # dlib's own answer on the astronaut


def frame_of(rgb: Pixels) -> Frame:
    rgb = np.ascontiguousarray(rgb)
    return Frame(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), rgb)


@pytest.fixture(scope="module")
def detector(weights: Path) -> TwoLooks:
    return TwoLooks(weights)


@pytest.mark.parametrize("thorough", [False, True])
def test_the_patch_on_her_suit_is_no_face(
    detector: TwoLooks, astronaut_rgb: Pixels, thorough: bool
) -> None:
    for turn in (None, 0, 1, 2, 3):  # another tile is looked at each time
        (found,) = detector.scan(frame_of(astronaut_rgb), thorough=thorough, turn=turn)
        assert found.box.iou(FACE) > 0.6


def test_a_camera_sees_in_turn_what_one_scan_sees_at_once(
    detector: TwoLooks, astronaut_rgb: Pixels
) -> None:
    picture = np.full((600, 800, 3), 120, np.uint8)
    head = cv2.resize(astronaut_rgb[0:230, 110:340], (90, 90), interpolation=cv2.INTER_AREA)
    picture[480:570, 20:110] = picture[30:120, 690:780] = head
    frame = frame_of(picture)
    at_once = detector.scan(frame)
    assert detector.scan(frame) == at_once  # nothing is remembered of the scan before
    assert len(at_once) == 2
    in_turn = [found.box for turn in range(4) for found in detector.scan(frame, turn=turn)]
    assert all(max(box.iou(other) for other in in_turn) > 0.6 for box in (d.box for d in at_once))


@pytest.mark.parametrize("degrees", [-90, -60, -30, 0, 30, 60, 90])
def test_tilted_faces_have_the_upright_geometry(
    detector: TwoLooks, astronaut_rgb: Pixels, degrees: int
) -> None:
    (found,) = detector.scan(frame_of(turned_head(astronaut_rgb, degrees)), thorough=True)
    assert found.roll_degrees == pytest.approx(-degrees, abs=12)
    assert found.box.width == pytest.approx(FACE.width, rel=0.2)


@pytest.mark.parametrize("degrees", [-75, -45, -30, -15, 0, 15, 30, 45, 75])
def test_a_tilted_face_that_is_held_keeps_its_box(
    detector: TwoLooks, astronaut_rgb: Pixels, degrees: int
) -> None:
    frame = frame_of(turned_head(astronaut_rgb, degrees))
    (found,) = detector.scan(frame)
    held = found
    for _ in range(10):
        (held,) = detector.search(frame, [held.box])
    assert held.box.iou(found.box) > 0.8
    assert held.box.width == pytest.approx(FACE.width, rel=0.15)


@pytest.mark.parametrize("gain", [0.15, 0.4])
def test_a_dark_picture_shows_its_face(
    detector: TwoLooks, astronaut_rgb: Pixels, gain: float
) -> None:
    rng = np.random.default_rng(0)
    dark = astronaut_rgb[:250, 80:400] * gain + rng.normal(0, 2, (250, 320, 3))
    (found,) = detector.scan(frame_of(dark.clip(0, 255).astype(np.uint8)), thorough=True)
    assert found.box.iou(FACE.shifted(-80, 0)) > 0.5


def test_small_faces_beside_a_large_one_are_found(
    detector: TwoLooks, astronaut_rgb: Pixels
) -> None:
    picture = np.full((600, 800, 3), 120, np.uint8)
    head = astronaut_rgb[0:230, 110:340]
    picture[20:480, 20:480] = cv2.resize(head, (460, 460))
    picture[300:400, 600:700] = cv2.resize(head, (100, 100), interpolation=cv2.INTER_AREA)
    assert len(detector.scan(frame_of(picture), thorough=True)) == 2


def test_every_small_face_of_a_large_picture_is_found(
    detector: TwoLooks, astronaut_rgb: Pixels
) -> None:
    picture = np.full((900, 1200, 3), 120, np.uint8)
    head = cv2.resize(astronaut_rgb[0:230, 110:340], (80, 80), interpolation=cv2.INTER_AREA)
    corners = [(x, y) for y in (60, 400, 760) for x in (70, 560, 1050)]
    for x, y in corners:
        picture[y : y + 80, x : x + 80] = head
    found = detector.scan(frame_of(picture), thorough=True)
    faces = [Box(x + 23, y + 25, x + 57, y + 59) for x, y in corners]
    assert all(any(d.box.iou(face) > 0.4 for d in found) for face in faces)
    assert len(found) == len(faces)


def test_small_faces_that_lie_are_found(detector: TwoLooks, astronaut_rgb: Pixels) -> None:
    picture = np.full((900, 1200, 3), 120, np.uint8)
    head = cv2.resize(turned_head(astronaut_rgb, 75)[100:300, 100:300], (64, 64))
    places = [(70, 60), (560, 400), (1050, 760)]
    for x, y in places:
        picture[y : y + 64, x : x + 64] = head
    found = detector.scan(frame_of(picture), thorough=True)
    assert len(found) == len(places)
    for x, y in places:
        assert any(x < d.box.center[0] < x + 64 and y < d.box.center[1] < y + 64 for d in found)


def test_a_face_that_fills_the_picture_is_found(detector: TwoLooks, astronaut_rgb: Pixels) -> None:
    frame = frame_of(astronaut_rgb[70:190, 165:285])
    assert len(detector.scan(frame, thorough=True)) == 1
    assert all(len(detector.scan(frame, turn=turn)) == 1 for turn in range(4))


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (480, 640)])
def test_plain_pictures_hold_no_face(detector: TwoLooks, size: tuple[int, int], value: int) -> None:
    frame = frame_of(np.full((*size, 3), value, np.uint8))
    assert detector.scan(frame, thorough=True) == []
    assert detector.scan(frame) == []
    assert detector.search(frame, [Box(0, 0, 50, 50), Box(-900, 0, -800, 100)]) == []


def test_a_large_picture_has_boxes_in_its_own_pixels(
    detector: TwoLooks, astronaut_rgb: Pixels
) -> None:
    large = cv2.resize(astronaut_rgb, None, fx=5, fy=5)
    (found,) = detector.scan(frame_of(np.asarray(large, np.uint8)), thorough=True)
    assert found.box.iou(FACE.scaled(5).shifted(4 * 223, 4 * 127)) > 0.6


def test_a_jpeg_with_smaller_colour_has_boxes_in_its_own_pixels(
    detector: TwoLooks, astronaut_rgb: Pixels
) -> None:
    large = cv2.resize(astronaut_rgb, (3300, 3300))
    frame = decode(encode(".jpg", np.asarray(large[..., ::-1], np.uint8)), colour=True)
    assert frame.best.shape[0] < frame.height
    (found,) = detector.scan(frame, thorough=True)
    scale = 3300 / 512
    expected = Box(*(v * scale for v in (FACE.x1, FACE.y1, FACE.x2, FACE.y2)))
    assert found.box.iou(expected) > 0.6


@pytest.mark.parametrize("degrees", [0, 25])
def test_a_search_holds_a_face_that_moved(
    detector: TwoLooks, astronaut_rgb: Pixels, degrees: int
) -> None:
    frame = Frame(frame_of(turned_head(astronaut_rgb, degrees)).grey)
    (scanned,) = detector.scan(frame)
    (found,) = detector.search(frame, [scanned.box.shifted(9, -8).scaled(1.08)])
    assert found.box.iou(scanned.box) > 0.75
    assert found.score <= 0.5  # one look does not make a new face


def test_a_search_looks_near_its_regions_and_gives_a_face_once(
    detector: TwoLooks, astronaut_rgb: Pixels
) -> None:
    frame = frame_of(astronaut_rgb)
    assert detector.search(frame, []) == []
    assert detector.search(frame, [Box(400, 400, 480, 480)]) == []
    assert len(detector.search(frame, [FACE, FACE.shifted(6, 3), FACE.scaled(1.1)])) == 1


def test_without_weights_dlib_works_alone(
    tmp_path: Path, astronaut: Pixels, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mien.worker"):
        alone = open_detector(weights=tmp_path)
    assert "make vendor" in caplog.text
    assert isinstance(alone, DlibOnly)
    found = alone.scan(Frame(astronaut), thorough=True)
    assert found[0].box.iou(FACE) > 0.6
    assert 0 <= found[0].score <= 1
    assert alone.search(Frame(astronaut), [FACE])[0].box.iou(FACE) > 0.6


def test_a_file_that_is_no_yunet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no network")
    with pytest.raises(ModelInvalid, match=r"MIEN_DETECTOR_MODEL.*no\.onnx"):
        open_detector(tmp_path / "no.onnx")


class StandIn:
    """Answers as ``cv2.FaceDetectorYN`` does: the astronaut's face, and one in doubt."""

    size = (0, 0)

    def setInputSize(self, size: tuple[int, int]) -> None:
        self.size = size

    def detect(self, picture: Pixels) -> tuple[int, npt.NDArray[np.float32] | None]:
        assert picture.shape == (self.size[1], self.size[0], 3)
        scale = self.size[0] / 512
        points = [200, 110, 245, 110, 223, 130, 205, 150, 241, 150]
        face = np.array([175, 70, 100, 100, *points, 0.93], np.float32) * scale
        doubt = np.array([10, 10, 50, 50, *(v / 4 for v in points), 0.6], np.float32) * scale
        face[14], doubt[14] = 0.93, 0.6
        return 2, np.stack([face, doubt])


def test_yunet_serves_by_setting(
    monkeypatch: pytest.MonkeyPatch, astronaut_rgb: Pixels, tmp_path: Path
) -> None:
    def create(*_: Any) -> StandIn:
        return StandIn()

    monkeypatch.setattr(cv2.FaceDetectorYN, "create", create)
    yunet = open_detector(tmp_path / "yunet.onnx")
    assert isinstance(yunet, YuNet)
    (found,) = yunet.scan(frame_of(astronaut_rgb))
    assert found.box.iou(FACE) > 0.5
    assert found.score == pytest.approx(0.93)
    assert found.roll_degrees == 0
    large = cv2.resize(astronaut_rgb, (2048, 2048))
    (found,) = yunet.scan(frame_of(np.asarray(large, np.uint8)), thorough=True)
    assert found.box.iou(FACE.scaled(4).shifted(3 * 223, 3 * 127)) > 0.5
