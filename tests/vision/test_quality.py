from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from webapp.domain import Box
from webapp.vision import quality
from webapp.vision.quality import assess, blockiness, noise, sharpness

Grey = npt.NDArray[np.uint8]


@pytest.fixture
def face(astronaut: Grey) -> Grey:
    return astronaut[75:180, 171:276]


def changed(face: Grey, gain: float, offset: float) -> Grey:
    return np.asarray((face * gain + offset).clip(0, 255), np.uint8)


def test_a_good_face_needs_no_advice(face: Grey) -> None:
    assert assess(face, 105).to_json() == {"ok": True, "advice": None}


def test_a_small_face_should_come_closer(face: Grey) -> None:
    judged = assess(face, quality.SMALLEST_SIDE - 1)
    assert not judged.ok
    assert judged.advice is not None and "closer" in judged.advice


@pytest.mark.parametrize(
    ("gain", "offset", "word"), [(0.12, 0, "dark"), (0.2, 225, "bright"), (0.08, 110, "contrast")]
)
def test_bad_light_is_named(face: Grey, gain: float, offset: float, word: str) -> None:
    judged = assess(changed(face, gain, offset), 105)
    assert not judged.ok
    assert judged.advice is not None and word in judged.advice


def test_a_blurred_face_is_named(face: Grey) -> None:
    judged = assess(np.asarray(cv2.GaussianBlur(face, (0, 0), 9), np.uint8), 105)
    assert not judged.ok
    assert judged.advice is not None and "blurred" in judged.advice


def test_sharpness_falls_with_blur_and_not_with_dim_light(face: Grey) -> None:
    small = np.asarray(cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA), np.uint8)
    values = [
        sharpness(np.asarray(cv2.GaussianBlur(small, (0, 0), sigma), np.uint8))
        for sigma in (0.3, 0.8, 1.5, 3.0)
    ]
    assert values == sorted(values, reverse=True)
    assert sharpness(changed(small, 0.5, 0)) == pytest.approx(sharpness(small), rel=0.1)


def test_noise_is_measured_in_grey_values(face: Grey) -> None:
    small = np.asarray(cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA), np.uint8)
    for sigma in (8, 15):
        grain = np.random.default_rng(1).normal(0, sigma, small.shape)
        assert noise(changed(small, 1, grain)) == pytest.approx(sigma, rel=0.25)
    assert noise(small) < 5


@pytest.mark.parametrize(("side", "offset"), [(48, 0), (48, 3), (72, 5)])
def test_the_blocks_of_strong_compression_show_wherever_the_crop_begins(
    face: Grey, side: int, offset: int
) -> None:
    scene = cv2.resize(face, (side + 8, side + 8), interpolation=cv2.INTER_AREA)
    packed = cv2.imencode(".jpg", scene, [cv2.IMWRITE_JPEG_QUALITY, 10])[1]
    saved = cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)
    values = []
    for picture in (scene, saved):
        crop = np.asarray(picture, np.uint8)[offset : offset + side, offset : offset + side]
        value = blockiness(crop)
        assert value is not None
        values.append(value)
    assert values[0] < 2 < 3 < values[1]


def test_large_faces_have_no_blocks_to_measure(face: Grey) -> None:
    assert blockiness(face) is None
    assert assess(face, 105).noise is not None


def test_a_plain_patch_is_judged_without_dividing_by_zero() -> None:
    assert not assess(np.full((60, 60), 128, np.uint8), 60).ok


def test_light_from_one_side_is_named(face: Grey) -> None:
    ramp = np.geomspace(1.8, 0.06, face.shape[1])[None]
    judged = assess(np.asarray((face * ramp).clip(0, 255), np.uint8), 105)
    assert judged.advice is not None and "light" in judged.advice and "half" in judged.advice


@pytest.mark.parametrize(
    ("square", "cut"),
    [
        (Box(200, 100, 300, 200), False),
        (Box(-20, 100, 80, 200), False),
        (Box(-40, 100, 60, 200), True),
        (Box(590, 100, 690, 200), True),
        (Box(200, -40, 300, 60), True),
        (Box(200, 400, 300, 500), True),
        (Box(200, 390, 300, 490), False),
    ],
)
def test_a_face_that_the_edge_cuts_is_named(square: Box, cut: bool) -> None:
    judged = quality.in_view(square, 640, 480)
    assert judged.ok is not cut
    assert not cut or "edge" in str(judged.advice)


def test_only_a_turned_face_should_face_the_camera() -> None:
    assert not quality.facing(True).ok
    assert quality.facing(False).ok


def test_a_face_that_the_light_has_eaten_is_too_bright(face: Grey) -> None:
    judged = assess(changed(face, 2.2, 0), 105)
    assert judged.advice is not None and "bright" in judged.advice
