from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.models import make_version
from tests.vision.conftest import encode, turned_head
from webapp.card import ModelCard
from webapp.domain import THOROUGH, Box, ReadRequest
from webapp.errors import CorruptImage, ImageTooLarge, ModelInvalid, UnsupportedImage
from webapp.vision.crops import crops
from webapp.vision.frame import decode
from webapp.vision.pipeline import Pipeline

Grey = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_version(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> Pipeline:
    return Pipeline.from_version(folder)


@pytest.fixture(scope="session")
def head_jpeg(astronaut: Grey) -> bytes:
    """Head and shoulders without the flag, in which dlib sees half a face."""
    return encode(".jpg", astronaut[:250, 80:400])


def test_a_frame_becomes_a_result(pipeline: Pipeline, head_jpeg: bytes) -> None:
    result = pipeline.analyze(head_jpeg)
    assert (result.width, result.height, result.model) == (320, 250, "test-1")
    (face,) = result.faces
    assert face.box.iou(Box(99, 83, 187, 171)) > 0.6
    assert face.scores == face.raw
    assert face.track is None
    assert face.quality.ok
    assert set(result.timings_ms) == {"decode", "detect", "classify", "total"}
    parts = [result.timings_ms[name] for name in ("decode", "detect", "classify")]
    assert sum(parts) == pytest.approx(result.timings_ms["total"])
    assert min(parts) > 0


def test_scores_are_the_classifier_s_over_the_card_s_crop(
    pipeline: Pipeline, folder: Path, head_jpeg: bytes
) -> None:
    from webapp.vision.classifier import Classifier

    (face,) = pipeline.analyze(head_jpeg).faces
    card = ModelCard.load(folder)
    crop = crops(decode(head_jpeg).grey, [face.box], card.crop, card.input)
    wanted = Classifier.from_version(folder).probabilities(crop)[0]
    assert face.scores.values == pytest.approx(wanted.tolist(), abs=1e-6)


@pytest.mark.parametrize(("threshold", "uncertain"), [(0.0, False), (1.0, True)])
def test_the_card_decides_what_is_uncertain(
    tmp_path: Path, head_jpeg: bytes, threshold: float, uncertain: bool
) -> None:
    folder = make_version(tmp_path)
    replace(ModelCard.load(folder), uncertain_below=threshold).save(folder)
    (face,) = Pipeline.from_version(folder).analyze(head_jpeg).faces
    assert (face.label == "uncertain") is uncertain
    assert uncertain or face.label == face.scores.top[0]


def test_regions_are_searched_and_nothing_else(pipeline: Pipeline, head_jpeg: bytes) -> None:
    (face,) = pipeline.analyze(head_jpeg).faces
    (again,) = pipeline.analyze(head_jpeg, request=ReadRequest([face.box.shifted(5, -4)])).faces
    assert again.box.iou(face.box) > 0.7
    assert pipeline.analyze(head_jpeg, request=ReadRequest([Box(230, 150, 310, 230)])).faces == ()
    assert pipeline.analyze(head_jpeg, request=ReadRequest([])).faces == ()


def test_faces_come_largest_first_and_at_most_as_many_as_asked(
    pipeline: Pipeline, astronaut: Grey
) -> None:
    frame = np.full((480, 640), 120, np.uint8)
    head = astronaut[20:240, 120:330]
    frame[:220, :210] = head
    large = cv2.resize(head, None, fx=1.7, fy=1.7)
    frame[100 : 100 + large.shape[0], 260 : 260 + large.shape[1]] = large
    data = encode(".png", frame)
    faces = pipeline.analyze(data).faces
    assert len(faces) == 2
    assert faces[0].box.area > 1.5 * faces[1].box.area
    (one,) = pipeline.analyze(data, request=ReadRequest(max_faces=1)).faces
    assert one.box.iou(faces[0].box) > 0.8


def test_a_face_at_the_border_is_read(pipeline: Pipeline, astronaut: Grey) -> None:
    # the crop reaches outside of the picture here
    result = pipeline.analyze(encode(".png", np.ascontiguousarray(astronaut[70:190, 165:285])))
    assert len(result.faces) == 1


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"text", UnsupportedImage), (b"\xff\xd8\xff\xe0\x00\x10JFIF", CorruptImage)],
)
def test_bad_pictures_raise_and_leave_the_pipeline_working(
    pipeline: Pipeline, head_jpeg: bytes, data: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        pipeline.analyze(data)
    assert len(pipeline.analyze(head_jpeg).faces) == 1


def test_the_pixel_limit_is_the_pipeline_s(folder: Path, head_jpeg: bytes) -> None:
    with pytest.raises(ImageTooLarge):
        Pipeline.from_version(folder, max_pixels=1000).analyze(head_jpeg)


def test_a_folder_without_a_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid):
        Pipeline.from_version(tmp_path)


def test_a_mirrored_reading_is_that_of_the_mirrored_crop(
    pipeline: Pipeline, folder: Path, head_jpeg: bytes
) -> None:
    from webapp.vision.classifier import Classifier

    (plain,) = pipeline.analyze(head_jpeg).faces
    (mirrored,) = pipeline.analyze(head_jpeg, request=ReadRequest(mirror=True)).faces
    card = ModelCard.load(folder)
    crop = crops(decode(head_jpeg).grey, [plain.box], card.crop, card.input)
    wanted = Classifier.from_version(folder).probabilities(crop[:, :, ::-1])[0]
    assert mirrored.box == plain.box
    assert mirrored.raw.values == pytest.approx(wanted, abs=1e-6)
    assert mirrored.raw != plain.raw


@pytest.mark.parametrize("degrees", [-70, -40, 0, 40, 70])
def test_a_tilted_face_is_read_upright(
    pipeline: Pipeline, astronaut_rgb: Grey, degrees: int, weights: Path
) -> None:
    head = turned_head(astronaut_rgb, degrees)
    (face,) = pipeline.analyze(encode(".png", head[..., ::-1]), request=THOROUGH).faces
    assert face.roll_degrees == pytest.approx(-degrees, abs=12)


def test_every_face_of_a_group_is_reported(
    pipeline: Pipeline, astronaut_rgb: Grey, weights: Path
) -> None:
    head = astronaut_rgb[0:230, 110:340, ::-1]
    small = cv2.resize(head, (150, 150), interpolation=cv2.INTER_AREA)
    group = encode(".png", np.tile(small, (4, 5, 1)))
    assert len(pipeline.analyze(group, request=THOROUGH).faces) == 20


def test_a_scan_in_turn_keeps_a_known_face_that_only_other_turns_see(
    pipeline: Pipeline, weights: Path, astronaut_rgb: npt.NDArray[np.uint8]
) -> None:
    picture = np.full((720, 1280, 3), 120, np.uint8)
    head = cv2.resize(astronaut_rgb[0:230, 110:340], (80, 80), interpolation=cv2.INTER_AREA)
    picture[610:690, 1170:1250] = head[..., ::-1]
    jpeg = encode(".jpg", picture)
    (first,) = pipeline.analyze(jpeg, request=ReadRequest(turn=0)).faces
    turns = range(1, 8)
    assert not all(pipeline.analyze(jpeg, request=ReadRequest(turn=t)).faces for t in turns)
    for turn in turns:
        (kept,) = pipeline.analyze(jpeg, request=ReadRequest([first.box], turn=turn)).faces
        assert kept.box.iou(first.box) > 0.6
